//! Answers about labels, straight from the indexes: no chunk is read.

use super::Reader;
use crate::disk::FileIndex;
use crate::promql::{Source, SourceError};
use crate::series::{Labels, METRIC_NAME, Matcher};
use roaring::RoaringBitmap;
use std::collections::BTreeSet;

/// An answer and the sentences about what is missing from it.
pub type Answer<T> = Result<(T, Vec<String>), SourceError>;

impl Reader {
    /// The label sets of the series that pass one of the lists of matchers, sorted.
    pub fn series(&self, selectors: &[Vec<Matcher>], start: i64, end: i64) -> Answer<BTreeSet<Labels>> {
        let (mut found, mut warnings) = (BTreeSet::new(), Vec::new());
        for matchers in selectors {
            let selection = self.select(matchers, start, end)?;
            found.extend((0..selection.len()).map(|at| selection.labels(at)));
            warnings.extend(selection.warnings());
        }
        Ok((found, warnings))
    }

    /// The names of labels of series that pass one of the lists of matchers (all series, where there is none).
    pub fn label_names(&self, selectors: &[Vec<Matcher>], start: i64, end: i64) -> Answer<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let warnings = self.each_index(selectors, start, end, |index, matchers| match index {
            Either::Memory(memory) => memory.label_names(matchers, &mut names),
            Either::File(index, sets) => index.label_names(sets, &mut names),
        })?;
        Ok((names, warnings))
    }

    /// The values of a label in series that pass one of the lists of matchers (all series, where there is none).
    pub fn label_values(
        &self,
        label: &str,
        selectors: &[Vec<Matcher>],
        start: i64,
        end: i64,
    ) -> Answer<BTreeSet<String>> {
        let mut values = BTreeSet::new();
        if label == METRIC_NAME && selectors.iter().any(|s| s.iter().any(|m| m.name() != METRIC_NAME)) {
            // Which metrics a label set has is known to the entries only.
            let (series, warnings) = self.series(selectors, start, end)?;
            return Ok((series.iter().map(|labels| labels.metric_name().to_string()).collect(), warnings));
        }
        let warnings = self.each_index(selectors, start, end, |index, matchers| match index {
            Either::Memory(memory) => memory.label_values(label, matchers, &mut values),
            Either::File(index, _) if label == METRIC_NAME => {
                let passing = index.metrics_passing(matchers);
                values.extend(passing.into_iter().map(|metric| index.metric(metric).to_string()));
            }
            Either::File(index, sets) => index.label_values(label, sets, &mut values),
        })?;
        Ok((values, warnings))
    }

    /// Shows each index that may have series which pass to `each`: a file's with the label sets that do.
    fn each_index(
        &self,
        selectors: &[Vec<Matcher>],
        start: i64,
        end: i64,
        mut each: impl FnMut(Either<'_>, &[Matcher]),
    ) -> Result<Vec<String>, SourceError> {
        let all = [Vec::new()];
        let mut warnings = Vec::new();
        for matchers in if selectors.is_empty() { &all } else { selectors } {
            for database in self.databases(matchers) {
                warnings.extend(self.lost(&database, start, end));
                for (partition, file) in self.files(&database, start, end) {
                    let shown = file.sets_passing(matchers, start, end).and_then(|sets| {
                        file.with_index(|index| {
                            if !sets.is_empty() {
                                each(Either::File(index, &sets), matchers);
                            }
                        })
                    });
                    if let Err(error) = shown {
                        warnings.push(self.damaged(&partition, &file, error)?);
                    }
                }
                let memory = self.store.databases.get_or_create(&database);
                each(Either::Memory(&memory.index.read()), matchers);
            }
        }
        Ok(warnings)
    }
}

enum Either<'a> {
    Memory(&'a crate::memory::Index),
    File(&'a FileIndex, &'a RoaringBitmap),
}

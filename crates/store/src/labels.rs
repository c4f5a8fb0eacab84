//! Answers about labels, straight from the indexes: no chunk is decoded, and label sets are built for the series that are
//! answered with, no others.

use super::{Reader, Stopped};
use crate::disk::{ChunkFile, DiskError, FileIndex};
use crate::memory::Index;
use roaring::RoaringBitmap;
use sealine_model::{LabelView, Labels, LimitedSet, METRIC_NAME, Matcher, SourceError, ns_range};
use std::collections::BTreeSet;
use std::hash::Hash;

/// An answer, sorted, and the sentences about what is missing from it.
pub type Answer<T> = Result<(Vec<T>, Vec<String>), SourceError>;

/// A question about labels.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// A series counts where all matchers of at least one list pass; where there is no list, every series does.
    pub selectors: &'a [Vec<Matcher>],
    /// From here on, milliseconds since the Unix epoch. Times are those of files, and in memory of chunks, not of single
    /// samples: a series may be answered with whose samples lie beside the range, if its file's or its chunk's do not.
    pub start: i64,
    /// Up to here, this millisecond included.
    pub end: i64,
    /// Once this many results are found, the search stops. Which ones they are is not defined.
    pub enough: usize,
}

impl Question<'_> {
    fn times(&self) -> (i64, i64) {
        ns_range(self.start, self.end)
    }
}

impl Reader {
    /// The label sets of the series.
    pub fn series(&self, question: &Question<'_>) -> Answer<Labels> {
        let (start, end) = question.times();
        self.search(
            question,
            |memory, matchers, into| {
                memory.each_series(matchers, question.times(), |labels| {
                    into.take(labels);
                    !into.is_over()
                });
            },
            |file, view, matchers, into| {
                let selection = file.select(matchers, view, start, end)?;
                let index = file.index()?;
                let names = index.names(view.naming());
                for series in &selection.series {
                    if into.is_over() {
                        break;
                    }
                    into.take(view.series(names.of(series.column), index.pairs(series.set)));
                }
                Ok(())
            },
        )
    }

    /// The names of the series' labels.
    pub fn label_names(&self, question: &Question<'_>) -> Answer<String> {
        self.gather(
            question,
            |memory, matchers, into| memory.label_names(matchers, question.times(), into),
            |file, view, sets, into| file.label_names(view, sets, into),
        )
    }

    /// The values that the series have for `label`.
    pub fn label_values(&self, label: &str, question: &Question<'_>) -> Answer<String> {
        if label == METRIC_NAME {
            return self.metric_names(question);
        }
        self.gather(
            question,
            |memory, matchers, into| memory.label_values(label, matchers, question.times(), into),
            |file, view, sets, into| file.label_values(view, label, sets, into),
        )
    }

    /// The names of the series' metrics. Which metrics a tag set has is known to the entries of a file only.
    fn metric_names(&self, question: &Question<'_>) -> Answer<String> {
        let (start, end) = question.times();
        let by_label = |matchers: &[Matcher]| matchers.iter().any(|matcher| matcher.name() != METRIC_NAME);
        self.search(
            question,
            |memory, matchers, into| memory.label_values(METRIC_NAME, matchers, question.times(), into),
            |file, view, matchers, into| {
                let names = file.index()?.names(view.naming());
                let columns = if by_label(matchers) {
                    let selection = file.select(matchers, view, start, end)?;
                    let mut columns: Vec<usize> =
                        selection.series.iter().map(|series| series.column as usize).collect();
                    columns.dedup(); // they come in order
                    columns
                } else {
                    names.columns_passing(matchers)
                };
                columns.iter().for_each(|column| into.add(names.of(*column as u32)));
                Ok(())
            },
        )
    }

    /// [`Self::search`] with the tag sets of a file that pass; `None` where all do.
    fn gather(
        &self,
        question: &Question<'_>,
        in_memory: impl Fn(&Index, &[Matcher], &mut LimitedSet<'_>),
        in_file: impl Fn(&FileIndex, &LabelView, Option<&RoaringBitmap>, &mut LimitedSet<'_>),
    ) -> Answer<String> {
        let (start, end) = question.times();
        self.search(question, in_memory, |file, view, matchers, into| {
            let sets = match matchers {
                [] => None,
                _ => Some(file.sets_passing(matchers, view, start, end)?),
            };
            if !sets.as_ref().is_some_and(RoaringBitmap::is_empty) {
                in_file(&*file.index()?, view, sets.as_ref(), into);
            }
            Ok(())
        })
    }

    /// Goes through files and memory of every database in question, until there is enough.
    fn search<T: Eq + Hash + Ord>(
        &self,
        question: &Question<'_>,
        in_memory: impl Fn(&Index, &[Matcher], &mut LimitedSet<'_, T>),
        in_file: impl Fn(&ChunkFile, &LabelView, &[Matcher], &mut LimitedSet<'_, T>) -> Result<(), DiskError>,
    ) -> Answer<T> {
        let Question { selectors, enough, .. } = *question;
        let (start, end) = question.times();
        let stop = || self.is_stopped();
        let (mut into, mut warnings) = (LimitedSet::new(enough, &stop), BTreeSet::new());
        let all = [Vec::new()];
        for matchers in if selectors.is_empty() { &all } else { selectors } {
            for database in self.databases(matchers) {
                warnings.extend(self.lost(&database, start, end));
                let memory = self.store.databases.get_or_create(&database);
                let view = memory.view();
                for (partition, file) in self.files(&database, start, end) {
                    self.go_on()?;
                    let looked = file.info().and_then(|info| {
                        let beside = info.times.0 > end || info.times.1 < start;
                        match beside || into.is_over() {
                            true => Ok(()),
                            false => self.ask(&file, || in_file(&file, &view, matchers, &mut into)),
                        }
                    });
                    if let Err(error) = looked {
                        warnings.insert(self.damaged(&partition, &file, error)?);
                    }
                }
                self.go_on()?;
                if !into.is_over() {
                    in_memory(&memory.index.read(), matchers, &mut into);
                }
            }
        }
        match into.finish() {
            Some(found) => Ok((found, warnings.into_iter().collect())),
            None => Err(SourceError(Box::new(Stopped))),
        }
    }
}

//! Series in a map: the simplest thing a query can read from.

use super::Backend;
use sealine::promql::{Samples, Selection, Source, SourceError};
use sealine::series::{Labels, Matcher};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// All series, each with its samples by time.
#[derive(Default)]
pub struct Memory {
    series: BTreeMap<Labels, Series>,
    touched_native: AtomicBool,
}

#[derive(Default)]
struct Series {
    samples: BTreeMap<i64, f64>,
    native: bool,
}

impl Backend for Memory {
    fn clear(&mut self) {
        self.series.clear();
    }

    fn load(&mut self, labels: &Labels, samples: &[(i64, f64)], native: bool) {
        let series = self.series.entry(labels.clone()).or_default();
        series.samples.extend(samples.iter().copied());
        series.native |= native;
    }

    fn source(&self) -> &dyn Source {
        self
    }

    fn touched_native(&self) -> bool {
        self.touched_native.swap(false, Ordering::Relaxed)
    }
}

impl Source for Memory {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Box<dyn Selection + '_>, SourceError> {
        let mut found = Vec::new();
        for (labels, series) in &self.series {
            if matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default())) {
                self.touched_native.fetch_or(series.native, Ordering::Relaxed);
                if start <= end && series.samples.range(start..=end).next().is_some() {
                    found.push((labels, series));
                }
            }
        }
        Ok(Box::new(Found(found)))
    }
}

struct Found<'a>(Vec<(&'a Labels, &'a Series)>);

impl Selection for Found<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].0.clone()
    }

    fn read(&self, index: usize, start: i64, end: i64, into: &mut Samples) -> Result<(), SourceError> {
        into.clear();
        self.0[index].1.samples.range(start..=end).for_each(|(time, value)| into.push(*time, *value));
        Ok(())
    }
}

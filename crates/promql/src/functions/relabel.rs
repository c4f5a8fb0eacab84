//! `label_replace` and `label_join`.

use crate::error::QueryError;
use crate::eval::{BoxedVector, Metric, Renamed};
use crate::plan::Relabel;
use sealine_model::{METRIC_NAME, Pattern};

/// The vector with other labels. Series that get the same ones become one, if they have no step in common.
pub(crate) fn relabel<'q>(relabel: &Relabel, vector: BoxedVector<'q>) -> Result<BoxedVector<'q>, QueryError> {
    let mut last = Replaced::default();
    let metrics = (0..vector.len()).map(|index| changed(relabel, vector.metric(index), &mut last)).collect();
    Ok(Renamed::new(vector, metrics).into_merged())
}

/// A value that a pattern was asked about, and what came of it: series with one metric's name come one after the other.
#[derive(Default)]
struct Replaced(Option<(String, Option<String>)>);

impl Replaced {
    fn of(&mut self, pattern: &Pattern, value: &str, replacement: &str) -> Option<&str> {
        let (_, replaced) = match self.0.take().filter(|(last, _)| last == value) {
            Some(last) => self.0.insert(last),
            None => self.0.insert((value.to_string(), pattern.expand(value, replacement))),
        };
        replaced.as_deref()
    }
}

fn changed(relabel: &Relabel, metric: Metric, last: &mut Replaced) -> Metric {
    let (target, labels) = match relabel {
        Relabel::Replace { target, replacement, source, pattern } => {
            let replaced = last.of(pattern, metric.labels.get(source).unwrap_or_default(), replacement);
            let Some(value) = replaced else { return metric };
            (target, metric.labels.with(target, value))
        }
        Relabel::Join { target, separator, sources } => {
            let values: Vec<_> = sources.iter().map(|source| metric.labels.get(source).unwrap_or_default()).collect();
            (target, metric.labels.with(target, &values.join(separator)))
        }
    };
    // A name that is set on purpose stays.
    let drop_name = metric.drop_name && target != METRIC_NAME;
    Metric { labels, drop_name }
}

//! `label_replace` and `label_join`.

use crate::promql::error::QueryError;
use crate::promql::eval::{BoxedVector, Metric, Renamed};
use crate::promql::plan::Relabel;
use crate::series::METRIC_NAME;

/// The vector with other labels. Series that get the same ones become one, if they have no step in common.
pub(in crate::promql) fn relabel<'q>(
    relabel: &Relabel,
    vector: BoxedVector<'q>,
) -> Result<BoxedVector<'q>, QueryError> {
    let metrics = (0..vector.len()).map(|index| changed(relabel, vector.metric(index))).collect();
    Ok(Renamed::new(vector, metrics).into_merged())
}

fn changed(relabel: &Relabel, metric: Metric) -> Metric {
    let (target, value) = match relabel {
        Relabel::Replace { target, replacement, source, pattern } => {
            let replaced = pattern.expand(metric.labels.get(source).unwrap_or_default(), replacement);
            let Some(value) = replaced else { return metric };
            (target, value)
        }
        Relabel::Join { target, separator, sources } => {
            let values: Vec<_> = sources.iter().map(|source| metric.labels.get(source).unwrap_or_default()).collect();
            (target, values.join(separator))
        }
    };
    // A name that is set on purpose stays.
    let drop_name = metric.drop_name && target != METRIC_NAME;
    Metric { labels: metric.labels.with(target, &value), drop_name }
}

//! The samples of a registry, one for each line that `/metrics` has: what the daemon stores about itself.

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// One sample, with the name and the labels that it has at `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnSample {
    /// The metric's name; that of a histogram ends in `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Its labels, `le` of a bucket included, in no order.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

/// The samples of all metrics.
pub(super) fn samples(families: &[MetricFamily]) -> Vec<OwnSample> {
    let mut all = Vec::new();
    for family in families {
        for metric in family.get_metric() {
            let mut push = |suffix: &str, le: Option<f64>, value: f64| {
                let mut labels = labels(metric);
                labels.extend(le.map(|bound| ("le".to_string(), bound_text(bound))));
                all.push(OwnSample { name: format!("{}{suffix}", family.name()), labels, value });
            };
            match family.get_field_type() {
                MetricType::COUNTER => push("", None, metric.get_counter().get_value()),
                MetricType::GAUGE => push("", None, metric.get_gauge().get_value()),
                MetricType::HISTOGRAM => {
                    let histogram = metric.get_histogram();
                    let count = histogram.get_sample_count() as f64;
                    for bucket in histogram.get_bucket() {
                        push("_bucket", Some(bucket.upper_bound()), bucket.cumulative_count() as f64);
                    }
                    push("_bucket", Some(f64::INFINITY), count); // the crate leaves it to whoever writes the text
                    push("_sum", None, histogram.get_sample_sum());
                    push("_count", None, count);
                }
                MetricType::SUMMARY | MetricType::UNTYPED => {} // `Register` makes none; a test compares with the text
            }
        }
    }
    all
}

fn labels(metric: &Metric) -> Vec<(String, String)> {
    metric.get_label().iter().map(|pair| (pair.name().to_string(), pair.value().to_string())).collect()
}

/// A bucket's upper bound, as the text format has it.
fn bound_text(bound: f64) -> String {
    if bound == f64::INFINITY { "+Inf".to_string() } else { bound.to_string() }
}

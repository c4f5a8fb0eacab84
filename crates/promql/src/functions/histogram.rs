//! Classic histograms: series that differ in the label `le` only, each counting the observations up to its bound.

use crate::error::QueryError;
use crate::eval::{BoxedVector, Metric, Renamed, Run, Scratch, Vector, scalar};
use crate::grid::{ABSENT, Grid, is_absent};
use crate::notes::{ForMetric, Place, Short};
use crate::plan::{HistogramFunction, ScalarPlan};
use hashbrown::{HashMap, HashSet};
use sealine_model::Labels;

/// The label that holds the upper bound of a bucket.
const BOUND: &str = "le";

/// Counts that differ by less than this fraction are equal: rates of equal counters may differ in the last digits.
const SMALL_DELTA: f64 = 1e-12;

/// A series a histogram (or a histogram and a quantile), computed from its buckets.
pub(crate) struct Histograms<'q> {
    question: Question,
    vector: BoxedVector<'q>,
    histograms: Vec<Histogram>,
    place: Place,
}

/// What is computed from each histogram: one number a step.
enum Question {
    /// With the label value that names each quantile, where there are several.
    Quantiles(Vec<Vec<f64>>),
    Fraction {
        lower: Vec<f64>,
        upper: Vec<f64>,
    },
}

struct Histogram {
    /// The labels that its buckets share, the metric name among them.
    labels: Labels,
    /// Upper bounds in ascending order, each with the series that counts.
    buckets: Vec<(f64, usize)>,
}

impl<'q> Histograms<'q> {
    /// Finds the histograms in `vector`. Notes about it point to the first of `places`, about parameters to the second.
    pub fn evaluate(
        run: &'q Run<'q>,
        function: &'q HistogramFunction,
        vector: BoxedVector<'q>,
        grid: Grid,
        places: [Place; 2],
    ) -> Result<BoxedVector<'q>, QueryError> {
        let [place, parameter_place] = places;
        let quantiles = |plan: &'q ScalarPlan| {
            let column = scalar(run, plan, grid)?;
            for got in column.iter().filter(|quantile| !(0.0..=1.0).contains(*quantile)).map(|got| Short(*got)) {
                run.notes.warn(parameter_place, format_args!("quantile value should be between 0 and 1, got {got}"));
            }
            Ok::<_, QueryError>(column)
        };
        let histograms = group(run, &*vector, grid.count, place)?;
        let (question, label) = match function {
            HistogramFunction::Quantile(plan) => (Question::Quantiles(vec![quantiles(plan)?]), None),
            HistogramFunction::Quantiles { label, quantiles: plans } => {
                let columns = plans.iter().map(quantiles).collect::<Result<Vec<_>, _>>()?;
                (Question::Quantiles(columns), Some(label))
            }
            HistogramFunction::Fraction { lower, upper } => {
                let (lower, upper) = (scalar(run, lower, grid)?, scalar(run, upper, grid)?);
                (Question::Fraction { lower, upper }, None)
            }
        };
        let histograms = Histograms { question, vector, histograms, place };
        let Some(label) = label else { return Ok(Box::new(histograms)) };
        let metrics = (0..histograms.len()).map(|index| histograms.labelled(label, index)).collect();
        Ok(Renamed::new(Box::new(histograms), metrics).into_merged())
    }

    /// How many series one histogram yields.
    fn answers(&self) -> usize {
        match &self.question {
            Question::Quantiles(quantiles) => quantiles.len(),
            Question::Fraction { .. } => 1,
        }
    }

    /// The metric of a series with its quantile in `label`.
    fn labelled(&self, label: &str, index: usize) -> Metric {
        let metric = self.metric(index);
        let Question::Quantiles(quantiles) = &self.question else { return metric };
        let quantile = quantiles[index % quantiles.len()].first().copied().unwrap_or(f64::NAN);
        let shown = Short(quantile).to_string();
        let shown = if shown.bytes().all(|byte| byte.is_ascii_digit()) { shown + ".0" } else { shown };
        Metric { labels: metric.labels.with(label, &shown), ..metric }
    }
}

/// The histograms of a vector, in the order of their first buckets. Series that are no buckets are warned of, if they have a
/// sample.
fn group(run: &Run<'_>, vector: &dyn Vector, steps: usize, place: Place) -> Result<Vec<Histogram>, QueryError> {
    let (mut scratch, mut warned) = (run.scratch(), HashSet::new());
    let mut numbers: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<Histogram> = Vec::new();
    for index in 0..vector.len() {
        let labels = vector.metric(index).labels;
        let bound = labels.get(BOUND).unwrap_or_default();
        let Ok(upper) = bound.parse::<f64>() else {
            let told = (bound.to_string(), labels.metric_name().to_string());
            if !warned.contains(&told) && has_sample(vector, index, &mut scratch, steps)? {
                let name = ForMetric(&told.1);
                let fault = format_args!("bucket label \"le\" is missing or has a malformed value of {bound:?}{name}");
                run.notes.warn(place, fault);
                warned.insert(told);
            }
            continue;
        };
        let labels = labels.without(|name| name == BOUND);
        let number = *numbers.entry(labels.clone()).or_insert(histograms.len());
        if number == histograms.len() {
            histograms.push(Histogram { labels, buckets: Vec::new() });
        }
        histograms[number].buckets.push((upper, index));
    }
    histograms.iter_mut().for_each(|histogram| histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0)));
    Ok(histograms)
}

/// Whether a series has a sample at any step.
fn has_sample(vector: &dyn Vector, index: usize, scratch: &mut Scratch<'_>, steps: usize) -> Result<bool, QueryError> {
    let mut column = scratch.take_column(steps);
    vector.fill(index, scratch, &mut column)?;
    let has = !column.iter().all(|value| is_absent(*value));
    scratch.give_column(column);
    Ok(has)
}

impl Vector for Histograms<'_> {
    fn len(&self) -> usize {
        self.histograms.len() * self.answers()
    }

    fn metric(&self, index: usize) -> Metric {
        Metric::kept(self.histograms[index / self.answers()].labels.clone()).without_name()
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let histogram = &self.histograms[index / self.answers()];
        let mut counts = Vec::with_capacity(histogram.buckets.len());
        for (_, series) in &histogram.buckets {
            let mut count = scratch.take_column(column.len());
            self.vector.fill(*series, scratch, &mut count)?;
            counts.push(count);
        }
        let (mut buckets, mut forced) = (Vec::with_capacity(counts.len()), false);
        for (step, slot) in column.iter_mut().enumerate() {
            buckets.clear();
            for ((upper, _), count) in histogram.buckets.iter().zip(&counts).filter(|(_, c)| !is_absent(c[step])) {
                match buckets.last_mut() {
                    // The same bound in two spellings.
                    Some(Bucket { upper: last, count: sum }) if last == upper => *sum += count[step],
                    _ => buckets.push(Bucket { upper: *upper, count: count[step] }),
                }
            }
            *slot = if buckets.is_empty() {
                ABSENT
            } else {
                match &self.question {
                    Question::Quantiles(quantiles) => {
                        quantile(quantiles[index % quantiles.len()][step], &mut buckets, &mut forced)
                    }
                    Question::Fraction { lower, upper } => fraction(lower[step], upper[step], &buckets),
                }
            };
        }
        if forced {
            let name = ForMetric(histogram.labels.metric_name());
            let page = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile";
            let sentence =
                format_args!("input to histogram_quantile needed to be fixed for monotonicity (see {page}){name}");
            scratch.run.notes.info(self.place, sentence);
        }
        counts.into_iter().for_each(|count| scratch.give_column(count));
        Ok(())
    }
}

/// How many observations were at most `upper`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// The value below which the `quantile` of the observations lies, as if each bucket held them evenly. `buckets` is not
/// empty and ascends. Sets `forced` where counts fell from bucket to bucket and had to be lifted.
fn quantile(quantile: f64, buckets: &mut [Bucket], forced: &mut bool) -> f64 {
    if quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return f64::NAN;
    }
    *forced |= make_monotonic(buckets);
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let rank = quantile * observations;
    let found = buckets[..last].iter().position(|bucket| bucket.count >= rank).unwrap_or(last);
    if found == last {
        return buckets[last - 1].upper;
    }
    let Bucket { upper, count } = buckets[found];
    match found.checked_sub(1).map(|before| buckets[before]) {
        None if upper <= 0.0 => upper,
        None => upper * (rank / count),
        Some(before) => before.upper + (upper - before.upper) * ((rank - before.count) / (count - before.count)),
    }
}

/// Raises counts that are below the one before; returns whether one was lower by more than rounding explains.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let (mut forced, mut before) = (false, buckets[0].count);
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        let equal = (count - before).abs() < SMALL_DELTA * (count.abs() + before.abs());
        if equal || count < before {
            forced |= !equal;
            bucket.count = before;
        } else {
            before = count;
        }
    }
    forced
}

/// Which part of the observations lies above `lower` and not above `upper`.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(last) = buckets.last().filter(|last| last.upper == f64::INFINITY) else { return f64::NAN };
    if last.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (observed_below(upper, buckets, last.count) - observed_below(lower, buckets, last.count)) / last.count
}

/// How many observations lie below `bound`, as if each bucket held them evenly. Of the bucket that reaches to
/// infinity none do, of the one that comes from minus infinity all.
fn observed_below(bound: f64, buckets: &[Bucket], observations: f64) -> f64 {
    let mut before = 0.0;
    for (index, bucket) in buckets.iter().enumerate() {
        let start = match index.checked_sub(1) {
            Some(previous) => buckets[previous].upper,
            None if bucket.upper > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if bound <= start {
            return before;
        }
        if bound < bucket.upper {
            return match (start, bucket.upper) {
                (_, f64::INFINITY) => before,
                (f64::NEG_INFINITY, _) => bucket.count,
                (start, end) => before + (bucket.count - before) * (bound - start) / (end - start),
            };
        }
        before = bucket.count;
    }
    observations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(rows: &[(f64, f64)]) -> Vec<Bucket> {
        rows.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_interpolated_within_buckets() {
        let inf = f64::INFINITY;
        for (name, at, rows, want, want_forced) in [
            ("middle", 0.5, &[(0.0, 0.0), (2.0, 1.0), (4.0, 2.0), (6.0, 3.0), (inf, 3.0)][..], 3.0, false),
            ("first from zero", 0.25, &[(1.0, 1.0), (inf, 1.0)], 0.25, false),
            ("first below zero", 0.5, &[(-1.0, 2.0), (inf, 2.0)], -1.0, false),
            ("in the last", 0.9, &[(1.0, 1.0), (inf, 10.0)], 1.0, false),
            ("falling", 0.5, &[(1.0, 4.0), (2.0, 2.0), (inf, 4.0)], 0.5, true),
            ("falling by rounding", 0.5, &[(1.0, 4.0), (2.0, 3.9999999999999996), (inf, 4.0)], 0.5, false),
            ("above one", 1.1, &[(1.0, 1.0), (inf, 1.0)], inf, false),
        ] {
            let mut forced = false;
            let got = quantile(at, &mut buckets(rows), &mut forced);
            assert_eq!((got, forced), (want, want_forced), "{name}");
        }
        for (name, rows) in
            [("no +Inf", &[(1.0, 1.0)][..]), ("only +Inf", &[(inf, 1.0)]), ("empty", &[(1.0, 0.0), (inf, 0.0)])]
        {
            assert!(quantile(0.5, &mut buckets(rows), &mut false).is_nan(), "{name}");
        }
    }

    #[test]
    fn fractions_are_interpolated_within_buckets() {
        let inf = f64::INFINITY;
        let positive = &[(1.0, 1.0), (2.0, 3.0), (3.0, 6.0), (inf, 100.0)][..];
        let negative = &[(-3.0, 10.0), (-2.0, 12.0), (-1.0, 15.0), (inf, 100.0)];
        for (lower, upper, rows, want) in [
            (0.0, 1.5, positive, 0.02),
            (0.5, 2.0, positive, 0.025),
            (4.0, 5.0, positive, 0.0),
            (400.0, inf, positive, 0.94),
            (-inf, inf, positive, 1.0),
            (3.0, 2.0, positive, 0.0),
            (-4.0, -2.0, negative, 0.02),
            (-inf, -1.5, negative, 0.135),
        ] {
            assert_eq!(fraction(lower, upper, &buckets(rows)), want, "{lower} to {upper}");
        }
        assert!(fraction(0.0, 1.0, &buckets(&[(1.0, 0.0), (inf, 0.0)])).is_nan());
    }
}

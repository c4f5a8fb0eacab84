//! Calls: which function, and whether its arguments fit.

use super::build::{Builder, bad};
use super::selector::matchers;
use super::{
    HistogramFunction, MapFunction, Plan, RangeFunction, RangePlan, Relabel, ScalarPlan, SortOrder, VectorPlan,
};
use crate::grid::Shift;
use crate::syntax::{Call, Expr, Fault, Kind};
use hashbrown::HashSet;
use sealine_base::excerpt::excerpt;
use sealine_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Pattern};

/// Bytes of a pattern that an error quotes.
const QUOTED_BYTES_MAX: usize = 200;

impl Builder {
    /// A call that starts at byte `at`.
    pub fn call(&mut self, call: &Call, at: usize) -> Result<Plan, Fault> {
        super::arity::check(call, at)?;
        let (name, arguments) = (call.name.as_str(), &call.arguments[..]);
        let place = format!("call to function {name:?}");
        let seconds = |ms: i64| Ok(Plan::Scalar(ScalarPlan::Number(ms as f64 / 1000.0)));
        if let Some(function) = RangeFunction::named(name) {
            return self.over_range(function, arguments, &place).map(Plan::Vector);
        }
        if let Some(function) = MapFunction::named(name) {
            return self.map(function, arguments, &place).map(Plan::Vector);
        }
        match (name, arguments) {
            ("time", _) => Ok(Plan::Scalar(ScalarPlan::Time)),
            ("pi", _) => Ok(Plan::Scalar(ScalarPlan::Number(std::f64::consts::PI))),
            ("start", _) => seconds(self.times.start()),
            ("end", _) => seconds(self.times.end()),
            ("range", _) => seconds(self.times.end() - self.times.start()),
            ("step", _) => seconds(self.times.step()),
            ("min_of", [a, b]) => {
                let (a, b) = (Box::new(self.scalar(a, &place)?), Box::new(self.scalar(b, &place)?));
                Ok(Plan::Scalar(ScalarPlan::Least(a, b)))
            }
            ("max_of", [a, b]) => {
                let (a, b) = (Box::new(self.scalar(a, &place)?), Box::new(self.scalar(b, &place)?));
                Ok(Plan::Scalar(ScalarPlan::Greatest(a, b)))
            }
            ("scalar", [vector]) => Ok(Plan::Scalar(ScalarPlan::OfVector(Box::new(self.vector(vector, &place)?)))),
            ("vector", [scalar]) => Ok(Plan::Vector(VectorPlan::OfScalar(self.scalar(scalar, &place)?))),
            ("timestamp", [argument]) => Ok(Plan::Vector(match self.vector(argument, &place)? {
                VectorPlan::Selector(selector) if is_selector(argument) => VectorPlan::SampleTimes(selector),
                vector => map(MapFunction::StepTime, Vec::new(), vector),
            })),
            ("absent", [vector]) => {
                let labels = absent_labels(vector);
                Ok(Plan::Vector(VectorPlan::Absent { labels, vector: Box::new(self.vector(vector, &place)?) }))
            }
            ("absent_over_time", [range]) => {
                let labels = absent_labels(range);
                Ok(Plan::Vector(VectorPlan::AbsentOverTime { labels, range: self.range(range, &place)? }))
            }
            ("sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc", [vector, labels @ ..]) => {
                let vector = Box::new(self.vector(vector, &place)?);
                let names = labels.iter().map(|label| self.string(label, &place)).collect::<Result<Vec<_>, _>>()?;
                let descending = name.ends_with("_desc");
                let order = match name {
                    "sort" | "sort_desc" => SortOrder::Value { descending },
                    _ => SortOrder::Labels { names, descending },
                };
                Ok(Plan::Vector(VectorPlan::Sort { order, vector, place: self.place_at(at) }))
            }
            ("label_replace", [vector, target, replacement, source, pattern]) => {
                let vector = Box::new(self.vector(vector, &place)?);
                let (target, replacement) = (self.label(target, &place)?, self.string(replacement, &place)?);
                let (source, pattern) = (self.string(source, &place)?, self.pattern(pattern, &place)?);
                let relabel = Relabel::Replace { target, replacement, source, pattern };
                Ok(Plan::Vector(VectorPlan::Relabel { relabel, vector }))
            }
            ("label_join", [vector, target, separator, sources @ ..]) => {
                let vector = Box::new(self.vector(vector, &place)?);
                let (target, separator) = (self.label(target, &place)?, self.string(separator, &place)?);
                let sources = sources.iter().map(|source| self.label(source, &place)).collect::<Result<_, _>>()?;
                Ok(Plan::Vector(VectorPlan::Relabel { relabel: Relabel::Join { target, separator, sources }, vector }))
            }
            ("histogram_quantile", [quantile, vector]) => {
                let function = HistogramFunction::Quantile(self.scalar(quantile, &place)?);
                self.histogram(function, vector, quantile, &place)
            }
            ("histogram_quantiles", [vector, label, quantiles @ ..]) => {
                let first = quantiles.first().unwrap_or(label);
                let label = self.label(label, &place)?;
                let quantiles = quantiles.iter().map(|q| self.scalar(q, &place)).collect::<Result<Vec<_>, _>>()?;
                self.histogram(HistogramFunction::Quantiles { label, quantiles }, vector, first, &place)
            }
            ("histogram_fraction", [lower, upper, vector]) => {
                let first = lower;
                let (lower, upper) = (self.scalar(lower, &place)?, self.scalar(upper, &place)?);
                self.histogram(HistogramFunction::Fraction { lower, upper }, vector, first, &place)
            }
            (
                "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar",
                [vector],
            ) => {
                self.vector(vector, &place)?;
                Ok(Plan::Vector(VectorPlan::Nothing))
            }
            ("info", [vector, labels @ ..]) => self.info(vector, labels.first(), &place),
            _ => bad(at, format!("the function {name:?} cannot be called with {} arguments", arguments.len())),
        }
    }

    fn over_range(&mut self, function: RangeFunction, arguments: &[Expr], in_call: &str) -> Result<VectorPlan, Fault> {
        let (range, parameters) = match (function, arguments) {
            (RangeFunction::Quantile, [quantile, range]) => (range, std::slice::from_ref(quantile)),
            (_, arguments) => arguments.split_first().expect("`arity` asks for at least one argument"),
        };
        let place = self.place(&arguments[0]); // there is one: the range
        let range = self.range(range, in_call)?;
        let parameters =
            parameters.iter().map(|parameter| self.scalar(parameter, in_call)).collect::<Result<_, _>>()?;
        Ok(VectorPlan::OverRange { function, parameters, range, place })
    }

    fn map(&mut self, function: MapFunction, arguments: &[Expr], in_call: &str) -> Result<VectorPlan, Fault> {
        match arguments {
            // The date functions ask for the time of the step where they are given nothing.
            [] => Ok(map(function, Vec::new(), VectorPlan::OfScalar(ScalarPlan::Time))),
            [vector, parameters @ ..] => {
                let vector = self.vector(vector, in_call)?;
                let parameters: Result<Vec<_>, _> = parameters.iter().map(|p| self.scalar(p, in_call)).collect();
                Ok(map(function, parameters?, vector))
            }
        }
    }

    /// `parameter` is the argument that notes about the parameters point to.
    fn histogram(
        &mut self,
        function: HistogramFunction,
        vector: &Expr,
        parameter: &Expr,
        in_call: &str,
    ) -> Result<Plan, Fault> {
        let (place, parameter_place) = (self.place(vector), self.place(parameter));
        let vector = Box::new(self.vector(vector, in_call)?);
        Ok(Plan::Vector(VectorPlan::Histogram { function, vector, place, parameter_place }))
    }

    fn info(&mut self, vector: &Expr, labels: Option<&Expr>, in_call: &str) -> Result<Plan, Fault> {
        let vector = self.vector(vector, in_call)?;
        let matchers = match labels.map(|labels| (&labels.kind, labels.span.start)) {
            None => Vec::new(),
            Some((Kind::Selector(selector), _)) if selector.name.is_none() => {
                matchers(selector, &mut self.regex_steps)?
            }
            Some((_, at)) => return bad(at, "expected label selectors only as the second argument of info()"),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name() == METRIC_NAME);
        let asks = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(asks) {
            // What only says which metrics are not wanted means the others among those that are named as info metrics.
            let named = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
            names.push(named.expect("this expression compiles"));
        }
        Ok(Plan::Vector(VectorPlan::Info { shift: first_shift(&vector), vector: Box::new(vector), names, data }))
    }

    /// The pattern of `label_replace`.
    fn pattern(&mut self, written: &Expr, in_call: &str) -> Result<Pattern, Fault> {
        let at = written.span.start;
        let text = self.string(written, in_call)?;
        let pattern = Pattern::new(&text, self.regex_steps.0).map_err(|reason| {
            let quoted = excerpt(&text, QUOTED_BYTES_MAX);
            Fault::late(at, format!("invalid regular expression in label_replace(): {quoted:?}: {reason}"))
        })?;
        self.regex_steps.take(pattern.steps());
        Ok(pattern)
    }
}

/// Whether an argument is a selector as it stands: with a sign in front it is not.
fn is_selector(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Paren(inner) => is_selector(inner),
        kind => matches!(kind, Kind::Selector(_)),
    }
}

pub(super) fn map(function: MapFunction, parameters: Vec<ScalarPlan>, vector: VectorPlan) -> VectorPlan {
    VectorPlan::Map { function, parameters, vector: Box::new(vector) }
}

/// The shift of the first selector in a vector: info series are looked up where the samples were.
fn first_shift(vector: &VectorPlan) -> Shift {
    match vector {
        VectorPlan::Selector(selector) => selector.shift,
        VectorPlan::OverRange { range: RangePlan::Selector { selector, .. }, .. } => selector.shift,
        VectorPlan::OverRange { range: RangePlan::Subquery { vector, shift, .. }, .. } => {
            let inner = first_shift(vector);
            match inner.at {
                Some(_) => inner,
                None => Shift { at: shift.at, offset: shift.offset + inner.offset },
            }
        }
        VectorPlan::Map { vector, .. } | VectorPlan::WithScalar { vector, .. } => first_shift(vector),
        _ => Shift::default(),
    }
}

/// The labels of `absent(selector)`: those that an equality asks for, once.
fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match &expr.kind {
        Kind::Paren(inner) => return absent_labels(inner),
        Kind::Selector(selector) => &selector.matchers,
        Kind::Range(range) => &range.selector.matchers,
        _ => return Labels::empty(),
    };
    let (mut labels, mut seen) = (LabelsBuilder::default(), HashSet::new());
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}

//! Calls: which function, and whether its arguments fit.

use super::build::{Builder, bad};
use super::position::CallPosition;
use super::selector::selector;
use super::{
    HistogramFunction, MapFunction, Plan, RangeFunction, RangePlan, Relabel, ScalarPlan, SortOrder, VectorPlan,
};
use crate::promql::error::QueryError;
use crate::promql::grid::Shift;
use crate::promql::notes::Place;
use crate::series::{Labels, LabelsBuilder, METRIC_NAME, Matcher};
use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Call, Expr};

/// Memory that the compiled expression of one `label_replace` may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Builder<'_> {
    pub fn call(&mut self, call: &Call) -> Result<Plan, QueryError> {
        let position = self.next_call();
        let name = call.func.name;
        let place = format!("call to function {name:?}");
        let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
        let seconds = |ms: i64| Ok(Plan::Scalar(ScalarPlan::Number(ms as f64 / 1000.0)));
        if let Some(function) = RangeFunction::named(name) {
            return self.over_range(function, &arguments, &place, self.argument_place(&position, 0)).map(Plan::Vector);
        }
        if let Some(function) = MapFunction::named(name) {
            return self.map(function, &arguments, &place).map(Plan::Vector);
        }
        match (name, &arguments[..]) {
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
            ("timestamp", [vector]) => Ok(Plan::Vector(match self.vector(vector, &place)? {
                VectorPlan::Selector(selector) => VectorPlan::SampleTimes(selector),
                vector => map(MapFunction::StepTime, Vec::new(), vector),
            })),
            ("absent", [vector]) => {
                let labels = absent_labels(vector)?;
                Ok(Plan::Vector(VectorPlan::Absent { labels, vector: Box::new(self.vector(vector, &place)?) }))
            }
            ("absent_over_time", [range]) => {
                let labels = absent_labels(range)?;
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
                Ok(Plan::Vector(VectorPlan::Sort { order, vector, place: self.place(position.name) }))
            }
            ("label_replace" | "label_join", [vector, strings @ ..]) => {
                let vector = Box::new(self.vector(vector, &place)?);
                let strings = strings.iter().map(|s| self.string(s, &place)).collect::<Result<Vec<_>, _>>()?;
                Ok(Plan::Vector(VectorPlan::Relabel { relabel: relabel(name, strings)?, vector }))
            }
            ("histogram_quantile", [quantile, vector]) => {
                let function = HistogramFunction::Quantile(self.scalar(quantile, &place)?);
                let vector = self.vector(vector, &place)?;
                Ok(self.histogram(function, vector, &position, [1, 0]))
            }
            ("histogram_quantiles", [vector, label, quantiles @ ..]) => {
                let vector = self.vector(vector, &place)?;
                let label = label_name(self.string(label, &place)?)?;
                let quantiles = quantiles.iter().map(|q| self.scalar(q, &place)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.histogram(HistogramFunction::Quantiles { label, quantiles }, vector, &position, [0, 2]))
            }
            ("histogram_fraction", [lower, upper, vector]) => {
                let (lower, upper) = (self.scalar(lower, &place)?, self.scalar(upper, &place)?);
                let vector = self.vector(vector, &place)?;
                Ok(self.histogram(HistogramFunction::Fraction { lower, upper }, vector, &position, [2, 0]))
            }
            (
                "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar",
                [vector],
            ) => {
                self.vector(vector, &place)?;
                Ok(Plan::Vector(VectorPlan::Nothing))
            }
            ("info", [vector, selector @ ..]) => self.info(vector, selector.first().copied(), &place),
            _ => bad(format!("parse error: the function {name:?} is not supported with {} arguments", arguments.len())),
        }
    }

    fn over_range(
        &mut self,
        function: RangeFunction,
        arguments: &[&Expr],
        in_call: &str,
        place: Place,
    ) -> Result<VectorPlan, QueryError> {
        let (mut range, mut parameters) = (None, Vec::new());
        for argument in arguments {
            if argument.value_type() == ValueType::Matrix {
                range = Some(self.range(argument, in_call)?);
            } else {
                parameters.push(self.scalar(argument, in_call)?);
            }
        }
        match range {
            Some(range) => Ok(VectorPlan::OverRange { function, parameters, range, place }),
            None => bad(format!("parse error: expected type range vector in {in_call}, got none")),
        }
    }

    fn map(&mut self, function: MapFunction, arguments: &[&Expr], in_call: &str) -> Result<VectorPlan, QueryError> {
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

    /// `places` numbers the arguments that notes about the vector and about the parameters point to.
    fn histogram(
        &self,
        function: HistogramFunction,
        vector: VectorPlan,
        position: &CallPosition,
        places: [usize; 2],
    ) -> Plan {
        let [place, parameter_place] = places.map(|index| self.argument_place(position, index));
        Plan::Vector(VectorPlan::Histogram { function, vector: Box::new(vector), place, parameter_place })
    }

    fn info(&mut self, vector: &Expr, labels: Option<&Expr>, in_call: &str) -> Result<Plan, QueryError> {
        let vector = self.vector(vector, in_call)?;
        let matchers = match labels {
            None => Vec::new(),
            Some(Expr::VectorSelector(vector)) if vector.name.is_none() => selector(vector, self.times)?.matchers,
            Some(_) => return bad("parse error: expected label selectors only as the second argument of info()"),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name() == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        }
        Ok(Plan::Vector(VectorPlan::Info { shift: first_shift(&vector), vector: Box::new(vector), names, data }))
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
fn absent_labels(expr: &Expr) -> Result<Labels, QueryError> {
    let matchers = match expr {
        Expr::Paren(paren) => return absent_labels(&paren.expr),
        Expr::VectorSelector(selector) => &selector.matchers.matchers,
        Expr::MatrixSelector(matrix) => &matrix.vs.matchers.matchers,
        _ => return Ok(Labels::empty()),
    };
    let (mut labels, mut seen) = (LabelsBuilder::default(), Vec::new());
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        if matches!(matcher.op, ParsedOp::Equal) && !seen.contains(&&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    Ok(labels.build())
}

fn relabel(function: &str, strings: Vec<String>) -> Result<Relabel, QueryError> {
    match (function, <[String; 4]>::try_from(strings)) {
        ("label_replace", Ok([target, replacement, source, pattern])) => {
            let target = label_name(target)?;
            let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_BYTES_MAX).build();
            match regex {
                Ok(regex) => Ok(Relabel::Replace { target, replacement, source, regex }),
                Err(reason) => bad(format!("invalid regular expression in label_replace(): {pattern:?}: {reason}")),
            }
        }
        ("label_join", strings) => {
            let mut strings = strings.map_or_else(|strings| strings, Vec::from).into_iter();
            let (Some(target), Some(separator)) = (strings.next(), strings.next()) else {
                return bad("parse error: label_join needs the name of a label and a separator");
            };
            Ok(Relabel::Join { target: label_name(target)?, separator, sources: strings.collect() })
        }
        _ => bad("parse error: label_replace needs the name of a label, a replacement, a source label and a regex"),
    }
}

/// Any text may name a label, as long as there is some and it was valid UTF-8.
pub(super) fn label_name(name: String) -> Result<String, QueryError> {
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        return bad(format!("invalid label name {name:?}"));
    }
    Ok(name)
}

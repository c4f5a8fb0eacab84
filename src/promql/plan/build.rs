//! From text to plan: parses with `promql-parser`, checks what it leaves open, resolves every name and time.

use super::position::{CallPosition, outline};
use super::{
    Aggregation, Fold, Group, Grouping, HistogramFunction, MapFunction, Matching, Operator, Plan, RangeFunction,
    RangePlan, Relabel, ScalarPlan, SelectorPlan, SetOperator, Signature, SortOrder, VectorPlan,
};
use crate::promql::error::QueryError;
use crate::promql::grid::{Grid, Shift};
use crate::promql::notes::Place;
use crate::series::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, SubqueryExpr,
    VectorMatchCardinality, VectorSelector,
};
use std::time::{Duration, SystemTime};

/// Operators, calls and brackets beyond this many are refused: each may be a level of recursion in parser and engine.
const OPERATORS_MAX: usize = 1000;

/// Memory that the compiled expression of one `label_replace` may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Durations and times beyond this many milliseconds (30,000 years) are refused, so that sums cannot overflow.
pub(in crate::promql) const TIME_MAX: i64 = 1_000_000_000_000_000;

/// Parses and resolves `text` for evaluation over `grid`; `default_step` is the step of a subquery that names none.
pub(in crate::promql) fn build(text: &str, grid: Grid, default_step: i64) -> Result<Plan, QueryError> {
    let outline = outline(text);
    if outline.operators > OPERATORS_MAX {
        let got = outline.operators;
        return bad(format!(
            "parse error: the query has {got} operators and brackets, of which {OPERATORS_MAX} are allowed"
        ));
    }
    if let Some(at) = outline.byte_escape {
        let place = Place::new(text, at);
        return bad(format!(
            "parse error: the escape at {place} is no character; write the character itself or \\u and its number"
        ));
    }
    let expr = parse(text)?;
    let mut builder = Builder { text, grid, default_step, calls: outline.calls.into_iter() };
    let mut plan = builder.plan(&expr)?;
    super::reach::fix(&mut plan);
    Ok(plan)
}

/// How deep the plan of `text` can be at most.
pub(in crate::promql) fn levels(text: &str) -> usize {
    outline(text).operators
}

/// Parses with the crate, whose panics (should it have any) must not be ours.
fn parse(text: &str) -> Result<Expr, QueryError> {
    let parsed = std::panic::catch_unwind(|| promql_parser::parser::parse(text));
    let parsed = parsed.unwrap_or_else(|_| Err("the parser cannot make anything of this query".to_string()));
    parsed.map_err(|reason| QueryError::BadData(format!("parse error: {reason}")))
}

fn bad<T>(sentence: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::BadData(sentence.into()))
}

struct Builder<'a> {
    text: &'a str,
    grid: Grid,
    default_step: i64,
    calls: std::vec::IntoIter<CallPosition>,
}

impl Builder<'_> {
    fn plan(&mut self, expr: &Expr) -> Result<Plan, QueryError> {
        match expr {
            Expr::Paren(paren) => self.plan(&paren.expr),
            Expr::NumberLiteral(number) => Ok(Plan::Scalar(ScalarPlan::Number(number.val))),
            Expr::StringLiteral(string) => Ok(Plan::Text(string.val.clone())),
            Expr::VectorSelector(selector) => Ok(Plan::Vector(VectorPlan::Selector(self.selector(selector)?))),
            Expr::MatrixSelector(matrix) => {
                let range_ms = positive("range", matrix.range)?;
                Ok(Plan::Range(RangePlan::Selector { selector: self.selector(&matrix.vs)?, range_ms }))
            }
            Expr::Subquery(subquery) => Ok(Plan::Range(self.subquery(subquery)?)),
            Expr::Unary(unary) => match self.plan(&unary.expr)? {
                Plan::Scalar(ScalarPlan::Number(number)) => Ok(Plan::Scalar(ScalarPlan::Number(-number))),
                Plan::Scalar(scalar) => Ok(Plan::Scalar(ScalarPlan::Negate(Box::new(scalar)))),
                Plan::Vector(vector) => Ok(Plan::Vector(map(MapFunction::Negate, Vec::new(), vector))),
                other => bad(format!(
                    "parse error: unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    type_of(&other)
                )),
            },
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Plan::Vector),
            Expr::Call(call) => self.call(call),
            Expr::Extension(_) => bad("parse error: the query uses an extension that this server does not have"),
        }
    }

    fn vector(&mut self, expr: &Expr, place: &str) -> Result<VectorPlan, QueryError> {
        match self.plan(expr)? {
            Plan::Vector(vector) => Ok(vector),
            other => bad(wrong_type("instant vector", place, &other)),
        }
    }

    fn scalar(&mut self, expr: &Expr, place: &str) -> Result<ScalarPlan, QueryError> {
        match self.plan(expr)? {
            Plan::Scalar(scalar) => Ok(scalar),
            other => bad(wrong_type("scalar", place, &other)),
        }
    }

    fn range(&mut self, expr: &Expr, place: &str) -> Result<RangePlan, QueryError> {
        match self.plan(expr)? {
            Plan::Range(range) => Ok(range),
            other => bad(wrong_type("range vector", place, &other)),
        }
    }

    fn string(&mut self, expr: &Expr, place: &str) -> Result<String, QueryError> {
        match self.plan(expr)? {
            Plan::Text(text) => Ok(text),
            other => bad(wrong_type("string", place, &other)),
        }
    }

    fn selector(&self, selector: &VectorSelector) -> Result<SelectorPlan, QueryError> {
        let mut matchers = Vec::new();
        if let Some(name) = &selector.name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        if !selector.matchers.or_matchers.is_empty() {
            return bad(
                "parse error: `or` between matchers is not PromQL; use a regular expression or the operator `or`",
            );
        }
        for matcher in &selector.matchers.matchers {
            let op = match matcher.op {
                ParsedOp::Equal => MatchOp::Equal,
                ParsedOp::NotEqual => MatchOp::NotEqual,
                ParsedOp::Re(_) => MatchOp::Regex,
                ParsedOp::NotRe(_) => MatchOp::NotRegex,
            };
            let matcher = Matcher::new(&matcher.name, op, &matcher.value);
            matchers.push(matcher.map_err(|error| QueryError::BadData(format!("parse error: {error}")))?);
        }
        Ok(SelectorPlan { matchers, shift: self.shift(&selector.at, &selector.offset)? })
    }

    fn shift(&self, at: &Option<AtModifier>, offset: &Option<Offset>) -> Result<Shift, QueryError> {
        let at = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.grid.start),
            Some(AtModifier::End) => Some(self.grid.end()),
            Some(AtModifier::At(time)) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => milliseconds("time after @", after)?,
                Err(before) => -milliseconds("time after @", before.duration())?,
            }),
        };
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(duration)) => milliseconds("offset", *duration)?,
            Some(Offset::Neg(duration)) => -milliseconds("offset", *duration)?,
        };
        Ok(Shift { at, offset })
    }

    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<RangePlan, QueryError> {
        let range_ms = positive("range of a subquery", subquery.range)?;
        let step_ms = match subquery.step {
            Some(step) => positive("step of a subquery", step)?,
            None => self.default_step,
        };
        let shift = self.shift(&subquery.at, &subquery.offset)?;
        let vector = Box::new(self.vector(&subquery.expr, "subquery")?);
        Ok(RangePlan::Subquery { vector, range_ms, step_ms, shift })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Plan, QueryError> {
        let name = binary.op.to_string();
        let modifier = binary.modifier.as_ref();
        let (left, right) = (self.plan(&binary.lhs)?, self.plan(&binary.rhs)?);
        let (left_type, right_type) = (type_of(&left), type_of(&right));
        let filled = modifier.is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some());
        if let Some(operator) = set_operator(&name) {
            return match (left, right) {
                (Plan::Vector(_), Plan::Vector(_)) if filled => {
                    bad("parse error: filling in missing series not allowed for set operators")
                }
                (Plan::Vector(left), Plan::Vector(right)) => {
                    let (left, right) = (Box::new(left), Box::new(right));
                    Ok(Plan::Vector(VectorPlan::Set { operator, on: signature(modifier), left, right }))
                }
                _ => {
                    bad(format!("parse error: set operator {name:?} not allowed between {left_type} and {right_type}"))
                }
            };
        }
        let Some(operator) = operator(&name) else {
            return bad(format!("parse error: the operator {name:?} is not known"));
        };
        let bool = modifier.is_some_and(|m| m.return_bool);
        if bool && !operator.compares() {
            return bad("parse error: bool modifier can only be used on comparison operators");
        }
        let both_vectors = matches!((&left, &right), (Plan::Vector(_), Plan::Vector(_)));
        if filled && !both_vectors {
            return bad("parse error: filling in missing series only allowed between instant vectors");
        }
        match (left, right) {
            (Plan::Scalar(_), Plan::Scalar(_)) if operator.compares() && !bool => {
                bad("parse error: comparisons between scalars must use BOOL modifier")
            }
            (Plan::Scalar(left), Plan::Scalar(right)) => {
                Ok(Plan::Scalar(ScalarPlan::Binary(operator, Box::new(left), Box::new(right))))
            }
            (Plan::Scalar(scalar), Plan::Vector(vector)) => {
                let vector = Box::new(vector);
                Ok(Plan::Vector(VectorPlan::WithScalar { operator, bool, scalar, scalar_left: true, vector }))
            }
            (Plan::Vector(vector), Plan::Scalar(scalar)) => {
                let vector = Box::new(vector);
                Ok(Plan::Vector(VectorPlan::WithScalar { operator, bool, scalar, scalar_left: false, vector }))
            }
            (Plan::Vector(left), Plan::Vector(right)) => {
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(Plan::Vector(VectorPlan::Binary { operator, bool, matching: matching(modifier), left, right }))
            }
            _ => bad(format!(
                "parse error: binary expression must contain only scalar and instant vector types, got {left_type} {name} {right_type}"
            )),
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<VectorPlan, QueryError> {
        let position = self.next_call();
        let place = self.argument_place(&position, 0);
        let name = aggregate.op.to_string();
        let parameter = aggregate.param.as_deref();
        let scalar = |builder: &mut Self| match parameter {
            Some(expr) => builder.scalar(expr, &format!("parameter of {name}")),
            None => bad(format!("parse error: the aggregation {name} needs a parameter")),
        };
        let aggregation = match name.as_str() {
            "sum" => Aggregation::Fold(Fold::Sum),
            "avg" => Aggregation::Fold(Fold::Average),
            "min" => Aggregation::Fold(Fold::Min),
            "max" => Aggregation::Fold(Fold::Max),
            "count" => Aggregation::Fold(Fold::Count),
            "group" => Aggregation::Fold(Fold::Group),
            "stddev" => Aggregation::Fold(Fold::Deviation),
            "stdvar" => Aggregation::Fold(Fold::Variance),
            "quantile" => Aggregation::Quantile(scalar(self)?),
            "topk" => Aggregation::Rank { largest: true, count: scalar(self)? },
            "bottomk" => Aggregation::Rank { largest: false, count: scalar(self)? },
            "limitk" => Aggregation::Limit(scalar(self)?),
            "limit_ratio" => Aggregation::LimitRatio(scalar(self)?),
            "count_values" => match parameter {
                Some(expr) => Aggregation::CountValues(label_name(self.string(expr, "parameter of count_values")?)?),
                None => return bad("parse error: the aggregation count_values needs the name of a label"),
            },
            _ => return bad(format!("parse error: the aggregation {name:?} is not known")),
        };
        let grouping = match &aggregate.modifier {
            None => Grouping::By(Vec::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
        };
        let vector = Box::new(self.vector(&aggregate.expr, "aggregation expression")?);
        Ok(VectorPlan::Aggregate { aggregation, grouping, vector, place })
    }

    fn call(&mut self, call: &Call) -> Result<Plan, QueryError> {
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
            ("start", _) => seconds(self.grid.start),
            ("end", _) => seconds(self.grid.end()),
            ("range", _) => seconds(self.grid.end() - self.grid.start),
            ("step", _) => seconds(if self.grid.count == 1 { 0 } else { self.grid.step }),
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
                Ok(Plan::Vector(VectorPlan::Sort { order, vector, place: Place::new(self.text, position.name) }))
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

    fn info(&mut self, vector: &Expr, selector: Option<&Expr>, in_call: &str) -> Result<Plan, QueryError> {
        let vector = self.vector(vector, in_call)?;
        let matchers = match selector {
            None => Vec::new(),
            Some(Expr::VectorSelector(selector)) if selector.name.is_none() => self.selector(selector)?.matchers,
            Some(_) => return bad("parse error: expected label selectors only as the second argument of info()"),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name() == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        }
        Ok(Plan::Vector(VectorPlan::Info { shift: first_shift(&vector), vector: Box::new(vector), names, data }))
    }

    fn next_call(&mut self) -> CallPosition {
        self.calls.next().unwrap_or_default()
    }

    fn argument_place(&self, position: &CallPosition, index: usize) -> Place {
        Place::new(self.text, position.arguments.get(index).copied().unwrap_or(position.name))
    }
}

fn map(function: MapFunction, parameters: Vec<ScalarPlan>, vector: VectorPlan) -> VectorPlan {
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
fn label_name(name: String) -> Result<String, QueryError> {
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        return bad(format!("invalid label name {name:?}"));
    }
    Ok(name)
}

fn matching(modifier: Option<&BinModifier>) -> Matching {
    let group = match modifier.map(|m| &m.card) {
        Some(VectorMatchCardinality::ManyToOne(labels)) => Group::Left(labels.labels.clone()),
        Some(VectorMatchCardinality::OneToMany(labels)) => Group::Right(labels.labels.clone()),
        _ => Group::OneToOne,
    };
    let fill = modifier.map(|m| m.fill_values.clone()).unwrap_or_default();
    Matching { signature: signature(modifier), group, fill_left: fill.lhs, fill_right: fill.rhs }
}

fn signature(modifier: Option<&BinModifier>) -> Signature {
    match modifier.and_then(|m| m.matching.as_ref()) {
        Some(LabelModifier::Include(labels)) => Signature::On(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Signature::Ignoring(labels.labels.clone()),
        None => Signature::Ignoring(Vec::new()),
    }
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Modulo,
        "^" => Operator::Power,
        "atan2" => Operator::Atan2,
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        _ => return None,
    })
}

fn set_operator(name: &str) -> Option<SetOperator> {
    Some(match name {
        "and" => SetOperator::And,
        "or" => SetOperator::Or,
        "unless" => SetOperator::Unless,
        _ => return None,
    })
}

fn type_of(plan: &Plan) -> &'static str {
    match plan {
        Plan::Scalar(_) => "scalar",
        Plan::Text(_) => "string",
        Plan::Vector(_) => "instant vector",
        Plan::Range(_) => "range vector",
    }
}

fn wrong_type(want: &str, place: &str, got: &Plan) -> String {
    format!("parse error: expected type {want} in {place}, got {}", type_of(got))
}

fn positive(what: &str, duration: Duration) -> Result<i64, QueryError> {
    match milliseconds(what, duration)? {
        0 => bad(format!("parse error: the {what} is zero, it must be at least 1ms")),
        ms => Ok(ms),
    }
}

fn milliseconds(what: &str, duration: Duration) -> Result<i64, QueryError> {
    match i64::try_from(duration.as_millis()) {
        Ok(ms) if ms <= TIME_MAX => Ok(ms),
        _ => {
            bad(format!("parse error: the {what} is {}s, at most {}s are allowed", duration.as_secs(), TIME_MAX / 1000))
        }
    }
}

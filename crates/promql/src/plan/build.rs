//! From tree to plan: checks the types, and resolves every name and time.

use super::call::map;
use super::duration::positive;
use super::selector::{RegexSteps, selector, shift};
use super::{
    Aggregation, Fold, Group, Grouping, MapFunction, Matching, Operator, Plan, RangePlan, ScalarPlan, SetOperator,
    Signature, VectorPlan,
};
use crate::error::QueryError;
use crate::notes::Place;
use crate::syntax::{
    self, Aggregate, Aggregator, Binary, BinaryOp, Expr, Fault, Kind, Lines, Query, Sign, Subquery, quote, shortened,
};
use crate::value::TimeRange;

/// Parses a query, whose functions and types are not checked yet.
pub(crate) fn parse(text: &str) -> Result<Query<'_>, QueryError> {
    syntax::parse(text).map_err(|fault| QueryError::BadData(fault.in_text(text)))
}

/// Resolves a query for evaluation over `times`; `default_step` is the step of a subquery that names none.
pub(crate) fn build(
    query: &Query<'_>,
    times: TimeRange,
    default_step: i64,
    regex_steps_max: u64,
) -> Result<Plan, QueryError> {
    let regex_steps = RegexSteps(regex_steps_max);
    let mut builder = Builder { lines: Lines::new(query.text), times, default_step, regex_steps };
    let plan = builder.plan(&query.root);
    let mut plan = plan.map_err(|fault| match (fault.late, fault.in_text(query.text)) {
        (false, message) => QueryError::BadData(message),
        (true, message) => QueryError::Execution(message),
    })?;
    super::reach::fix(&mut plan);
    Ok(plan)
}

/// What a message shows of a string.
fn start_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(60)]
}

/// The query is at fault, at byte `at` of its text.
pub(super) fn bad<T>(at: usize, sentence: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(at, sentence))
}

/// Walks the tree.
pub(super) struct Builder {
    lines: Lines,
    pub times: TimeRange,
    default_step: i64,
    /// What is left for regular expressions.
    pub regex_steps: RegexSteps,
}

impl Builder {
    fn plan(&mut self, expr: &Expr) -> Result<Plan, Fault> {
        let at = expr.span.start;
        match &expr.kind {
            Kind::Paren(inner) => self.plan(inner),
            Kind::Number(number) => Ok(Plan::Scalar(ScalarPlan::Number(number.value))),
            Kind::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Plan::Text(text.to_string())),
                Err(_) => bad(at, format!("the string {} is not valid UTF-8", quote(start_of(bytes)))),
            },
            Kind::Selector(written) => {
                Ok(Plan::Vector(VectorPlan::Selector(selector(written, at, self.times, &mut self.regex_steps)?)))
            }
            Kind::Range(range) => {
                let range_ms = positive("range", &range.range, self.times)?;
                Ok(Plan::Range(RangePlan::Selector {
                    selector: selector(&range.selector, at, self.times, &mut self.regex_steps)?,
                    range_ms,
                }))
            }
            Kind::Subquery(subquery) => Ok(Plan::Range(self.subquery(subquery)?)),
            Kind::Unary(sign, operand) => match (sign, self.plan(operand)?) {
                (Sign::Plus, plan @ (Plan::Scalar(_) | Plan::Vector(_))) => Ok(plan),
                (Sign::Minus, Plan::Scalar(scalar)) => Ok(Plan::Scalar(ScalarPlan::Negate(Box::new(scalar)))),
                (Sign::Minus, Plan::Vector(vector)) => Ok(Plan::Vector(map(MapFunction::Negate, Vec::new(), vector))),
                (_, other) => bad(
                    at,
                    format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        type_of(&other)
                    ),
                ),
            },
            Kind::Binary(binary) => self.binary(binary, at),
            Kind::Aggregate(aggregate) => self.aggregate(aggregate).map(Plan::Vector),
            Kind::Call(call) => self.call(call, at),
        }
    }

    /// An argument that must be an instant vector; `place` names the call.
    pub fn vector(&mut self, expr: &Expr, place: &str) -> Result<VectorPlan, Fault> {
        match self.plan(expr)? {
            Plan::Vector(vector) => Ok(vector),
            other => wrong_type("instant vector", place, &other, expr),
        }
    }

    /// An argument that must be a scalar.
    pub fn scalar(&mut self, expr: &Expr, place: &str) -> Result<ScalarPlan, Fault> {
        match self.plan(expr)? {
            Plan::Scalar(scalar) => Ok(scalar),
            other => wrong_type("scalar", place, &other, expr),
        }
    }

    /// An argument that must be a range vector.
    pub fn range(&mut self, expr: &Expr, place: &str) -> Result<RangePlan, Fault> {
        match self.plan(expr)? {
            Plan::Range(range) => Ok(range),
            other => wrong_type("range vector", place, &other, expr),
        }
    }

    /// An argument that must be a string.
    pub fn string(&mut self, expr: &Expr, place: &str) -> Result<String, Fault> {
        match self.plan(expr)? {
            Plan::Text(text) => Ok(text),
            other => wrong_type("string", place, &other, expr),
        }
    }

    /// An argument that must be the name of a label: any text that is UTF-8 and not empty.
    pub fn label(&mut self, expr: &Expr, place: &str) -> Result<String, Fault> {
        let mut literal = expr;
        while let Kind::Paren(inner) = &literal.kind {
            literal = inner;
        }
        match &literal.kind {
            Kind::Text(bytes) if bytes.is_empty() || std::str::from_utf8(bytes).is_err() => {
                Err(Fault::late(literal.span.start, format!("invalid label name {}", quote(start_of(bytes)))))
            }
            _ => self.string(literal, place),
        }
    }

    fn subquery(&mut self, subquery: &Subquery) -> Result<RangePlan, Fault> {
        let range_ms = positive("range of a subquery", &subquery.range, self.times)?;
        let step_ms = match &subquery.step {
            Some(step) => positive("step of a subquery", step, self.times)?,
            None => self.default_step,
        };
        let shift = shift(&subquery.time, self.times)?;
        let vector = Box::new(self.vector(&subquery.expr, "subquery")?);
        Ok(RangePlan::Subquery { vector, range_ms, step_ms, shift })
    }

    fn binary(&mut self, binary: &Binary, at: usize) -> Result<Plan, Fault> {
        let (left, right) = (self.plan(&binary.left)?, self.plan(&binary.right)?);
        let (left_type, right_type) = (type_of(&left), type_of(&right));
        let (op_at, name) = (binary.op_span.start, binary.op.text());
        let filled = binary.fill_left.is_some() || binary.fill_right.is_some();
        let operator = match operator(binary.op) {
            Ok(operator) => operator,
            Err(operator) => {
                let (Plan::Vector(left), Plan::Vector(right)) = (left, right) else {
                    let sentence = format!("set operator {name:?} not allowed between {left_type} and {right_type}");
                    return bad(op_at, sentence);
                };
                if filled {
                    return bad(op_at, "filling in missing series not allowed for set operators");
                }
                if binary.group.is_some() {
                    return bad(op_at, format!("no grouping allowed for {name:?} operation"));
                }
                if binary.bool {
                    return bad(op_at, "bool modifier can only be used on comparison operators");
                }
                let (left, right) = (Box::new(left), Box::new(right));
                return Ok(Plan::Vector(VectorPlan::Set { operator, on: signature(binary), left, right }));
            }
        };
        let bool = binary.bool;
        if bool && !operator.compares() {
            return bad(op_at, "bool modifier can only be used on comparison operators");
        }
        if let (Some(matching), Some(group)) = (&binary.matching, &binary.group)
            && let Some(label) = matching.labels.iter().find(|label| matching.on && group.labels.contains(label))
        {
            let label = shortened(label);
            return bad(op_at, format!("label {label:?} must not occur in ON and GROUP clause at once"));
        }
        if !matches!((&left, &right), (Plan::Vector(_), Plan::Vector(_))) {
            if filled {
                return bad(op_at, "filling in missing series only allowed between instant vectors");
            }
            if binary.matching.as_ref().is_some_and(|matching| !matching.labels.is_empty()) {
                return bad(op_at, "vector matching only allowed between instant vectors");
            }
        }
        match (left, right) {
            (Plan::Scalar(_), Plan::Scalar(_)) if operator.compares() && !bool => {
                bad(op_at, "comparisons between scalars must use BOOL modifier")
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
                Ok(Plan::Vector(VectorPlan::Binary { operator, bool, matching: matching(binary), left, right }))
            }
            _ => bad(
                at,
                format!(
                    "binary expression must contain only scalar and instant vector types, got {left_type} {name} {right_type}"
                ),
            ),
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<VectorPlan, Fault> {
        let name = aggregate.op.text();
        let parameter = aggregate.parameter.as_ref();
        // The parser has seen to it that there is a parameter where one is needed.
        let first = parameter.unwrap_or(&aggregate.expr);
        let in_parameter = format!("parameter of {name}");
        let scalar = |builder: &mut Self| builder.scalar(first, &in_parameter);
        let aggregation = match aggregate.op {
            Aggregator::Sum => Aggregation::Fold(Fold::Sum),
            Aggregator::Avg => Aggregation::Fold(Fold::Average),
            Aggregator::Min => Aggregation::Fold(Fold::Min),
            Aggregator::Max => Aggregation::Fold(Fold::Max),
            Aggregator::Count => Aggregation::Fold(Fold::Count),
            Aggregator::Group => Aggregation::Fold(Fold::Group),
            Aggregator::Stddev => Aggregation::Fold(Fold::Deviation),
            Aggregator::Stdvar => Aggregation::Fold(Fold::Variance),
            Aggregator::Quantile => Aggregation::Quantile(scalar(self)?),
            Aggregator::TopK => Aggregation::Rank { largest: true, count: scalar(self)? },
            Aggregator::BottomK => Aggregation::Rank { largest: false, count: scalar(self)? },
            Aggregator::LimitK => Aggregation::Limit(scalar(self)?),
            Aggregator::LimitRatio => Aggregation::LimitRatio(scalar(self)?),
            Aggregator::CountValues => Aggregation::CountValues(self.label(first, &in_parameter)?),
        };
        let grouping = match &aggregate.grouping {
            None => Grouping::By(Vec::new()),
            Some(grouping) if grouping.without => Grouping::Without(grouping.labels.clone()),
            Some(grouping) => Grouping::By(grouping.labels.clone()),
        };
        let vector = Box::new(self.vector(&aggregate.expr, "aggregation expression")?);
        Ok(VectorPlan::Aggregate { aggregation, grouping, vector, place: self.place(first) })
    }

    /// Where an expression stands.
    pub fn place(&self, expr: &Expr) -> Place {
        self.place_at(expr.span.start)
    }

    /// Where byte `at` of the text is.
    pub fn place_at(&self, at: usize) -> Place {
        self.lines.place(at)
    }
}

fn matching(binary: &Binary) -> Matching {
    let group = match &binary.group {
        None => Group::OneToOne,
        Some(group) if group.left => Group::Left(group.labels.clone()),
        Some(group) => Group::Right(group.labels.clone()),
    };
    Matching { signature: signature(binary), group, fill_left: binary.fill_left, fill_right: binary.fill_right }
}

fn signature(binary: &Binary) -> Signature {
    match &binary.matching {
        None => Signature::Ignoring(Vec::new()),
        Some(matching) if matching.on => Signature::On(matching.labels.clone()),
        Some(matching) => Signature::Ignoring(matching.labels.clone()),
    }
}

/// An operator that computes or compares, or else one on sets.
fn operator(op: BinaryOp) -> Result<Operator, SetOperator> {
    Ok(match op {
        BinaryOp::And => return Err(SetOperator::And),
        BinaryOp::Or => return Err(SetOperator::Or),
        BinaryOp::Unless => return Err(SetOperator::Unless),
        BinaryOp::Add => Operator::Add,
        BinaryOp::Subtract => Operator::Subtract,
        BinaryOp::Multiply => Operator::Multiply,
        BinaryOp::Divide => Operator::Divide,
        BinaryOp::Modulo => Operator::Modulo,
        BinaryOp::Power => Operator::Power,
        BinaryOp::Atan2 => Operator::Atan2,
        BinaryOp::Equal => Operator::Equal,
        BinaryOp::NotEqual => Operator::NotEqual,
        BinaryOp::Less => Operator::Less,
        BinaryOp::LessOrEqual => Operator::LessOrEqual,
        BinaryOp::Greater => Operator::Greater,
        BinaryOp::GreaterOrEqual => Operator::GreaterOrEqual,
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

fn wrong_type<T>(want: &str, place: &str, got: &Plan, expr: &Expr) -> Result<T, Fault> {
    bad(expr.span.start, format!("expected type {want} in {place}, got {}", type_of(got)))
}

//! From text to plan: parses with `promql-parser`, checks what it leaves open, resolves every name and time.

use super::call::{label_name, map};
use super::position::{CallPosition, outline};
use super::selector::{positive, selector, shift};
use super::{
    Aggregation, Fold, Group, Grouping, MapFunction, Matching, Operator, Plan, RangePlan, ScalarPlan, SetOperator,
    Signature, VectorPlan,
};
use crate::promql::error::QueryError;
use crate::promql::notes::Place;
use crate::promql::value::TimeRange;
use promql_parser::parser::{
    AggregateExpr, BinModifier, BinaryExpr, Expr, LabelModifier, SubqueryExpr, VectorMatchCardinality,
};

/// Operators, calls and brackets beyond this many are refused: each may be a level of recursion in parser and engine.
const OPERATORS_MAX: usize = 1000;

/// Parses and resolves `text` for evaluation over `times`; `default_step` is the step of a subquery that names none.
pub(in crate::promql) fn build(text: &str, times: TimeRange, default_step: i64) -> Result<Plan, QueryError> {
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
    let mut builder = Builder { text, times, default_step, calls: outline.calls.into_iter() };
    let mut plan = builder.plan(&expr)?;
    super::reach::fix(&mut plan);
    Ok(plan)
}

/// How deep the plan of `text` can be at most.
pub(in crate::promql) fn levels(text: &str) -> usize {
    outline(text).operators
}

/// Parses with the crate, whose panics (should it have any) must not be ours.
pub(super) fn parse(text: &str) -> Result<Expr, QueryError> {
    let parsed = std::panic::catch_unwind(|| promql_parser::parser::parse(text));
    let parsed = parsed.unwrap_or_else(|_| Err("the parser cannot make anything of this query".to_string()));
    parsed.map_err(|reason| QueryError::BadData(format!("parse error: {reason}")))
}

/// The query is at fault.
pub(super) fn bad<T>(sentence: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::BadData(sentence.into()))
}

/// Walks the parser's tree, in the order of the text.
pub(super) struct Builder<'a> {
    text: &'a str,
    pub times: TimeRange,
    default_step: i64,
    calls: std::vec::IntoIter<CallPosition>,
}

impl Builder<'_> {
    fn plan(&mut self, expr: &Expr) -> Result<Plan, QueryError> {
        match expr {
            Expr::Paren(paren) => self.plan(&paren.expr),
            Expr::NumberLiteral(number) => Ok(Plan::Scalar(ScalarPlan::Number(number.val))),
            Expr::StringLiteral(string) => Ok(Plan::Text(string.val.clone())),
            Expr::VectorSelector(vector) => Ok(Plan::Vector(VectorPlan::Selector(selector(vector, self.times)?))),
            Expr::MatrixSelector(matrix) => {
                let range_ms = positive("range", matrix.range)?;
                Ok(Plan::Range(RangePlan::Selector { selector: selector(&matrix.vs, self.times)?, range_ms }))
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

    /// An argument that must be an instant vector; `place` names the call.
    pub fn vector(&mut self, expr: &Expr, place: &str) -> Result<VectorPlan, QueryError> {
        match self.plan(expr)? {
            Plan::Vector(vector) => Ok(vector),
            other => bad(wrong_type("instant vector", place, &other)),
        }
    }

    /// An argument that must be a scalar.
    pub fn scalar(&mut self, expr: &Expr, place: &str) -> Result<ScalarPlan, QueryError> {
        match self.plan(expr)? {
            Plan::Scalar(scalar) => Ok(scalar),
            other => bad(wrong_type("scalar", place, &other)),
        }
    }

    /// An argument that must be a range vector.
    pub fn range(&mut self, expr: &Expr, place: &str) -> Result<RangePlan, QueryError> {
        match self.plan(expr)? {
            Plan::Range(range) => Ok(range),
            other => bad(wrong_type("range vector", place, &other)),
        }
    }

    /// An argument that must be a string.
    pub fn string(&mut self, expr: &Expr, place: &str) -> Result<String, QueryError> {
        match self.plan(expr)? {
            Plan::Text(text) => Ok(text),
            other => bad(wrong_type("string", place, &other)),
        }
    }

    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<RangePlan, QueryError> {
        let range_ms = positive("range of a subquery", subquery.range)?;
        let step_ms = match subquery.step {
            Some(step) => positive("step of a subquery", step)?,
            None => self.default_step,
        };
        let shift = shift(&subquery.at, &subquery.offset, self.times)?;
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

    /// The positions of the call that the walk has come to.
    pub fn next_call(&mut self) -> CallPosition {
        self.calls.next().unwrap_or_default()
    }

    /// Where byte `offset` of the text is.
    pub fn place(&self, offset: usize) -> Place {
        Place::new(self.text, offset)
    }

    /// Where an argument of a call is.
    pub fn argument_place(&self, position: &CallPosition, index: usize) -> Place {
        self.place(position.arguments.get(index).copied().unwrap_or(position.name))
    }
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

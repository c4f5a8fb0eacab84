//! The tree of a query as it was written: brackets, modifiers and places are kept, and no name or time is resolved.

use sealine_model::MatchOp;

/// The bytes of the text that something was read from: `start` is the first, `end` the one behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of this one to the end of another.
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, with brackets and modifiers that belong to it.
    pub span: Span,
}

/// What an expression can be.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `5`, `-0x1f`, `Inf`, `1h30m`
    Number(Number),
    /// A string without its quotes. Escapes such as `\xff` can make bytes that are not UTF-8.
    Text(Vec<u8>),
    /// `up{job="a"} offset 5m`
    Selector(Selector),
    /// `up{job="a"}[5m]`
    Range(Box<Range>),
    /// `rate(up[1m])[1h:5m]`
    Subquery(Box<Subquery>),
    /// `-up`; a sign before a number is part of the number.
    Unary(Sign, Box<Expr>),
    /// `(up)`
    Paren(Box<Expr>),
    /// `up + on (job) down`
    Binary(Box<Binary>),
    /// `sum by (job) (up)`
    Aggregate(Box<Aggregate>),
    /// `rate(up[5m])`
    Call(Call),
}

/// A number. One that is written as a duration counts its seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The number, or the seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub duration: bool,
}

/// The sign before an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// An instant selector.
#[derive(Debug, Clone)]
pub struct Selector {
    /// The metric's name where it stands before the braces; in quotes inside of them it is a matcher.
    pub name: Option<String>,
    /// What stands in braces.
    pub matchers: Vec<LabelMatcher>,
    /// `@` and `offset`.
    pub time: TimeModifiers,
}

/// One condition in braces.
#[derive(Debug, Clone)]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    /// How it is compared.
    pub op: MatchOp,
    /// With what: a value, or an expression that is not compiled yet.
    pub value: String,
    /// Where the condition stands.
    pub span: Span,
}

/// `@` and `offset`, in whichever order they were written.
#[derive(Debug, Clone, Default)]
pub struct TimeModifiers {
    /// What stands behind `@`, and where.
    pub at: Option<(At, Span)>,
    /// What stands behind `offset`, a sign included: a duration expression, see [`Range::range`].
    pub offset: Option<Box<Expr>>,
}

/// The time that `@` fixes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Seconds since the Unix epoch.
    Time(f64),
    /// `start()`
    Start,
    /// `end()`
    End,
}

/// A range selector.
#[derive(Debug, Clone)]
pub struct Range {
    /// Which series.
    pub selector: Selector,
    /// How far back: a duration expression. The parser takes any expression in its place, so that whoever folds it
    /// into a number refuses what is none.
    pub range: Expr,
}

/// A subquery.
#[derive(Debug, Clone)]
pub struct Subquery {
    /// What is evaluated at each of its steps.
    pub expr: Expr,
    /// How far back: a duration expression.
    pub range: Expr,
    /// How far the steps are apart, where it says so: a duration expression.
    pub step: Option<Expr>,
    /// `@` and `offset`.
    pub time: TimeModifiers,
}

/// An operator between two operands.
#[derive(Debug, Clone)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    /// Whether `bool` follows it.
    pub bool: bool,
    /// `on (…)` or `ignoring (…)`.
    pub matching: Option<Matching>,
    /// `group_left (…)` or `group_right (…)`.
    pub group: Option<Group>,
    /// `fill_left (…)`: what stands in for a missing left side.
    pub fill_left: Option<f64>,
    /// `fill_right (…)`: what stands in for a missing right side.
    pub fill_right: Option<f64>,
    /// The left operand.
    pub left: Expr,
    /// The right operand.
    pub right: Expr,
}

/// Which labels two series must share to meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// Whether it says `on`; otherwise `ignoring`.
    pub on: bool,
    /// The labels in brackets.
    pub labels: Vec<String>,
}

/// Which side may have several series for one of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whether it says `group_left`; otherwise `group_right`.
    pub left: bool,
    /// The labels in brackets, to be copied from the other side.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// What is made of each group.
    pub op: Aggregator,
    /// `by (…)` or `without (…)`.
    pub grouping: Option<Grouping>,
    /// The `3` of `topk(3, up)`: there exactly if the aggregator takes one.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
}

/// How series are put into groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Whether it says `without`; otherwise `by`.
    pub without: bool,
    /// The labels in brackets.
    pub labels: Vec<String>,
}

/// A call of a function, which need not exist.
#[derive(Debug, Clone)]
pub struct Call {
    /// The function's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Expr>,
}

/// The operators between operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Atan2,
    Power,
}

impl BinaryOp {
    /// How tightly `^` binds: tighter than a sign before an operand, and than all others.
    pub const TIGHTEST: u8 = 6;

    const ALL: [(BinaryOp, &'static str); 16] = [
        (BinaryOp::Or, "or"),
        (BinaryOp::And, "and"),
        (BinaryOp::Unless, "unless"),
        (BinaryOp::Equal, "=="),
        (BinaryOp::NotEqual, "!="),
        (BinaryOp::Less, "<"),
        (BinaryOp::LessOrEqual, "<="),
        (BinaryOp::Greater, ">"),
        (BinaryOp::GreaterOrEqual, ">="),
        (BinaryOp::Add, "+"),
        (BinaryOp::Subtract, "-"),
        (BinaryOp::Multiply, "*"),
        (BinaryOp::Divide, "/"),
        (BinaryOp::Modulo, "%"),
        (BinaryOp::Atan2, "atan2"),
        (BinaryOp::Power, "^"),
    ];

    /// The operator that is written like this; words in any case.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, written)| written.eq_ignore_ascii_case(text)).map(|(op, _)| op)
    }

    /// As it is written.
    pub fn text(self) -> &'static str {
        Self::ALL.into_iter().find(|(op, _)| *op == self).map_or("", |(_, written)| written)
    }

    /// How tightly it binds, from 1 to [`BinaryOp::TIGHTEST`]. All but `^` group from the left.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual => 3,
            BinaryOp::Add | BinaryOp::Subtract => 4,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo | BinaryOp::Atan2 => 5,
            BinaryOp::Power => Self::TIGHTEST,
        }
    }
}

/// The aggregations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregator {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    CountValues,
    Quantile,
    LimitK,
    LimitRatio,
}

impl Aggregator {
    const ALL: [(Aggregator, &'static str); 14] = [
        (Aggregator::Sum, "sum"),
        (Aggregator::Avg, "avg"),
        (Aggregator::Count, "count"),
        (Aggregator::Min, "min"),
        (Aggregator::Max, "max"),
        (Aggregator::Group, "group"),
        (Aggregator::Stddev, "stddev"),
        (Aggregator::Stdvar, "stdvar"),
        (Aggregator::TopK, "topk"),
        (Aggregator::BottomK, "bottomk"),
        (Aggregator::CountValues, "count_values"),
        (Aggregator::Quantile, "quantile"),
        (Aggregator::LimitK, "limitk"),
        (Aggregator::LimitRatio, "limit_ratio"),
    ];

    /// The aggregation of that name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, text)| text.eq_ignore_ascii_case(name)).map(|(op, _)| op)
    }

    /// Its name in lower case.
    pub fn text(self) -> &'static str {
        Self::ALL.into_iter().find(|(op, _)| *op == self).map_or("", |(_, text)| text)
    }

    /// Whether it takes a parameter before the vector.
    pub fn takes_parameter(self) -> bool {
        use Aggregator::*;
        matches!(self, TopK | BottomK | CountValues | Quantile | LimitK | LimitRatio)
    }
}

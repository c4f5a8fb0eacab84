//! A query with everything resolved: types checked, names turned into values, times into milliseconds.
//!
//! There is one kind of node a PromQL type, so that what the types forbid cannot be written down.

mod arity;
mod build;
mod call;
mod duration;
mod function;
mod reach;
mod selector;

pub(super) use build::{build, parse};
pub use duration::TIME_MAX;
pub(super) use function::{DateFunction, MapFunction, RangeFunction};
pub use selector::parse_selector;

use super::grid::Shift;
use super::notes::Place;
use sealine_model::{Labels, Matcher, Pattern};

/// A whole query.
#[derive(Debug)]
pub(super) enum Plan {
    Scalar(ScalarPlan),
    Text(String),
    Vector(VectorPlan),
    Range(RangePlan),
}

/// One number a step.
#[derive(Debug)]
pub(super) enum ScalarPlan {
    Number(f64),
    /// `time()`, in seconds.
    Time,
    Negate(Box<ScalarPlan>),
    Binary(Operator, Box<ScalarPlan>, Box<ScalarPlan>),
    /// `scalar(vector)`
    OfVector(Box<VectorPlan>),
    /// `min_of` and `max_of`
    Least(Box<ScalarPlan>, Box<ScalarPlan>),
    Greatest(Box<ScalarPlan>, Box<ScalarPlan>),
}

/// Series with at most one value a step.
#[derive(Debug)]
pub(super) enum VectorPlan {
    Selector(SelectorPlan),
    /// `timestamp(selector)`: the times of the samples that the selector picks, in seconds.
    SampleTimes(SelectorPlan),
    /// `vector(scalar)`
    OfScalar(ScalarPlan),
    /// A function that only makes sense for native histograms, which we do not have.
    Nothing,
    /// A function of a range vector.
    OverRange {
        function: RangeFunction,
        parameters: Vec<ScalarPlan>,
        range: RangePlan,
        place: Place,
    },
    /// A function of each value by itself.
    Map {
        function: MapFunction,
        parameters: Vec<ScalarPlan>,
        vector: Box<VectorPlan>,
    },
    Relabel {
        relabel: Relabel,
        vector: Box<VectorPlan>,
    },
    Sort {
        order: SortOrder,
        vector: Box<VectorPlan>,
        place: Place,
    },
    /// `absent(vector)`, with the labels that the answer has.
    Absent {
        labels: Labels,
        vector: Box<VectorPlan>,
    },
    AbsentOverTime {
        labels: Labels,
        range: RangePlan,
    },
    Histogram {
        function: HistogramFunction,
        vector: Box<VectorPlan>,
        place: Place,
        parameter_place: Place,
    },
    Aggregate {
        aggregation: Aggregation,
        grouping: Grouping,
        vector: Box<VectorPlan>,
        place: Place,
    },
    /// A vector and a scalar: `scalar_left` says which side the scalar is on.
    WithScalar {
        operator: Operator,
        bool: bool,
        scalar: ScalarPlan,
        scalar_left: bool,
        vector: Box<VectorPlan>,
    },
    Binary {
        operator: Operator,
        bool: bool,
        matching: Matching,
        left: Box<VectorPlan>,
        right: Box<VectorPlan>,
    },
    Set {
        operator: SetOperator,
        on: Signature,
        left: Box<VectorPlan>,
        right: Box<VectorPlan>,
    },
    /// `info(vector, selector)`
    Info {
        vector: Box<VectorPlan>,
        names: Vec<Matcher>,
        data: Vec<Matcher>,
        shift: Shift,
    },
    /// An expression that is the same at every step, because `@` fixes all its times: evaluated once.
    Fixed(Box<VectorPlan>),
}

/// Series with samples in a window a step.
#[derive(Debug)]
pub(super) enum RangePlan {
    Selector { selector: SelectorPlan, range_ms: i64 },
    Subquery { vector: Box<VectorPlan>, range_ms: i64, step_ms: i64, shift: Shift },
}

/// What to select, and at which time.
#[derive(Debug)]
pub(super) struct SelectorPlan {
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
}

/// `+ - * / % ^ atan2` and the comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `and`, `or`, `unless`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetOperator {
    And,
    Or,
    Unless,
}

/// Which labels two series must share to meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signature {
    /// `on (…)`: these.
    On(Vec<String>),
    /// `ignoring (…)`: all but these and the metric name.
    Ignoring(Vec<String>),
}

/// How the two sides of an operator between vectors meet.
#[derive(Debug, Clone)]
pub(super) struct Matching {
    pub signature: Signature,
    pub group: Group,
    /// What stands in for a missing left or right side.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// Which side may have several series for one of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Group {
    OneToOne,
    /// `group_left (…)`: many on the left; the labels are copied from the right.
    Left(Vec<String>),
    /// `group_right (…)`: many on the right; the labels are copied from the left.
    Right(Vec<String>),
}

/// `by (…)` and `without (…)`; without either it is `By` nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// What an aggregation makes of the values of a group.
#[derive(Debug)]
pub(super) enum Aggregation {
    /// One value a group, folded as the series come.
    Fold(Fold),
    Quantile(ScalarPlan),
    CountValues(String),
    /// `topk`, `bottomk`
    Rank {
        largest: bool,
        count: ScalarPlan,
    },
    /// `limitk`
    Limit(ScalarPlan),
    /// `limit_ratio`
    LimitRatio(ScalarPlan),
}

/// The aggregations that fold one series after the other into a value a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Average,
    Min,
    Max,
    Count,
    Group,
    Deviation,
    Variance,
}

/// What a function does to the labels of each series.
#[derive(Debug)]
pub(super) enum Relabel {
    Replace { target: String, replacement: String, source: String, pattern: Pattern },
    Join { target: String, separator: String, sources: Vec<String> },
}

/// The order that a sorting function asks for. `descending` turns it round.
#[derive(Debug)]
pub(super) enum SortOrder {
    Value { descending: bool },
    Labels { names: Vec<String>, descending: bool },
}

/// What is computed from classic histograms: series that differ in `le` only.
#[derive(Debug)]
pub(super) enum HistogramFunction {
    Quantile(ScalarPlan),
    /// `histogram_quantiles(vector, label, …)`: each quantile becomes a series with its number in the label.
    Quantiles {
        label: String,
        quantiles: Vec<ScalarPlan>,
    },
    Fraction {
        lower: ScalarPlan,
        upper: ScalarPlan,
    },
}

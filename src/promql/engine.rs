//! The door to the engine: takes a request, gives an answer.

use super::error::QueryError;
use super::eval::{self, Held, Run, Trimmed};
use super::grid::Grid;
use super::limits::{Budget, Limits};
use super::notes::Notes;
use super::plan::{self, Plan, RangePlan, TIME_MAX};
use super::source::{Samples, Source};
use super::value::{Answer, Point, QueryStats, Request, Series, TimeRange, Value};
use crate::clock;
use crate::series::Labels;
use hashbrown::{HashMap, HashSet};

/// A query that may nest deeper than this is evaluated on a thread of its own.
const LEVELS_HERE_MAX: usize = 64;

/// Stack of that thread, of which only what is touched costs memory: 32 KiB for each level that a query may have.
const DEEP_STACK_BYTES: usize = 32 << 20;

/// How an engine is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How far an instant selector looks back for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Threads that one query may use. The answer does not depend on it.
    pub threads: usize,
    /// What one query may cost.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options { lookback_ms: 300_000, subquery_step_ms: 60_000, threads, limits: Limits::default() }
    }
}

/// Evaluates PromQL over any [`Source`]. Holds nothing but its options: one engine serves all queries at once.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    options: Options,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: Options) -> Self {
        Engine { options }
    }

    /// Checks that `text` is a query that this engine can evaluate, without evaluating it.
    pub fn check(&self, text: &str) -> Result<(), QueryError> {
        with_stack_for(text, || {
            plan::build(text, TimeRange::Instant { at: 0 }, self.options.subquery_step_ms).map(drop)
        })
    }

    /// Evaluates a query.
    ///
    /// # Errors
    /// [`QueryError`] says whose fault it is and how to put it right; nothing is answered in part.
    pub fn query(&self, source: &dyn Source, request: &Request<'_>) -> Result<Answer, QueryError> {
        with_stack_for(request.text, || self.evaluate(source, request))
    }

    fn evaluate(&self, source: &dyn Source, request: &Request<'_>) -> Result<Answer, QueryError> {
        let started = clock::instant();
        let grid = grid_of(request.range)?;
        let lookback_ms = request.lookback_ms.unwrap_or(self.options.lookback_ms);
        if !(1..=TIME_MAX).contains(&lookback_ms) {
            return Err(QueryError::BadData(format!("the lookback is {lookback_ms}ms, it must be at least 1ms")));
        }
        let budget = Budget::new(self.options.limits.clone(), request.deadline, request.cancel.clone());
        budget.plan_steps(grid.count)?;
        let plan = plan::build(request.text, request.range, self.options.subquery_step_ms)?;
        let run = Run { source, budget, notes: Notes::default(), lookback_ms, threads: self.options.threads };
        let value = match request.range {
            TimeRange::Instant { .. } => at_instant(&run, &plan, grid)?,
            TimeRange::Range { .. } => over_range(&run, &plan, grid)?,
        };
        let (series, samples, points) = run.budget.totals();
        let (warnings, infos) = run.notes.finish();
        Ok(Answer {
            value,
            warnings,
            infos,
            stats: QueryStats { series, samples, points, elapsed: clock::instant() - started },
        })
    }
}

/// Runs `work` here, or for a query that nests deeply on a thread whose stack is large enough for any plan.
fn with_stack_for<T: Send>(text: &str, work: impl FnOnce() -> Result<T, QueryError> + Send) -> Result<T, QueryError> {
    if plan::levels(text) <= LEVELS_HERE_MAX {
        return work();
    }
    std::thread::scope(|scope| {
        let deep = std::thread::Builder::new().name("promql-deep".into()).stack_size(DEEP_STACK_BYTES);
        match deep.spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                Err(QueryError::Execution(format!("cannot start a thread for a deeply nested query: {error}")))
            }
        }
    })
}

fn grid_of(range: TimeRange) -> Result<Grid, QueryError> {
    let bad = |sentence: String| Err(QueryError::BadData(sentence));
    let (start, end, step) = match range {
        TimeRange::Instant { at } => (at, at, 1),
        TimeRange::Range { start, end, step } => (start, end, step),
    };
    for time in [start, end] {
        if !(-TIME_MAX..=TIME_MAX).contains(&time) {
            return bad(format!("the time {time}ms is out of range, it must be within {TIME_MAX}ms of 1970"));
        }
    }
    if step <= 0 || step > TIME_MAX {
        return bad(format!("the step is {step}ms, it must be at least 1ms"));
    }
    if end < start {
        return bad(format!("the end of the range, {end}ms, is before its start, {start}ms"));
    }
    Ok(Grid::new(start, end, step))
}

fn at_instant<'q>(run: &'q Run<'q>, plan: &'q Plan, grid: Grid) -> Result<Value, QueryError> {
    let time = grid.start;
    Ok(match plan {
        Plan::Text(text) => Value::String(time, text.clone()),
        Plan::Scalar(plan) => Value::Scalar(Point { time, value: eval::scalar(run, plan, grid)?[0] }),
        Plan::Vector(plan) => {
            let named = clean(Held::of(run, &*eval::vector(run, plan, grid)?, 1)?)?;
            let point = |column: Trimmed| Point { time, value: column.at(0) };
            Value::Vector(named.into_iter().map(|(labels, column)| (labels, point(column))).collect())
        }
        Plan::Range(plan) => Value::Matrix(windows(run, plan, grid)?),
    })
}

fn over_range<'q>(run: &'q Run<'q>, plan: &'q Plan, grid: Grid) -> Result<Value, QueryError> {
    let point = |(step, value)| Point { time: grid.time(step), value };
    let refuse = |what: &str| {
        let sentence = format!("invalid expression type {what:?} for range query, must be Scalar or instant Vector");
        Err(QueryError::BadData(sentence))
    };
    match plan {
        Plan::Text(_) => refuse("string"),
        Plan::Range(_) => refuse("range vector"),
        Plan::Scalar(plan) => {
            let points = eval::scalar(run, plan, grid)?.into_iter().enumerate().map(point);
            Ok(Value::Matrix(vec![Series { labels: Labels::empty(), points: points.collect() }]))
        }
        Plan::Vector(plan) => {
            let named = clean(Held::of(run, &*eval::vector(run, plan, grid)?, grid.count)?)?;
            let points = |column: Trimmed| column.present().map(point).collect();
            let series = named.into_iter().map(|(labels, column)| Series { labels, points: points(column) });
            let mut series: Vec<Series> = series.collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Matrix(series))
        }
    }
}

/// Takes away the names that are to go. Series that come to be the same take turns, or fail the query.
fn clean(held: Held) -> Result<Vec<(Labels, Trimmed)>, QueryError> {
    let mut named: Vec<(Labels, Trimmed)> = Vec::with_capacity(held.series.len());
    let mut numbers: HashMap<Labels, usize> = HashMap::with_capacity(held.series.len());
    for (metric, column) in held.series {
        let labels = metric.into_labels();
        let number = *numbers.entry(labels.clone()).or_insert(named.len());
        if number == named.len() {
            named.push((labels, column));
        } else if !named[number].1.take_turns(&column) {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".into()));
        }
    }
    Ok(named)
}

/// The samples themselves, of an instant query of a range vector.
fn windows<'q>(run: &'q Run<'q>, plan: &'q RangePlan, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let range = eval::range(run, plan, grid)?;
    let (mut series, mut seen) = (Vec::new(), HashSet::new());
    let (mut scratch, mut samples) = (run.scratch(), Samples::default());
    for index in 0..range.len() {
        range.read(index, &mut scratch, &mut samples)?;
        if samples.is_empty() {
            continue;
        }
        run.budget.hold_points(samples.len() * 2)?;
        let labels = range.metric(index).into_labels();
        if !seen.insert(labels.clone()) {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".into()));
        }
        let points =
            samples.times.iter().zip(&samples.values).map(|(time, value)| Point { time: *time, value: *value });
        series.push(Series { labels, points: points.collect() });
    }
    series.sort_by(|a: &Series, b: &Series| a.labels.cmp(&b.labels));
    Ok(series)
}

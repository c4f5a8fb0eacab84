//! The door to the engine: takes a request, gives an answer.

use super::budget::Budget;
use super::error::QueryError;
use super::eval::{self, Held, Metric, Run, Semaphore, Tally, Trimmed};
use super::grid::Grid;
use super::limits::Limits;
use super::notes::Notes;
use super::plan::{self, Plan, RangePlan, TIME_MAX};
use super::syntax::{Query, pretty};
use super::value::{Answer, Point, QueryStats, Request, Series, TimeRange, Value};
use hashbrown::{HashMap, HashSet};
use sealine_base::clock;
use sealine_base::pools::Pools;
use sealine_model::{Labels, Samples, Source};
use std::sync::Arc;

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
    /// Threads that one query may use, and all together. The answer does not depend on it.
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

/// Evaluates PromQL over any [`Source`]. Holds nothing but its options, an account of memory, and the permits that queries
/// share: one engine serves all queries at once.
#[derive(Debug, Clone)]
pub struct Engine {
    options: Options,
    pools: Arc<Pools>,
    permits: Arc<Semaphore>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new(Options::default())
    }
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: Options) -> Self {
        let permits = Arc::new(Semaphore::new(options.threads));
        Engine { options, pools: Arc::default(), permits }
    }

    /// Has what queries hold counted in these pools, and refused where they are full.
    pub fn with_pools(self, pools: Arc<Pools>) -> Self {
        Engine { pools, ..self }
    }

    /// Checks that `text` is a query that this engine can evaluate, without evaluating it.
    pub fn check(&self, text: &str) -> Result<(), QueryError> {
        let query = self.parse(text)?;
        with_stack_for(query.levels, || self.check_plan(&query))
    }

    /// Checks a query as [`Engine::check`] does, and writes it the way Prometheus formats queries.
    pub fn format(&self, text: &str) -> Result<String, QueryError> {
        let query = self.parse(text)?;
        with_stack_for(query.levels, || self.check_plan(&query).map(|()| pretty(&query.root)))
    }

    fn check_plan(&self, query: &Query<'_>) -> Result<(), QueryError> {
        plan::build(
            query,
            TimeRange::Instant { at: 0 },
            self.options.subquery_step_ms,
            self.options.limits.regex_steps_max,
        )
        .map(drop)
    }

    /// Evaluates a query.
    ///
    /// # Errors
    /// [`QueryError`] says whose fault it is and how to put it right; nothing is answered in part.
    pub fn query(&self, source: &dyn Source, request: &Request<'_>) -> Result<Answer, QueryError> {
        let query = self.parse(request.text)?;
        with_stack_for(query.levels, || self.evaluate(source, request, &query))
    }

    /// Parses a text, unless it is too long to look at.
    fn parse<'t>(&self, text: &'t str) -> Result<Query<'t>, QueryError> {
        let (got, most) = (text.len(), self.options.limits.text_bytes_max);
        if got > most {
            return Err(QueryError::BadData(format!(
                "the query has {got} bytes, {most} are allowed; shorten it or raise `query.max_text_bytes`"
            )));
        }
        plan::parse(text)
    }

    fn evaluate(&self, source: &dyn Source, request: &Request<'_>, query: &Query<'_>) -> Result<Answer, QueryError> {
        let started = clock::instant();
        let grid = grid_of(request.range)?;
        let lookback_ms = request.lookback_ms.unwrap_or(self.options.lookback_ms);
        if !(1..=TIME_MAX).contains(&lookback_ms) {
            return Err(QueryError::BadData(format!("the lookback is {lookback_ms}ms, it must be at least 1ms")));
        }
        let (limits, pools) = (&self.options.limits, self.pools.clone());
        let budget = Budget::new(limits.clone(), request.deadline, request.cancel.clone(), pools);
        budget.plan_steps(grid.count)?;
        let plan = plan::build(query, request.range, self.options.subquery_step_ms, limits.regex_steps_max)?;
        let tally = request.count_steps.then(|| Tally::new(grid));
        let (notes, threads) = (Notes::default(), self.options.threads);
        let run = Run { source, budget, notes, tally, lookback_ms, threads, permits: &self.permits };
        let value = match request.range {
            TimeRange::Instant { .. } => at_instant(&run, &plan, grid)?,
            TimeRange::Range { .. } => over_range(&run, &plan, grid)?,
        };
        let (series, samples, bytes) = run.budget.totals();
        let samples_per_step = run.tally.map(Tally::finish);
        let (warnings, infos) = run.notes.finish();
        Ok(Answer {
            value,
            warnings,
            infos,
            stats: QueryStats { series, samples, samples_per_step, bytes, elapsed: clock::instant() - started },
        })
    }
}

/// Runs `work` here, or for a query whose tree has many levels on a thread whose stack is large enough for any tree.
fn with_stack_for<T: Send>(
    levels: usize,
    work: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    if levels <= LEVELS_HERE_MAX {
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
            let held = Held::of(run, &*eval::vector(run, plan, grid)?, 1)?;
            let named = clean(held.series)?;
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
            let Held { series, hold: _hold } = Held::of(run, &*eval::vector(run, plan, grid)?, grid.count)?;
            let named = clean(series)?;
            let points: usize = named.iter().map(|(_, column)| column.len()).sum();
            let _answer = run.budget.hold(points * size_of::<Point>())?;
            let points = |column: Trimmed| column.present().map(point).collect();
            let series = named.into_iter().map(|(labels, column)| Series { labels, points: points(column) });
            let mut series: Vec<Series> = series.collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(Value::Matrix(series))
        }
    }
}

/// Takes away the names that are to go. Series that come to be the same take turns, or fail the query.
fn clean(series: Vec<(Metric, Trimmed)>) -> Result<Vec<(Labels, Trimmed)>, QueryError> {
    let mut named: Vec<(Labels, Trimmed)> = Vec::with_capacity(series.len());
    let mut numbers: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    for (metric, column) in series {
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
    let mut hold = run.budget.hold(0)?;
    for index in 0..range.len() {
        range.read(index, &mut scratch, &mut samples)?;
        if samples.is_empty() {
            continue;
        }
        run.budget.grow(&mut hold, samples.len() * size_of::<Point>())?;
        run.count_windows(range.windows(), &samples.times);
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

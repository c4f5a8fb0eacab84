//! One query of a script and what must come of it.

use super::script::Point;
use regex::Regex;
use sealine_model::{Labels, Source};
use sealine_promql::{Answer, Engine, QueryError, Request, TimeRange, Value};

/// Values agree within this, relative to their size.
const TOLERANCE: f64 = 1e-6;

/// When a case asks; milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Times {
    Instant(i64),
    Range(i64, i64, i64),
}

impl Default for Times {
    fn default() -> Self {
        Times::Instant(0)
    }
}

/// What a message must look like.
pub enum Check {
    Text(String),
    Pattern(Regex),
}

impl Check {
    pub fn pattern(pattern: &str) -> Option<Self> {
        Regex::new(pattern).ok().map(Check::Pattern)
    }

    fn fits(&self, message: &str) -> bool {
        match self {
            Check::Text(text) => message.contains(text.as_str()),
            Check::Pattern(pattern) => pattern.is_match(message),
        }
    }
}

/// One query and its expectations. `None` and `false` expect nothing.
#[derive(Default)]
pub struct Case {
    pub query: String,
    pub times: Times,
    pub series: Vec<(Labels, Vec<Point>)>,
    pub scalar: Option<f64>,
    pub string: Option<String>,
    /// The answer is a range vector over these times: start, end, step.
    pub window: Option<(i64, i64, i64)>,
    pub ordered: bool,
    /// The query fails, and the message passes all of these.
    pub fail: Option<Vec<Check>>,
    /// There are warnings; where there are checks, each is met and each warning meets one.
    pub warn: Option<Vec<Check>>,
    pub info: Option<Vec<Check>>,
    pub no_warn: bool,
    pub no_info: bool,
}

impl Case {
    /// Asks, and compares; says what is wrong.
    pub fn run(&self, engine: &Engine, source: &dyn Source) -> Result<(), String> {
        let ask = |range| engine.query(source, &Request::new(&self.query, range));
        let range = match self.times {
            Times::Instant(at) => TimeRange::Instant { at },
            Times::Range(start, end, step) => TimeRange::Range { start, end, step },
        };
        let answer = ask(range);
        let Some(answer) = self.check_failure(answer)? else { return Ok(()) };
        self.check_notes(&answer)?;
        self.check_value(&answer.value)?;
        // The middle of a range query must say the same as an instant query.
        let Times::Instant(at) = self.times else { return Ok(()) };
        let is_point = matches!(answer.value, Value::Vector(_) | Value::Scalar(_));
        let asks_range = ["start()", "end()", "range()", "step()"].iter().any(|call| self.query.contains(call));
        if !is_point || self.ordered || asks_range {
            return Ok(());
        }
        let range = TimeRange::Range { start: at - 60_000, end: at + 60_000, step: 60_000 };
        let answer = ask(range).map_err(|error| format!("asked as a range query: {error}"))?;
        let Value::Matrix(matrix) = answer.value else { return Err("a range query gives a matrix".into()) };
        let middle = matrix.into_iter().filter_map(|series| {
            let point = series.points.iter().copied().find(|point| point.time == at)?;
            Some((series.labels, point))
        });
        let middle: Vec<_> = middle.collect();
        let value = match (self.scalar, &middle[..]) {
            (Some(_), [(_, point)]) => Value::Scalar(*point),
            _ => Value::Vector(middle),
        };
        self.check_value(&value).map_err(|reason| format!("asked as a range query: {reason}"))
    }

    fn check_failure(&self, answer: Result<Answer, QueryError>) -> Result<Option<Answer>, String> {
        match (&self.fail, answer) {
            (None, Ok(answer)) => Ok(Some(answer)),
            (None, Err(error)) => Err(format!("failed: {error}")),
            (Some(_), Ok(answer)) => Err(format!("must fail, got {:?}", answer.value)),
            (Some(checks), Err(error)) => match checks.iter().all(|check| check.fits(&error.to_string())) {
                true => Ok(None),
                false => Err(format!("fails with the wrong message: {error}")),
            },
        }
    }

    fn check_notes(&self, answer: &Answer) -> Result<(), String> {
        let kinds = [
            ("warning", &self.warn, self.no_warn, &answer.warnings),
            ("info", &self.info, self.no_info, &answer.infos),
        ];
        for (kind, checks, none, got) in kinds {
            if none && !got.is_empty() {
                return Err(format!("no {kind} must come up, got {got:?}"));
            }
            let Some(checks) = checks else { continue };
            let met = checks.iter().all(|check| got.iter().any(|note| check.fits(note)));
            let foreseen = checks.is_empty() || got.iter().all(|note| checks.iter().any(|check| check.fits(note)));
            if got.is_empty() || !met || !foreseen {
                return Err(format!("wrong {kind}: got {got:?}"));
            }
        }
        Ok(())
    }

    fn check_value(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(_, got) => match &self.string {
                Some(want) if want == got => Ok(()),
                want => Err(format!("wrong string: got {got:?}, want {want:?}")),
            },
            Value::Scalar(got) => match self.scalar {
                Some(want) if close(want, got.value) => Ok(()),
                want => Err(format!("wrong scalar: got {}, want {want:?}", got.value)),
            },
            Value::Vector(got) => {
                let got: Vec<_> = got.iter().map(|(labels, point)| (labels, vec![(point.time, point.value)])).collect();
                let Times::Instant(at) = self.times else { return Err("an instant vector of a range query".into()) };
                self.check_series(&got, |_| at)
            }
            Value::Matrix(got) => {
                let points = |series: &sealine_promql::Series| -> Vec<(i64, f64)> {
                    series.points.iter().map(|point| (point.time, point.value)).collect()
                };
                let got: Vec<_> = got.iter().map(|series| (&series.labels, points(series))).collect();
                let (start, step) = match (self.window, self.times) {
                    (Some((start, _, step)), _) | (None, Times::Range(start, _, step)) => (start, step),
                    (None, Times::Instant(at)) => (at, 1),
                };
                self.check_series(&got, |index| start + step * index as i64)
            }
        }
    }

    fn check_series(&self, got: &[(&Labels, Vec<(i64, f64)>)], time: impl Fn(usize) -> i64) -> Result<(), String> {
        let names =
            || got.iter().map(|(labels, points)| format!("{labels} {points:?}")).collect::<Vec<_>>().join("\n  ");
        if self.scalar.is_some() || self.string.is_some() {
            return Err(format!("got series instead:\n  {}", names()));
        }
        let mut left: Vec<usize> = (0..got.len()).collect();
        for (place, (labels, points)) in self.series.iter().enumerate() {
            let numbered = points.iter().enumerate().filter_map(|(index, point)| match point {
                Point::Number(value) => Some((time(index), *value)),
                Point::Missing => None,
                Point::Native => Some((time(index), f64::NAN)),
            });
            let want: Vec<(i64, f64)> = numbered.collect();
            if points.contains(&Point::Native) {
                return Err("needs native histograms".into());
            }
            let Some(at) = left.iter().position(|index| got[*index].0 == labels) else {
                if want.is_empty() {
                    continue;
                }
                return Err(format!("{labels} is missing, got:\n  {}", names()));
            };
            if self.ordered && at != 0 {
                return Err(format!("{labels} must be number {place}, got:\n  {}", names()));
            }
            let index = if self.ordered { left.remove(at) } else { left.swap_remove(at) };
            let points = &got[index].1;
            let same = points.len() == want.len()
                && points.iter().zip(&want).all(|(got, want)| got.0 == want.0 && close(want.1, got.1));
            if !same {
                return Err(format!("{labels}: got {points:?}, want {want:?}"));
            }
        }
        match left.is_empty() {
            true => Ok(()),
            false => Err(format!("too many series, got:\n  {}", names())),
        }
    }
}

/// Whether two values agree: the same number, both NaN, or within the tolerance of their sum.
fn close(want: f64, got: f64) -> bool {
    if want == got || want.is_nan() && got.is_nan() {
        return true;
    }
    let (difference, sum) = ((want - got).abs(), want.abs() + got.abs());
    if want == 0.0 || got == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

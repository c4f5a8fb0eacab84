//! Strings that are kept say what state a thing is in: where one takes another's place, the one before ends. What must be
//! ended is decided here, from the samples around the new one, of whichever string.
//!
//! This remembers what it needs of what is stored, and can forget it at any moment: then it is read again.

use super::KeyHash;
use hashbrown::HashMap;
use std::sync::Arc;

/// Samples that are remembered of one state: those around the last that came.
const SAMPLES_MAX: usize = 64;

/// States that are remembered. With more, all are forgotten and read again as they come.
const STATES_MAX: usize = 1 << 16;

/// A string at a time.
pub type StateSample = (i64, Arc<str>);

/// The states of a database, by a hash of what identifies one.
#[derive(Default)]
pub struct States(HashMap<KeyHash, State>);

/// What is known of one: all its samples within `from..=to`, in order of time.
struct State {
    from: i64,
    to: i64,
    samples: Vec<StateSample>,
}

impl States {
    /// Takes the sample of a state. Returns which strings end when, so that at no time two of them stand; `None` where
    /// what is known does not tell: then [`Self::learn`] what is stored within `lookback` of `time`, and ask again.
    pub fn take(&mut self, key: KeyHash, time: i64, text: &str, lookback: i64) -> Option<Vec<StateSample>> {
        let state = self.0.get_mut(&key)?;
        if !(state.from..=state.to).contains(&time) {
            return None;
        }
        let at = state.samples.partition_point(|(known, _)| *known < time);
        let same = state.samples.get(at).filter(|(known, _)| *known == time);
        if same.is_some_and(|(_, known)| **known == *text) {
            return Some(Vec::new()); // it comes a second time
        }
        let before = at.checked_sub(1).map(|at| &state.samples[at]);
        let after = state.samples.get(at + usize::from(same.is_some()));
        // Who is further away than that is seen by no query.
        let is_open = (before.is_none() && time.saturating_sub(lookback) < state.from)
            || (after.is_none() && time.saturating_add(lookback) > state.to);
        if is_open {
            return None;
        }
        let known = [before, same, after].into_iter().flatten().map(|(_, known)| known);
        let text: Arc<str> = known.into_iter().find(|known| ***known == *text).cloned().unwrap_or_else(|| text.into());
        let mut ends: Vec<StateSample> = Vec::new();
        for (_, other) in [before, same].into_iter().flatten().filter(|(_, other)| *other != text) {
            if !ends.iter().any(|(_, known)| known == other) {
                ends.push((time, other.clone()));
            }
        }
        if let Some((next, _)) = after.filter(|(_, other)| *other != text) {
            ends.push((*next, text.clone()));
        }
        if same.is_some() {
            state.samples[at].1 = text;
        } else {
            state.samples.insert(at, (time, text));
        }
        state.trim(at);
        Some(ends)
    }

    /// Learns what is stored of a state within `from..=to`, in any order, around `time`, which comes next. What is known
    /// of that range stays: it may not be stored yet.
    pub fn learn(&mut self, key: KeyHash, (from, to): (i64, i64), time: i64, stored: Vec<StateSample>) {
        if self.0.len() >= STATES_MAX && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let known = self.0.remove(&key).map(|state| state.samples).unwrap_or_default();
        let known = known.into_iter().filter(|(time, _)| (from..=to).contains(time));
        // The sort keeps the order of equal times, of which the first stays.
        let mut samples: Vec<StateSample> = known.chain(stored).collect();
        samples.sort_by_key(|(time, _)| *time);
        samples.dedup_by_key(|(time, _)| *time);
        let at = samples.partition_point(|(known, _)| *known < time);
        let mut state = State { from, to, samples };
        state.trim(at);
        self.0.insert(key, state);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl State {
    /// Lets go of the samples furthest away from `at`, and of the time that they tell of.
    fn trim(&mut self, at: usize) {
        let Some(more) = self.samples.len().checked_sub(SAMPLES_MAX).filter(|more| *more > 0) else { return };
        let first = at.saturating_sub(SAMPLES_MAX / 2).min(more);
        if first > 0 {
            self.from = self.samples[first - 1].0.saturating_add(1);
            self.samples.drain(..first);
        }
        if self.samples.len() > SAMPLES_MAX {
            self.to = self.samples[SAMPLES_MAX].0.saturating_sub(1);
            self.samples.truncate(SAMPLES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    const KEY: KeyHash = (1, 2);
    const LOOKBACK: i64 = 100;

    /// A store of the series of one state, as queries see it: by string, its samples; `false` is an end.
    #[derive(Default)]
    struct Stored(HashMap<String, BTreeMap<i64, bool>>);

    impl Stored {
        /// Writes a line: first what it ends, as the states say.
        fn write(&mut self, states: &mut States, time: i64, text: &str) {
            let ends = states.take(KEY, time, text, LOOKBACK).unwrap_or_else(|| {
                let range = (time - LOOKBACK, time + LOOKBACK);
                states.learn(KEY, range, time, self.between(range));
                states.take(KEY, time, text, LOOKBACK).expect("all around it is known")
            });
            self.0.entry(text.to_string()).or_default().insert(time, true);
            for (time, text) in ends {
                self.0.entry(text.to_string()).or_default().insert(time, false);
            }
        }

        fn between(&self, (from, to): (i64, i64)) -> Vec<StateSample> {
            let all = self.0.iter().flat_map(|(text, samples)| samples.range(from..=to).map(move |s| (text, s)));
            all.filter(|(_, (_, stands))| **stands).map(|(text, (time, _))| (*time, text.as_str().into())).collect()
        }

        /// What stands at a time.
        fn at(&self, time: i64) -> Vec<&str> {
            let stands = |samples: &BTreeMap<i64, bool>| {
                samples.range(time - LOOKBACK + 1..=time).next_back().is_some_and(|(_, stands)| *stands)
            };
            let mut all: Vec<&str> = self.0.iter().filter(|(_, s)| stands(s)).map(|(text, _)| text.as_str()).collect();
            all.sort_unstable();
            all
        }
    }

    #[test]
    fn a_state_ends_when_the_next_begins_and_a_late_line_ends_none_that_is_newer() {
        for (name, lines, want) in [
            ("one after the other", &[(10, "a"), (20, "b")][..], &[(15, "a"), (20, "b"), (119, "b")][..]),
            ("and back", &[(10, "a"), (20, "b"), (30, "a")], &[(15, "a"), (25, "b"), (35, "a")]),
            ("late", &[(30, "b"), (10, "a")], &[(15, "a"), (29, "a"), (30, "b")]),
            ("late, between", &[(10, "a"), (30, "a"), (20, "b")], &[(19, "a"), (29, "b"), (30, "a")]),
            ("late, three", &[(10, "a"), (30, "c"), (20, "b")], &[(19, "a"), (29, "b"), (30, "c")]),
            ("late, the same", &[(10, "a"), (30, "b"), (20, "a")], &[(29, "a"), (30, "b")]),
            ("one for another", &[(10, "a"), (20, "b"), (20, "c")], &[(19, "a"), (20, "c")]),
            ("and for that before it", &[(10, "a"), (20, "b"), (20, "a")], &[(19, "a"), (20, "a"), (30, "a")]),
            ("sent again", &[(10, "a"), (20, "b"), (10, "a"), (20, "b")], &[(19, "a"), (20, "b")]),
        ] {
            let (mut states, mut stored) = (States::default(), Stored::default());
            for (time, text) in lines {
                stored.write(&mut states, *time, text);
            }
            for (time, text) in want {
                assert_eq!(stored.at(*time), [*text], "{name} at {time}");
            }
        }
    }

    #[test]
    fn lines_in_any_order_leave_one_state_at_a_time_also_where_everything_was_forgotten() {
        let mut random = 11u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        for round in 0..60 {
            let (mut states, mut stored) = (States::default(), Stored::default());
            let mut lines: BTreeMap<i64, String> = BTreeMap::new();
            let span = [50, 400, 5000][round % 3];
            for _ in 0..300 {
                let (time, text) = (below(span) as i64, format!("s{}", below(4)));
                stored.write(&mut states, time, &text);
                lines.insert(time, text);
                if below(40) == 0 {
                    states.clear(); // a start, or a write that failed
                }
            }
            for time in 0..span as i64 {
                let newest = lines.range(time - LOOKBACK + 1..=time).next_back().map(|(_, text)| text.as_str());
                assert_eq!(stored.at(time), newest.into_iter().collect::<Vec<_>>(), "round {round} at {time}");
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut states = States::default();
        for at in 0..10_000 {
            if states.take(KEY, at, "a", LOOKBACK).is_none() {
                states.learn(KEY, (at - LOOKBACK, at + 10 * LOOKBACK), at, Vec::new());
            }
        }
        assert!(states.0[&KEY].samples.len() <= SAMPLES_MAX);
        for key in 0..2 * STATES_MAX as u64 {
            states.learn((key, 0), (0, 1), 0, Vec::new());
        }
        assert!(states.0.len() <= STATES_MAX);
    }
}

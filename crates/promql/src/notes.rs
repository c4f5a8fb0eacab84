//! Warnings and infos that come up while a query runs, each kept once.

pub(super) use super::syntax::Place;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;

/// Notes beyond this many are dropped, so that hostile labels cannot fill the memory with sentences.
const NOTES_MAX: usize = 1000;

/// The notes of one query; every worker may add to them.
#[derive(Default)]
pub(super) struct Notes {
    warnings: Mutex<BTreeSet<String>>,
    infos: Mutex<BTreeSet<String>>,
}

impl Notes {
    /// Something is wrong with the query or its answer.
    pub fn warn(&self, place: Place, sentence: fmt::Arguments<'_>) {
        add(&self.warnings, format!("PromQL warning: {sentence} ({place})"));
    }

    /// Something may be wrong.
    pub fn info(&self, place: Place, sentence: fmt::Arguments<'_>) {
        add(&self.infos, format!("PromQL info: {sentence} ({place})"));
    }

    /// A warning of the storage, as it stands.
    pub fn storage(&self, sentence: String) {
        add(&self.warnings, sentence);
    }

    /// Warnings and infos, sorted.
    pub fn finish(self) -> (Vec<String>, Vec<String>) {
        let sorted = |notes: Mutex<BTreeSet<String>>| notes.into_inner().into_iter().collect();
        (sorted(self.warnings), sorted(self.infos))
    }
}

fn add(notes: &Mutex<BTreeSet<String>>, sentence: String) {
    let mut notes = notes.lock();
    if notes.len() < NOTES_MAX {
        notes.insert(sentence);
    }
}

/// The phrase that names a metric in a note, or nothing where the name is gone.
pub(super) struct ForMetric<'a>(pub &'a str);

impl fmt::Display for ForMetric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " for metric name {:?}", self.0) }
    }
}

/// A number as upstream's messages print it (C's `%g` with the shortest digits that read back the same).
pub(super) struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if value == 0.0 || (-4..6).contains(&exponent) {
            return write!(f, "{value}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{digits}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_notes_are_short() {
        for (value, want) in [
            (1.1, "1.1"),
            (-0.5, "-0.5"),
            (2.0, "2"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (1e-7, "1e-07"),
            (1.5e300, "1.5e+300"),
            (123456789.0, "1.23456789e+08"),
        ] {
            assert_eq!(Short(value).to_string(), want);
        }
    }
}

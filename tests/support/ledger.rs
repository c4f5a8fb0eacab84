//! What one connection has sent, and what is known of each request: the driver's own book, which no crash of the daemon
//! touches. Values follow from where they belong, so the book keeps none.

use super::http::Matrix;
use std::fmt::Write;

const DAY_MS: i64 = 86_400_000;

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was sent, and nothing was heard of it.
    Sent,
    /// It was answered with 204, or a query has shown it: it stays.
    Kept,
    /// The start after it did not have it: it does not come back.
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time_ms: i64,
    lines: u64,
    fate: Fate,
}

/// The book of one sender. Each request has a time of its own, later than all before it.
#[derive(Debug)]
pub struct Ledger {
    name: String,
    entries: Vec<Entry>,
    /// The first entry of the connection under way.
    connection: usize,
}

/// What a comparison came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Samples of requests that are there.
    pub samples: u64,
    /// Requests that nobody had heard of, and that are there.
    pub unheard: u64,
}

impl Ledger {
    /// A book whose series carry the tag `sender`.
    pub fn new(name: &str) -> Ledger {
        Ledger { name: name.to_string(), entries: Vec::new(), connection: 0 }
    }

    /// The tag of its series.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From here on it is another connection.
    pub fn connect(&mut self) {
        self.connection = self.entries.len();
    }

    /// Enters a request of so many lines, and gives its body. A line has the fields `at`, its time in seconds, and `v`.
    pub fn send(&mut self, time_ms: i64, lines: u64) -> String {
        assert!(self.entries.last().is_none_or(|last| last.time_ms < time_ms), "times grow: {time_ms}");
        self.entries.push(Entry { time_ms, lines, fate: Fate::Sent });
        let mut body = String::new();
        for line in 0..lines {
            let (at, v) = (value("kill_at", line, time_ms), value("kill_v", line, time_ms));
            writeln!(body, "kill,sender={},line={line} at={at},v={v} {time_ms}", self.name).expect("memory");
        }
        body
    }

    /// The first request of this connection that had no answer yet was answered with 204.
    pub fn answered(&mut self) {
        let first = self.entries[self.connection..].iter_mut().find(|entry| entry.fate == Fate::Sent);
        first.expect("an answer belongs to a request").fate = Fate::Kept;
    }

    /// A query has shown the request of this time.
    pub fn shown(&mut self, time_ms: i64) {
        let at = self.at(time_ms).unwrap_or_else(|| panic!("{}: nobody wrote a sample at {time_ms}", self.name));
        assert_ne!(self.entries[at].fate, Fate::Lost, "{}: the request at {time_ms} came back", self.name);
        self.entries[at].fate = Fate::Kept;
    }

    /// How many requests of this connection were answered, or shown.
    pub fn kept(&self) -> usize {
        self.entries[self.connection..].iter().filter(|entry| entry.fate == Fate::Kept).count()
    }

    /// How many requests were sent on this connection.
    pub fn sent(&self) -> usize {
        self.entries.len() - self.connection
    }

    /// The time of the last request.
    pub fn newest_ms(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.time_ms)
    }

    /// Compares what a start after a kill has with the book, and enters what it says. `found` is all there is of this
    /// sender; days that end `keep_ms` before `newest_ms` may have expired. With `in_order`, what survived of the
    /// connection is its beginning.
    ///
    /// Panics where something is missing, invented, wrong, or there in part.
    pub fn compare(&mut self, found: &Matrix, newest_ms: i64, keep_ms: i64, in_order: bool) -> Compared {
        let mut counts = vec![0u64; self.entries.len()];
        let mark = format!("sender=\"{}\"}}", self.name);
        for (series, samples) in found {
            let (field, labels) = series.split_once("{line=\"").expect("a series has its labels");
            let (line, sender) = labels.split_once("\",").expect("a series has two labels");
            assert_eq!(sender, mark, "{series}: nobody sent this");
            let line: u64 = line.parse().unwrap_or_else(|_| panic!("{series}: nobody sent this"));
            for (time_ms, got) in samples {
                let at = self.at(*time_ms).filter(|at| line < self.entries[*at].lines);
                let at = at.unwrap_or_else(|| panic!("{series} at {time_ms}: nobody sent this"));
                let want = value(field, line, *time_ms);
                assert_eq!(got.to_bits(), want.to_bits(), "{series} at {time_ms}: got {got}, sent {want}");
                counts[at] += 1;
            }
        }
        let mut compared = Compared::default();
        let mut cut = false;
        for (number, (entry, count)) in self.entries.iter_mut().zip(counts).enumerate() {
            let (name, time_ms, fate) = (&self.name, entry.time_ms, entry.fate);
            let whole = entry.lines * 2;
            assert!(count == 0 || count == whole, "{name}: {count} of {whole} samples of the request at {time_ms}");
            let expired = (time_ms.div_euclid(DAY_MS) + 1) * DAY_MS <= newest_ms - keep_ms;
            match (fate, count > 0) {
                (Fate::Kept, false) => assert!(expired, "{name}: the request at {time_ms} was answered, and is gone"),
                (Fate::Lost, true) => panic!("{name}: the request at {time_ms} was gone, and is back"),
                (Fate::Sent, true) => compared.unheard += 1,
                _ => {}
            }
            if in_order && number >= self.connection {
                assert!(count == 0 || !cut, "{name}: the request at {time_ms} is there, and one before it is not");
                cut |= count == 0;
            }
            if fate == Fate::Sent {
                entry.fate = if count > 0 { Fate::Kept } else { Fate::Lost };
            }
            compared.samples += count;
        }
        compared
    }

    fn at(&self, time_ms: i64) -> Option<usize> {
        self.entries.binary_search_by_key(&time_ms, |entry| entry.time_ms).ok()
    }
}

/// What a field has at a time: of `at` the time in seconds, of `v` digits that are like no other's.
pub fn value(field: &str, line: u64, time_ms: i64) -> f64 {
    if field == "kill_at" {
        return (time_ms / 1000) as f64;
    }
    let mixed = (time_ms as u64 ^ line.rotate_left(48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 20) as f64 / 1024.0 // 44 bits: a float has them all
}

//! Tells in the log what clients send that is refused, or that hardly means what they think it does.
//!
//! A client that is set up wrongly repeats itself, perhaps thousands of times a second. So each client, protocol and reason
//! has one line a minute (a day, for hints): at once for the first event, with what was sent, and at the end of the minute for
//! those that followed, with their count. Good lines never come here.

use crate::Protocol;
use parking_lot::Mutex;
use sealine_base::clock::SharedClock;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How many clients are told apart for each reason. All others share one more entry.
const ENTRIES_MAX: usize = 1024;

/// Bytes of a line or a request that a notice repeats.
const EXCERPT_BYTES_MAX: usize = 160;

/// How often one client and reason may have a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Something was not taken: once a minute.
    Refusal,
    /// Something was taken and may have gone wrong: once a day.
    Warning,
    /// Something was taken, and could be taken in a better way: once a day.
    Hint,
}

impl NoticeKind {
    fn every(self) -> Duration {
        match self {
            NoticeKind::Refusal => Duration::from_secs(60),
            NoticeKind::Warning | NoticeKind::Hint => Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How often it may be logged.
    pub kind: NoticeKind,
    /// The same word as in the counter.
    pub reason: &'static str,
    /// Lines, or requests.
    pub count: u64,
    /// The first of them, as [`excerpt`] shows it.
    pub first: String,
    /// A sentence: what is wrong, and what to do.
    pub message: String,
}

/// What a notice is about: a client, or a name where no client is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Client(IpAddr),
    Name(String),
    Others,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Client(address) => write!(f, "{address}"),
            Subject::Name(_) => f.write_str("any"),
            Subject::Others => f.write_str("others"),
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    subject: Subject,
    protocol: &'static str,
    notice: Notice,
}

/// What was logged of a subject and reason, and what was not yet.
struct Entry {
    /// When the last line was, on the monotonic clock.
    told: Duration,
    /// What came since; its count is 0 where nothing did.
    since: Told,
}

/// Decides what is logged when; knows neither the clock nor the log.
#[derive(Default)]
struct Ledger(HashMap<Key, Entry>);

/// A subject, and by what protocol it does what.
type Key = (Subject, &'static str, &'static str);

impl Ledger {
    /// Takes a notice. Returns it if it is to be logged now.
    fn take(&mut self, now: Duration, mut told: Told) -> Option<Told> {
        let key = |told: &Told| (told.subject.clone(), told.protocol, told.notice.reason);
        if self.0.len() >= ENTRIES_MAX && !self.0.contains_key(&key(&told)) {
            told.subject = Subject::Others;
        }
        match self.0.get_mut(&key(&told)) {
            None => {
                let notice = Notice { count: 0, first: String::new(), message: String::new(), ..told.notice };
                self.0.insert(key(&told), Entry { told: now, since: Told { notice, ..told.clone() } });
                Some(told)
            }
            Some(Entry { since, .. }) if since.notice.count == 0 => {
                *since = told;
                None
            }
            Some(Entry { since, .. }) => {
                since.notice.count = since.notice.count.saturating_add(told.notice.count);
                None
            }
        }
    }

    /// What is to be logged by now: `all` that there is, or what has waited long enough.
    fn due(&mut self, now: Duration, all: bool) -> Vec<Told> {
        let mut due = Vec::new();
        self.0.retain(|_, entry| {
            let kind = entry.since.notice.kind;
            if !all && now.saturating_sub(entry.told) < kind.every() {
                return true;
            }
            if entry.since.notice.count == 0 {
                return false; // quiet for as long as that: forgotten
            }
            due.push(entry.since.clone());
            entry.since.notice.count = 0;
            entry.told = now;
            true
        });
        due
    }
}

/// Logs what clients do wrong. Clones share one state.
#[derive(Clone)]
pub struct Notices {
    clock: SharedClock,
    ledger: Arc<Mutex<Ledger>>,
}

impl Notices {
    /// Nothing was logged yet.
    pub fn new(clock: SharedClock) -> Self {
        Notices { clock, ledger: Arc::default() }
    }

    /// Notes what `client` did by `protocol`.
    pub fn of_client(&self, client: IpAddr, protocol: &'static str, notice: Notice) {
        self.take(Told { subject: Subject::Client(client.to_canonical()), protocol, notice });
    }

    /// Notes that something of `client` was not taken, which was nothing that can be shown.
    pub fn of_refusal(
        &self,
        client: IpAddr,
        protocol: Protocol,
        (reason, count): (&'static str, u64),
        message: String,
    ) {
        let notice = Notice { kind: NoticeKind::Refusal, reason, count, first: String::new(), message };
        self.of_client(client, protocol.as_str(), notice);
    }

    /// Notes something that does not depend on the client; `name` tells one such thing from another.
    pub fn of_name(&self, name: String, protocol: &'static str, notice: Notice) {
        self.take(Told { subject: Subject::Name(name), protocol, notice });
    }

    fn take(&self, told: Told) {
        let now = self.clock.monotonic();
        let told = self.ledger.lock().take(now, told);
        told.iter().for_each(log);
    }

    /// Tells what has waited for its time. Call it every second or so.
    pub fn tell_due(&self) {
        let due = self.ledger.lock().due(self.clock.monotonic(), false);
        due.iter().for_each(log);
    }

    /// Logs everything that has not been logged yet: for the end.
    pub fn tell_all(&self) {
        let due = self.ledger.lock().due(self.clock.monotonic(), true);
        due.iter().for_each(log);
    }
}

fn log(told: &Told) {
    let Told { subject, protocol, notice: Notice { kind, reason, count, first, message } } = told;
    match kind {
        NoticeKind::Refusal => tracing::warn!(client = %subject, protocol, reason, count, first, "refused: {message}"),
        NoticeKind::Warning => tracing::warn!(client = %subject, protocol, reason, count, first, "{message}"),
        NoticeKind::Hint => tracing::info!(client = %subject, protocol, reason, count, first, "{message}"),
    }
}

/// What the log repeats of what a client sent: cut, and safe to print. What may hold a secret is left out: the parameters
/// of a request and its `Authorization`, which are lines to who takes an HTTP client for one of line protocol.
pub fn excerpt(bytes: &[u8]) -> String {
    let mut shown = &bytes[..bytes.len().min(EXCERPT_BYTES_MAX)];
    let starts_with = |name: &[u8]| shown.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    if [&b"authorization:"[..], b"proxy-authorization:", b"cookie:"].iter().any(|name| starts_with(name)) {
        let name = shown.iter().position(|byte| *byte == b':').unwrap_or(0);
        shown = &shown[..=name];
    } else if [&b"GET "[..], b"POST ", b"PUT ", b"HEAD "].iter().any(|method| starts_with(method)) {
        let parameters = shown.iter().position(|byte| *byte == b'?').unwrap_or(shown.len());
        shown = &shown[..parameters];
    }
    let mut text = String::new();
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\'' | '\\' => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if shown.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn told(client: u32, kind: NoticeKind, reason: &'static str, count: u64, first: &str) -> Told {
        let subject = Subject::Client(IpAddr::V4(client.into()));
        let notice = Notice { kind, reason, count, first: first.to_string(), message: "why".to_string() };
        Told { subject, protocol: "udp", notice }
    }

    fn refused(client: u32, reason: &'static str, count: u64, first: &str) -> Told {
        told(client, NoticeKind::Refusal, reason, count, first)
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_once_a_minute_with_their_count() {
        let mut ledger = Ledger::default();
        let at = Duration::from_secs;
        let first = refused(1, "bad_value", 3, "one");
        assert_eq!(ledger.take(at(5), first.clone()), Some(first));
        assert_eq!(ledger.take(at(6), refused(1, "bad_value", 2, "two")), None);
        assert_eq!(ledger.take(at(7), refused(1, "bad_value", 40, "three")), None);
        let other = refused(1, "no_fields", 1, "four");
        assert_eq!(ledger.take(at(8), other.clone()), Some(other), "another reason is told by itself");
        let other = refused(2, "bad_value", 1, "five");
        assert_eq!(ledger.take(at(9), other.clone()), Some(other), "and so is another client");
        assert_eq!(ledger.due(at(64), false), []);
        assert_eq!(ledger.due(at(65), false), [refused(1, "bad_value", 42, "two")]);
        assert_eq!(ledger.take(at(66), refused(1, "bad_value", 1, "six")), None, "a line a minute");
        assert_eq!(ledger.due(at(125), false), [refused(1, "bad_value", 1, "six")]);
        assert_eq!(ledger.due(at(185), false), []);
        assert!(ledger.0.is_empty(), "who was quiet for a minute is forgotten");
    }

    #[test]
    fn hints_are_told_once_a_day() {
        let mut ledger = Ledger::default();
        let hint = |count| told(1, NoticeKind::Hint, "strings_only", count, "a");
        assert_eq!(ledger.take(MINUTE, hint(1)), Some(hint(1)));
        assert_eq!(ledger.take(2 * MINUTE, hint(1)), None);
        assert_eq!(ledger.due(DAY, false), []);
        assert_eq!(ledger.due(DAY + MINUTE, false), [hint(1)]);
    }

    #[test]
    fn what_comes_from_more_clients_than_are_told_apart_is_told_together() {
        let mut ledger = Ledger::default();
        let clients = 10 * ENTRIES_MAX as u32;
        let lines = (0..clients).filter_map(|client| ledger.take(Duration::ZERO, refused(client, "a", 1, ""))).count();
        assert_eq!(lines, ENTRIES_MAX + 1);
        assert_eq!(ledger.0.len(), ENTRIES_MAX + 1);
        let due = ledger.due(MINUTE, false);
        assert_eq!((due.len(), &due[0].subject), (1, &Subject::Others));
        assert_eq!(due[0].notice.count, u64::from(clients) - ENTRIES_MAX as u64 - 1);
        assert_eq!(ledger.0.len(), 1, "the others make room");
    }

    #[test]
    fn nothing_is_left_untold_at_the_end() {
        let mut ledger = Ledger::default();
        ledger.take(Duration::ZERO, refused(1, "a", 1, "told"));
        ledger.take(Duration::ZERO, refused(1, "a", 7, "waits"));
        assert_eq!(ledger.due(Duration::ZERO, true), [refused(1, "a", 7, "waits")]);
        assert_eq!(ledger.due(Duration::ZERO, true), []);
    }

    #[test]
    fn excerpts_are_short_printable_and_tell_no_secrets() {
        for (bytes, want) in [
            (&b"cpu v=\"a\\b\" 1"[..], "cpu v=\"a\\b\" 1"),
            (b"a\nb\x1b[31m\x00\xffc", "a\\nb\\u{1b}[31m\\0\\xffc"),
            ("\u{202e}x".as_bytes(), "\\u{202e}x"),
            ("é".as_bytes(), "é"),
            (b"Authorization: Token abc", "Authorization:…"),
            (b"POST /write?db=x&p=abc HTTP/1.1", "POST /write…"),
            (b"", ""),
        ] {
            assert_eq!(excerpt(bytes), want);
        }
        let long = excerpt(&[b'x'; 1000]);
        assert_eq!(long, format!("{}…", "x".repeat(EXCERPT_BYTES_MAX)));
    }
}

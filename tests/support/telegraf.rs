//! A replica of Telegraf's InfluxDB outputs: how they batch, what they make of each answer, when they send again. After
//! `plugins/outputs/influxdb/http.go`, `plugins/outputs/influxdb_v2/http.go` and `models/running_output.go`.

use super::http::{Answer, Client};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Metrics of a request at most.
const BATCH: usize = 200;

/// Metrics that wait at most; beyond that Telegraf forgets the oldest.
const BUFFER: usize = 10_000;

/// How long it waits for an answer. Telegraf's own is 5 s.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A 5xx with one of these in its text makes version 1 drop the batch.
const HOPELESS: [&str; 5] = [
    "partial write",
    "unable to parse",
    "points beyond retention policy",
    "retention policy not found",
    "hinted handoff queue not empty",
];

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// `[[outputs.influxdb]]`
    V1,
    /// `[[outputs.influxdb_v2]]`
    V2,
}

/// What an answer makes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has arrived.
    Delivered,
    /// It is thrown away.
    Dropped,
    /// It is sent again.
    Kept,
    /// Both halves are sent again.
    Halved,
}

/// What the output makes of an answer.
pub fn fate(output: Output, answer: &Answer) -> Fate {
    let text = String::from_utf8_lossy(&answer.body);
    let json = answer.body.is_empty() || answer.headers.get("content-type").is_some_and(|kind| kind.contains("json"));
    match (output, answer.status) {
        (_, 204) | (Output::V2, 200..=203) => Fate::Delivered,
        (Output::V1, 400..=499) if !json => Fate::Kept,
        (Output::V1, 400..=499) => Fate::Dropped,
        (Output::V1, 500..=599) if json && HOPELESS.iter().any(|words| text.contains(words)) => Fate::Dropped,
        (Output::V2, 413) => Fate::Halved,
        (Output::V2, 400 | 404 | 405 | 406 | 409..=412 | 414..=428 | 430..=499) => Fate::Dropped,
        _ => Fate::Kept,
    }
}

/// One agent.
pub struct Agent {
    output: Output,
    waiting: VecDeque<String>,
    client: Option<Client>,
    batch: usize,
    /// How often the batch in front was sent.
    attempts: u32,
    /// What it came to so far.
    pub figures: Figures,
}

/// What an agent can tell.
#[derive(Debug, Default)]
pub struct Figures {
    /// Requests that were answered with 204.
    pub delivered: u64,
    /// Batches that were thrown away at an answer.
    pub dropped: u64,
    /// Requests that have to come again: no answer, or one that says so.
    pub kept: u64,
    /// Metrics forgotten since too many waited.
    pub forgotten: u64,
    /// The most often that one batch was sent.
    pub attempts_max: u32,
    /// Statuses other than 204, each once.
    pub statuses: Vec<u16>,
}

impl Agent {
    /// An agent with nothing to send.
    pub fn new(output: Output) -> Agent {
        let (waiting, figures) = (VecDeque::new(), Figures::default());
        Agent { output, waiting, client: None, batch: BATCH, attempts: 0, figures }
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A metric, as its line.
    pub fn gather(&mut self, line: String) {
        if self.waiting.len() == BUFFER {
            self.waiting.pop_front();
            self.figures.forgotten += 1;
        }
        self.waiting.push_back(line);
    }

    /// Sends batches until nothing waits, or one has to come again: then it says how long it will not try.
    pub fn flush(&mut self, address: SocketAddr) -> Option<Duration> {
        while !self.waiting.is_empty() {
            let count = self.batch.min(self.waiting.len());
            let body: String = self.waiting.iter().take(count).map(|line| format!("{line}\n")).collect();
            self.attempts += 1;
            self.figures.attempts_max = self.figures.attempts_max.max(self.attempts);
            let answer = self.send(address, &body);
            let fate = answer.as_ref().map_or(Fate::Kept, |answer| fate(self.output, answer));
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            if status != 204 && !self.figures.statuses.contains(&status) {
                self.figures.statuses.push(status);
            }
            match fate {
                Fate::Delivered => self.figures.delivered += 1,
                Fate::Dropped => self.figures.dropped += 1,
                Fate::Halved => {
                    self.batch = (count / 2).max(1);
                    continue;
                }
                Fate::Kept => {
                    self.figures.kept += 1;
                    return Some(self.pause(answer.as_ref()));
                }
            }
            self.waiting.drain(..count);
            (self.batch, self.attempts) = (BATCH, 0);
        }
        None
    }

    /// Version 1 waits for the next flush; version 2 as it is told, and longer with each attempt.
    fn pause(&self, answer: Option<&Answer>) -> Duration {
        let flush = Duration::from_millis(100);
        let told = answer.and_then(|answer| answer.headers.get("retry-after")?.parse().ok()).unwrap_or(0);
        let own = Duration::from_millis(u64::from(self.attempts.pow(2)) * 25).min(Duration::from_secs(60));
        match self.output {
            Output::V1 => flush,
            Output::V2 => own.max(Duration::from_secs(told.min(600))).max(flush),
        }
    }

    fn send(&mut self, address: SocketAddr, body: &str) -> Option<Answer> {
        if self.client.is_none() {
            let mut client = Client::try_connect(address, TIMEOUT).ok()?;
            client.give_up_after(TIMEOUT);
            if self.output == Output::V1 {
                let form = [("Content-Type", "application/x-www-form-urlencoded")];
                client.try_post("/query", &form, b"q=CREATE+DATABASE+%22telegraf%22").ok()?;
            }
            self.client = Some(client);
        }
        let path = match self.output {
            Output::V1 => "/write?consistency=any&db=telegraf",
            Output::V2 => "/api/v2/write?bucket=telegraf&org=story",
        };
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(body.as_bytes()).expect("memory takes it");
        let body = gzip.finish().expect("memory takes it");
        let answer = self.client.as_mut()?.try_post(path, &[("Content-Encoding", "gzip")], &body);
        if !answer.as_ref().is_ok_and(|answer| answer.headers.get("connection").is_none_or(|word| word != "close")) {
            self.client = None;
        }
        answer.ok()
    }
}

//! A replica of the Telegraf outputs that send lines by HTTP: how they batch, what they make of each answer, when they send
//! again. After `http.go` of `plugins/outputs/influxdb` and `influxdb_v2`, `client.go` of `influxdb_v3`, `http.go` of
//! `plugins/outputs/http` and `models/running_output.go`.

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

/// What is not below 500 and has one of these in its text makes version 1 drop the batch.
const HOPELESS: [&str; 5] = [
    "partial write",
    "unable to parse",
    "points beyond retention policy",
    "retention policy not found",
    "hinted handoff queue not empty",
];

/// Which of the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// `[[outputs.influxdb]]`
    V1,
    /// `[[outputs.influxdb_v2]]`
    V2,
    /// `[[outputs.influxdb_v3]]`
    V3,
    /// `[[outputs.http]]` as integration/telegraf/telegraf.conf has it.
    Http,
}

impl Output {
    /// All of them.
    pub const ALL: [Output; 4] = [Output::V1, Output::V2, Output::V3, Output::Http];

    /// Where it writes to `database`.
    pub fn path(self, database: &str) -> String {
        match self {
            Output::V1 => format!("/write?consistency=any&db={database}"),
            Output::V2 => format!("/api/v2/write?bucket={database}&org=story"),
            Output::V3 => format!("/api/v3/write_lp?db={database}"),
            Output::Http => format!("/write?db={database}"),
        }
    }
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
    match output {
        Output::V1 => fate_of_v1(answer),
        Output::V2 | Output::V3 => match answer.status {
            200..=202 | 204 | 206..=208 => Fate::Delivered,
            413 => Fate::Halved,
            401 | 403 | 429 => Fate::Kept,
            400..=499 => Fate::Dropped,
            _ => Fate::Kept,
        },
        // `non_retryable_statuscodes = [400, 413]`
        Output::Http => match answer.status {
            200..=299 => Fate::Delivered,
            400 | 413 => Fate::Dropped,
            _ => Fate::Kept,
        },
    }
}

/// Of a body, version 1 asks first whether it is JSON: what is not comes from some proxy, and the batch is kept.
fn fate_of_v1(answer: &Answer) -> Fate {
    let error = match serde_json::from_slice::<serde_json::Value>(&answer.body) {
        Ok(json) => json["error"].as_str().unwrap_or("").to_string(),
        Err(_) if answer.body.is_empty() => String::new(),
        Err(_) if answer.status == 204 => String::new(),
        Err(_) => return Fate::Kept,
    };
    match answer.status {
        204 => Fate::Delivered,
        _ if error.contains("database not found") => Fate::Kept,
        400..=499 => Fate::Dropped,
        _ if HOPELESS.iter().any(|words| error.contains(words)) => Fate::Dropped,
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

    /// Versions 2 and 3 wait as they are told, and longer with each attempt; the others for the next flush.
    fn pause(&self, answer: Option<&Answer>) -> Duration {
        let flush = Duration::from_millis(100);
        let told = answer.and_then(|answer| answer.headers.get("retry-after")?.parse().ok()).unwrap_or(0);
        let own = Duration::from_millis(u64::from(self.attempts.pow(2)) * 25).min(Duration::from_secs(60));
        match self.output {
            Output::V1 | Output::Http => flush,
            Output::V2 | Output::V3 => own.max(Duration::from_secs(told.min(600))).max(flush),
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
        let path = self.output.path("telegraf");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(body.as_bytes()).expect("memory takes it");
        let body = gzip.finish().expect("memory takes it");
        let answer = self.client.as_mut()?.try_post(&path, &[("Content-Encoding", "gzip")], &body);
        if !answer.as_ref().is_ok_and(|answer| answer.headers.get("connection").is_none_or(|word| word != "close")) {
            self.client = None;
        }
        answer.ok()
    }
}

//! The body of a write, taken as it comes: decompressed and parsed piece by piece, so that a request needs the memory
//! of a piece and of its compact form, whatever its size. Nothing is stored before the whole body was there.

use super::intake::{Delivery, Intake, NotStored};
use super::line_buffer::LineBuffer;
use crate::config::Http;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Body;
use sealine_base::causes;
use sealine_lineproto::Precision;
use sealine_store::{BadDatabase, EXPIRED, NotNow, Refusal, Report, Unit};
use sealine_telemetry::notices::{Notice, NoticeKind, Notices};
use sealine_telemetry::{Shortage, Suspect};
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

/// Lines are parsed when this many bytes have come together: enough that a block costs one lock and few calls.
const BLOCK_BYTES: usize = 128 << 10;

/// A batch takes at most as much memory as its lines are long; gzip makes lines this much shorter at most times.
const GZIP_RATIO: u64 = 8;

/// A refused body is read on, unseen, to this many times what a body may have.
const REFUSED_FACTOR_MAX: u64 = 4;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// gzip, of one or more members.
    Gzip,
}

impl Coding {
    /// The coding that a `Content-Encoding` names; `None` for one that is not spoken here.
    pub fn parse(name: &str) -> Option<Coding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Coding::Plain),
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            _ => None,
        }
    }
}

/// What a bad line costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLines {
    /// Itself alone.
    CostThemselves,
    /// All lines of the body.
    CostAll,
}

/// What became of a write.
#[derive(Debug)]
pub struct Written {
    /// Good lines: stored, unless bad ones cost all.
    pub lines: u64,
    /// Lines refused.
    pub refused: u64,
    /// Those of them whose time is beyond retention.
    pub expired: u64,
    /// The first refusals.
    pub first: Vec<Refusal>,
}

impl From<Report> for Written {
    fn from(report: Report) -> Self {
        let expired = report.reasons.get(EXPIRED).copied().unwrap_or(0);
        let Report { lines, refused, first, .. } = report;
        Written { lines, refused, expired, first }
    }
}

/// Why nothing of a body was stored.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than a limit allows.
    #[error("the body has more than {limit} bytes {what}, the limit of {setting}: send smaller batches, or raise it")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Before or after decompression.
        what: &'static str,
        /// The limit's name.
        setting: &'static str,
    },
    /// It is not what its `Content-Encoding` says.
    #[error("the body cannot be decompressed: {0}; nothing of it was stored")]
    Coding(io::Error),
    /// It ended early, or the client left: it may come whole the next time.
    #[error("the body ended before its end: {0}; nothing of it was stored")]
    Cut(Box<dyn std::error::Error + Send + Sync>),
    /// It is not what HTTP wants of a body.
    #[error("the body cannot be read: {0}; nothing of it was stored")]
    Malformed(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the body did not arrive within {0} s, the limit of http.body_timeout; nothing of it was stored")]
    Slow(u64),
    /// There is no database of this name, and none is made.
    #[error(transparent)]
    Database(#[from] BadDatabase),
    /// It cannot be taken now, or the log did not take it.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

/// Takes lines in the bodies of requests.
pub struct HttpInlet {
    intake: Intake,
    decoded_bytes_max: u64,
    compressed_bytes_max: u64,
    time_max: Duration,
}

impl HttpInlet {
    /// With the limits of the HTTP server.
    pub fn new(intake: Intake, http: &Http) -> Self {
        HttpInlet {
            intake,
            decoded_bytes_max: http.max_body_bytes,
            compressed_bytes_max: http.max_compressed_bytes,
            time_max: http.body_timeout,
        }
    }

    /// Logs what clients send wrongly.
    pub fn notices(&self) -> &Notices {
        &self.intake.notices
    }

    /// A client's lines go to the database for lines without one.
    pub fn no_database(&self, client: IpAddr, database: &str) {
        self.intake.metrics().suspect(Suspect::NoDatabase).inc();
        let (reason, first) = (Suspect::NoDatabase.as_str(), "/write".to_string());
        let message = format!("a write names no database and goes to `{database}`: send the parameter db");
        let notice = Notice { kind: NoticeKind::Hint, reason, count: 1, first, message };
        self.notices().of_client(client, self.intake.protocol.as_str(), notice);
    }

    /// Takes a body as it arrives from `client` and stores its good lines; times are nanoseconds where it names no
    /// precision. When this returns `Ok`, they are as durable as `wal.sync` says.
    pub async fn take<B>(
        &self,
        client: IpAddr,
        database: &str,
        precision: Option<Precision>,
        coding: Coding,
        bad_lines: BadLines,
        mut body: B,
    ) -> Result<Written, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let unit = if precision.is_some() { Unit::Named } else { Unit::Parameter };
        let mut delivery = self.intake.open(database, precision.unwrap_or_default(), unit)?;
        let expected = self.expected_bytes(coding, body.size_hint().exact());
        let mut refused = delivery.admit(expected).err().map(BodyError::from);
        let lines = LineSink {
            delivery,
            buffer: LineBuffer::new(&self.intake.store),
            decoded: 0,
            decoded_max: self.decoded_bytes_max,
        };
        let mut decoder = match coding {
            Coding::Plain => Decoder::Plain(Box::new(lines)),
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(lines))),
        };
        let mut received = 0;
        let deadline = tokio::time::Instant::now() + self.time_max;
        loop {
            let Ok(frame) = tokio::time::timeout_at(deadline, body.frame()).await else {
                // What was wrong first is what is counted and told.
                refused.get_or_insert_with(|| {
                    self.intake.metrics().refused(Shortage::Time).inc();
                    BodyError::Slow(self.time_max.as_secs())
                });
                break;
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| not_whole(error.into()))?;
            let Ok(piece) = frame.into_data() else { continue }; // trailers say nothing to us
            received += piece.len() as u64;
            if refused.is_some() {
                // A connection that is closed on a client that still sends takes the answer with it, and the client
                // sends it all again. So the rest is read and forgotten, as far as a body could go.
                match received > REFUSED_FACTOR_MAX * self.compressed_bytes_max.max(self.decoded_bytes_max) {
                    true => break,
                    false => continue,
                }
            }
            if coding != Coding::Plain && received > self.compressed_bytes_max {
                let (limit, setting) = (self.compressed_bytes_max, "http.max_compressed_bytes");
                refused = Some(BodyError::TooLarge { limit, what: "before decompression", setting });
            } else if let Err(error) = decoder.write_all(&piece) {
                refused = Some(decoder.refusal(error));
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let LineSink { mut delivery, mut buffer, decoded, .. } = decoder.finish()?;
        self.intake.metrics().bytes.inc_by(decoded);
        buffer.deliver(&mut delivery, true);
        if bad_lines == BadLines::CostAll && delivery.has_bad_lines() {
            return Ok(delivery.discard(client).into());
        }
        Ok(delivery.store(client).await?.into())
    }

    /// About how much memory a body of `length` bytes will take, where its length is known.
    fn expected_bytes(&self, coding: Coding, length: Option<u64>) -> u64 {
        let decoded = match (coding, length) {
            (Coding::Plain, Some(length)) => length,
            (Coding::Gzip, Some(length)) => length.saturating_mul(GZIP_RATIO),
            (_, None) => BLOCK_BYTES as u64,
        };
        decoded.min(self.decoded_bytes_max)
    }
}

/// Why a body broke off: hyper rejects the framing of chunks only; every other fault is the connection's.
fn not_whole(error: Box<dyn std::error::Error + Send + Sync>) -> BodyError {
    let malformed = causes::chain(&*error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData));
    if malformed { BodyError::Malformed(error) } else { BodyError::Cut(error) }
}

/// Where decoded bytes go: cut into blocks of whole lines, and delivered.
struct LineSink<'a> {
    delivery: Delivery<'a>,
    buffer: LineBuffer,
    decoded: u64,
    decoded_max: u64,
}

impl Write for LineSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded += bytes.len() as u64;
        if self.decoded > self.decoded_max {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.buffer.bytes.extend_from_slice(bytes);
        if self.buffer.bytes.len() >= BLOCK_BYTES && self.buffer.deliver(&mut self.delivery, false) {
            self.delivery.go_on().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder<'a> {
    Plain(Box<LineSink<'a>>),
    Gzip(Box<MultiGzDecoder<LineSink<'a>>>),
}

impl<'a> Decoder<'a> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Decoder::Plain(lines) => lines.write_all(bytes),
            Decoder::Gzip(gzip) => gzip.write_all(bytes),
        }
    }

    /// What an error of [`Self::write_all`] means for the sender.
    fn refusal(&self, error: io::Error) -> BodyError {
        let lines = match self {
            Decoder::Plain(lines) => lines,
            Decoder::Gzip(gzip) => gzip.get_ref(),
        };
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                BodyError::TooLarge { limit: lines.decoded_max, what: "decompressed", setting: "http.max_body_bytes" }
            }
            _ => match error.downcast::<NotNow>() {
                Ok(why) => lines.delivery.intake.not_now(why).into(),
                Err(error) => BodyError::Coding(error),
            },
        }
    }

    fn finish(self) -> Result<LineSink<'a>, BodyError> {
        match self {
            Decoder::Plain(lines) => Ok(*lines),
            Decoder::Gzip(mut gzip) => match gzip.try_finish() {
                Ok(()) => gzip.finish().map_err(BodyError::Coding),
                Err(error) => Err(Decoder::Gzip(gzip).refusal(error)),
            },
        }
    }
}

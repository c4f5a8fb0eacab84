//! What must hold for any bytes as the body of a write: plain, gzipped, in one piece or in many, they come to the same;
//! a body over a limit is refused, however small it is when compressed; and of a refused body nothing is stored.

use super::disk::SimDisk;
use super::library;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use hyper::body::{Body, Frame};
use sealine::config::{Config, Http};
use sealine::inlet::{BadLines, BodyError, Coding, HttpInlet, Intake};
use sealine_base::clock::{ManualClock, SystemClock};
use sealine_lineproto::Precision;
use sealine_store::Store;
use sealine_telemetry::notices::Notices;
use sealine_telemetry::{Protocol, Telemetry};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Small, so that short inputs meet the bounds.
const DECODED_MAX: u64 = 32 << 10;
const COMPRESSED_MAX: u64 = 4 << 10;

/// Panics where a rule is broken.
pub fn check(bytes: &[u8]) {
    let plain = send(Coding::Plain, bytes, bytes.len());
    assert_eq!(plain.told == TOO_LARGE, bytes.len() as u64 > DECODED_MAX);
    assert_eq!(send(Coding::Plain, bytes, 1 + bytes.len() / 7), plain, "plain, in pieces (left) and whole");

    let gzipped = gzip(bytes);
    let fits = gzipped.len() as u64 <= COMPRESSED_MAX;
    let by_gzip = send(Coding::Gzip, &gzipped, 1 + gzipped.len() / 3);
    assert_eq!(by_gzip, if fits { plain } else { Outcome::refused(TOO_LARGE) }, "gzipped (left) and plain");

    // As they are: mostly refused, and never for more than a sound decoder makes of them.
    let foreign = send(Coding::Gzip, bytes, bytes.len());
    if bytes.len() as u64 > COMPRESSED_MAX {
        return assert_eq!(foreign.told, TOO_LARGE);
    }
    assert_eq!(send(Coding::Gzip, bytes, 1 + bytes.len() / 5), foreign, "gzip, in pieces (left) and whole");
    let mut decoded = Vec::new();
    if MultiGzDecoder::new(bytes).take(DECODED_MAX + 1).read_to_end(&mut decoded).is_err() {
        assert_ne!(foreign.told, STORED, "what cannot be decompressed is refused");
    }
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const STORED: &str = "stored";
const TOO_LARGE: &str = "too large";

/// What a body came to, and what the store has of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    told: &'static str,
    lines: (u64, u64),
    content: String,
}

impl Outcome {
    fn refused(told: &'static str) -> Self {
        Outcome { told, lines: (0, 0), content: "{}".to_string() }
    }
}

/// Sends a body in pieces to a store of its own.
fn send(coding: Coding, body: &[u8], piece: usize) -> Outcome {
    let dir = tempfile::tempdir().expect("a folder, for the store's lock");
    let store = store(dir.path());
    let http = Http { max_body_bytes: DECODED_MAX, max_compressed_bytes: COMPRESSED_MAX, ..Config::default().http };
    let notices = Notices::new(SystemClock::shared());
    let intake = Intake::new(store.clone(), Telemetry::new(), notices, Protocol::Http);
    let inlet = HttpInlet::new(intake, &http);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let pieces = Pieces(body.chunks(piece.max(1)).rev().map(Bytes::copy_from_slice).collect());
    let sent = runtime.block_on(inlet.take(
        CLIENT,
        library::DATABASE,
        Some(Precision::Milliseconds),
        coding,
        BadLines::CostThemselves,
        pieces,
    ));
    let (told, lines) = match sent {
        Ok(written) => (STORED, (written.lines, written.refused)),
        Err(BodyError::TooLarge { .. }) => (TOO_LARGE, (0, 0)),
        Err(BodyError::Coding(_)) => ("not gzip", (0, 0)),
        Err(error) => panic!("nothing else can be wrong: {error}"),
    };
    let content = format!("{:?}", library::read(&store, i64::MIN, i64::MAX));
    assert!(told == STORED || content == "{}", "of a refused body nothing is stored: {content}");
    Outcome { told, lines, content }
}

/// A store in memory; lines without a time get that of its clock, which stands still.
fn store(dir: &Path) -> Arc<Store> {
    let disk = SimDisk::new(dir);
    library::open_on(disk.shared(), &library::config(dir), &ManualClock::at(1_699_920_000_000))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a vector takes all")
}

/// A body that arrives piece by piece; the last one comes first out.
struct Pieces(Vec<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
    }
}

//! The story: series that people really recorded go in by HTTP and by UDP, and what comes out is what went in, bit by
//! bit: from memory, from chunk files, after a restart and from the archive.
//!
//! It would fail where a number is parsed or printed inexactly, where a codec mishandles a real value, where a tier
//! hides or repeats samples at its border, or where UDP loses what arrives at a pace that anybody can take.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Client, matrix, seconds};
use crate::support::trials::{Missing, Ran, Test};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

/// Below what Ethernet carries in one piece.
const DATAGRAM_BYTES: usize = 1400;

/// So many datagrams are on their way at most: far fewer than the smallest receive buffer holds.
const DATAGRAMS_AHEAD: usize = 32;

/// The series lie on whole minutes, so a step of a minute that looks back a minute shows each sample once.
const MINUTE_MS: i64 = 60_000;

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// The most steps that are asked for at once; a query may have 11000.
const STEPS: i64 = 10_000;

/// One recorded series.
struct Recording {
    metric: String,
    /// (seconds, value as it is written), as they stand in the file.
    rows: Vec<(i64, String)>,
    /// By milliseconds; of equal times the last one.
    samples: BTreeMap<i64, f64>,
}

pub const TESTS: &[Test] = &[("recorded_series_come_out_as_they_went_in", recorded_series_come_out_as_they_went_in)];

fn recorded_series_come_out_as_they_went_in() -> Ran {
    let folder = recordings_folder()?;
    let recordings = read_recordings(&folder);
    assert!(recordings.len() >= 10, "{} has {} series only", folder.display(), recordings.len());
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings = [("udp.database", "story")];

    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    write_by_http(&mut client, &recordings);
    write_by_udp(&daemon, &mut client, &recordings);
    check("in memory", &mut client, &recordings);
    client.admin("/admin/seal");
    check("sealed", &mut client, &recordings);
    daemon.stop();

    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    check("after a restart", &mut client, &recordings);
    client.admin("/admin/archive?force=1");
    let status = &client.get("/admin/status").json()["databases"]["story"];
    assert_eq!(status["files"], status["partitions"], "an archived partition is one file");
    check("archived", &mut client, &recordings);
    daemon.kill();

    let daemon = Daemon::start(data.path(), &settings);
    check("archived, after kill -9 and a restart", &mut daemon.client(), &recordings);
    daemon.stop();
    Ok(())
}

/// Where the recordings are: `data/nab` in `SEALINE_SHARED`, or in `shared` beside the repository.
fn recordings_folder() -> Result<PathBuf, Missing> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("SEALINE_SHARED").map_or_else(beside, PathBuf::from).join("data/nab");
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Missing(format!("there are no recordings at {}; set SEALINE_SHARED", folder.display())))
}

#[expect(clippy::disallowed_methods, reason = "the test's own data, not the daemon's")]
fn read_recordings(folder: &Path) -> Vec<Recording> {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "csv")).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a recording is text");
        let row = |line: &str| {
            let (time, value) = line.split_once(',').expect("a row has two columns");
            let time: jiff::civil::DateTime = time.parse().expect("the first is a time");
            let time = time.to_zoned(jiff::tz::TimeZone::UTC).expect("it is within range").timestamp();
            (time.as_second(), value.to_string())
        };
        let rows: Vec<(i64, String)> = text.lines().skip(1).map(row).collect();
        let number = |value: &String| value.parse().expect("the second is a number");
        Recording {
            metric: path.file_stem().expect("a file has a name").to_string_lossy().replace('-', "_"),
            samples: rows.iter().map(|(time, value)| (time * 1000, number(value))).collect(),
            rows,
        }
    };
    paths.iter().map(read).collect()
}

impl Recording {
    /// Every other five minutes goes by HTTP, so that each way has half of each series and rows of one time stay
    /// together.
    fn rows(&self, by_http: bool) -> impl Iterator<Item = &(i64, String)> {
        self.rows.iter().filter(move |(time, _)| (time / 300 % 2 == 0) == by_http)
    }
}

fn write_by_http(client: &mut Client, recordings: &[Recording]) {
    for recording in recordings {
        let line = |(time, value): &(i64, String)| format!("{} value={value} {time}\n", recording.metric);
        let lines: String = recording.rows(true).map(line).collect();
        let answer = client.post("/write?db=story&precision=s", &[], lines.as_bytes());
        assert_eq!((answer.status, answer.text()), (204, ""), "{}", recording.metric);
    }
}

fn write_by_udp(daemon: &Daemon, client: &mut Client, recordings: &[Recording]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(daemon.udp()).expect("an address of this machine");
    let (mut sent, mut ahead) = (0, 0);
    let mut datagram = String::new();
    let mut send = |datagram: &mut String, last: bool| {
        socket.send(datagram.as_bytes()).expect("the daemon listens");
        sent += datagram.lines().count();
        datagram.clear();
        ahead += 1;
        if last || ahead == DATAGRAMS_AHEAD {
            ahead = 0;
            eventually("all lines sent by UDP are stored", || {
                (client.metric("sealine_ingested_lines_total{protocol=\"udp\"}") == sent as f64).then_some(())
            });
        }
    };
    for recording in recordings {
        for (time, value) in recording.rows(false) {
            let line = format!("{} value={value} {time}000000000\n", recording.metric);
            if datagram.len() + line.len() > DATAGRAM_BYTES {
                send(&mut datagram, false);
            }
            datagram += &line;
        }
    }
    send(&mut datagram, true);
}

/// Reads every series back in both ways and compares.
fn check(when: &str, client: &mut Client, recordings: &[Recording]) {
    for Recording { metric, samples, .. } in recordings {
        let (first, last) = match (samples.first_key_value(), samples.last_key_value()) {
            (Some((first, _)), Some((last, _))) => (*first, *last),
            _ => continue,
        };
        let bits = |samples: Vec<(i64, f64)>| -> Vec<(i64, u64)> {
            samples.into_iter().map(|(time, value)| (time, value.to_bits())).collect()
        };
        let want = bits(samples.iter().map(|(time, value)| (*time, *value)).collect());

        let range = format!("{metric}[{}d]", (last - first) / DAY_MS + 1);
        let got = client.query(&range, last).remove(&format!("{metric}{{}}")).unwrap_or_default();
        assert!(bits(got) == want, "{when}: {range} is not what was recorded");

        let mut got = Vec::new();
        let mut start = first;
        while start <= last {
            let end = last.min(start + (STEPS - 1) * MINUTE_MS);
            let (from, to) = (seconds(start), seconds(end));
            let parameters =
                [("query", metric.as_str()), ("start", &from), ("end", &to), ("step", "60"), ("lookback_delta", "60s")];
            let answer = client.ask("/api/v1/query_range", &parameters);
            got.extend(matrix(&answer).remove(&format!("{metric}{{}}")).unwrap_or_default());
            start = end + MINUTE_MS;
        }
        assert!(samples.keys().all(|time| (time - first) % MINUTE_MS == 0), "{metric} lies on whole minutes");
        assert!(bits(got) == want, "{when}: {metric} by query_range is not what was recorded");
    }
}

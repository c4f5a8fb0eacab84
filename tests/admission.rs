//! The story: a daemon has less space than it is to keep free, or gets more samples than it is to take. It says so with
//! 503 and a time to come back, counts what it refused, answers queries all along, and takes writes again by itself.
//!
//! It would fail where a limit is not looked at, where it holds for one inlet alone, or where what was refused is stored.

mod support;

use std::net::UdpSocket;
use support::daemon::Daemon;
use support::eventually;
use support::http::{Answer, Client};

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

fn post(client: &mut Client, lines: &str) -> Answer {
    client.post("/write?db=story&precision=ms", &[], lines.as_bytes())
}

/// It is refused for now, and told why.
fn refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert!(answer.text().contains(why), "{answer:?}");
}

#[test]
fn a_disk_with_too_little_space_takes_no_writes() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    daemon.client().write(&format!("kept v=1 {TIME_MS}"));
    daemon.kill();

    let daemon = Daemon::start(data.path(), &[("disk.min_free_bytes", "1000000GiB")]);
    let mut client = daemon.client();
    refused(&post(&mut client, &format!("late v=1 {TIME_MS}")), "disk.min_free_bytes");
    assert!(client.metric("sealine_refused_writes_total{protocol=\"http\",reason=\"disk\"}") >= 1.0);
    let free = client.metric("sealine_disk_free_bytes");
    assert!(free > 0.0 && free < 1e15, "{free}");

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(format!("datagram v=1 {TIME_MS}000000").as_bytes(), daemon.udp()).expect("it is sent");
    eventually("the datagram is counted", || {
        let lines = client.metric("sealine_rejected_lines_total{protocol=\"udp\",reason=\"unavailable\"}");
        (lines == 1.0).then_some(())
    });
    let found = client.query("{__name__=~\"late.*|kept.*|datagram.*\"}", TIME_MS);
    assert_eq!(found.len(), 1, "queries go on, and what was refused is not there: {found:?}");
    assert_eq!(client.get("/health").status, 200);
    daemon.kill();

    let daemon = Daemon::start(data.path(), &[("disk.min_free_bytes", "0")]);
    daemon.client().write(&format!("late v=1 {TIME_MS}"));
}

#[test]
fn more_samples_a_second_than_allowed_wait() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("ingest.max_samples_per_second", "1000")]);
    let mut client = daemon.client();
    // Three seconds' worth in one body: taken, and made up for.
    let body: String = (0..3000).map(|line| format!("m,line={line} v=1 {TIME_MS}\n")).collect();
    assert_eq!(post(&mut client, &body).status, 204);
    refused(&post(&mut client, &format!("late v=1 {TIME_MS}")), "ingest.max_samples_per_second");
    assert!(client.metric("sealine_refused_writes_total{protocol=\"http\",reason=\"rate\"}") >= 1.0);
    assert_eq!(client.number("count(m_v)", TIME_MS), 3000.0);
    assert!(client.query("late_v", TIME_MS).is_empty());
    eventually("writes are taken again", || {
        (post(&mut client, &format!("late v=1 {TIME_MS}")).status == 204).then_some(())
    });
    assert_eq!(client.number("late_v", TIME_MS), 1.0);
}

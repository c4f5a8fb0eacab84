//! The story: clients that mean harm, or are very broken, and many of them at once: ten thousand connections that say
//! nothing, five hundred that send a byte now and then, lengths that lie. The daemon goes on serving the others, gives
//! the hostile ones no more than some kilobytes each, and ends them when their time is up.
//!
//! It would fail where a connection costs a thread or a large buffer, where time is counted from the last byte instead
//! of the first, and where a length that lies smuggles lines into the store.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client, Matrix};
use crate::turn;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// Connections that say nothing, where the machine lets a process have as many files.
const IDLE: usize = 10_000;

/// Threads that open them.
const SIDES: usize = 16;

/// Connections that send a byte now and then.
const SLOW: usize = 500;

/// What the daemon may need for one of them.
const CONNECTION_BYTES_MAX: u64 = 32 << 10;

/// What its memory goes up and down by anyway.
const NOISE_BYTES: u64 = 16 << 20;

/// Writes a line of its own and finds it.
fn serves(daemon: &Daemon, name: &str) {
    let mut client = daemon.client();
    let answer = client.post("/write?db=story&precision=ms", &[], format!("{name} v=1 {TIME_MS}").as_bytes());
    assert_eq!(answer.status, 204, "{name}: {answer:?}");
    assert_eq!(client.query(&format!("{name}_v"), TIME_MS).len(), 1, "{name}");
}

/// Files that this process may have open; the daemon inherits the limit.
#[expect(clippy::disallowed_methods, reason = "a test asks the system")]
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("it is a Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("there is such a limit");
    line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

#[test]
fn ten_thousand_idle_connections_leave_room_for_the_others() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings =
        [("http.max_connections", "11000"), ("http.max_connections_per_ip", "0"), ("http.header_timeout", "60s")];
    let daemon = Daemon::start(data.path(), &settings);
    serves(&daemon, "before");
    let count = IDLE.min((files_max() / 4 * 3).saturating_sub(300)); // the daemon keeps a quarter for itself
    println!("{count} connections");
    let (before, _) = daemon.memory_bytes();
    // From several sides: a listener takes only so many at a time, and a client that comes too early waits a second.
    let some = || (0..count / SIDES).map(|_| TcpStream::connect(daemon.http()).expect("the daemon listens")).collect();
    let idle: Vec<Vec<TcpStream>> = std::thread::scope(|scope| {
        let sides: Vec<_> = (0..SIDES).map(|_| scope.spawn(some)).collect();
        sides.into_iter().map(|side| side.join().expect("it connects")).collect()
    });
    serves(&daemon, "beside");
    let (now, _) = daemon.memory_bytes();
    let allowed = count as u64 * CONNECTION_BYTES_MAX + NOISE_BYTES;
    assert!(now < before + allowed, "{before} bytes before, {now} with {count} connections");
    drop(idle);
    serves(&daemon, "after");
}

#[test]
fn a_byte_now_and_then_does_not_keep_a_connection() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("http.header_timeout", "2s"), ("http.body_timeout", "2s")]);
    serves(&daemon, "before");
    let (before, _) = daemon.memory_bytes();
    let mut slow: Vec<TcpStream> = Vec::new();
    for at in 0..SLOW {
        let mut stream = TcpStream::connect(daemon.http()).expect("the daemon listens");
        stream.set_nodelay(true).expect("Nagle can be switched off");
        let head = "POST /write?db=story&precision=ms HTTP/1.1\r\nHost: localhost\r\n";
        // One half is slow with the head, the other with the body.
        let end = if at % 2 == 0 { "X-Slow: " } else { "Content-Length: 100\r\n\r\nslow v=1" };
        stream.write_all(format!("{head}{end}").as_bytes()).expect("the daemon takes it");
        slow.push(stream);
    }
    let mut beside = 0;
    eventually("all slow connections are ended", || {
        serves(&daemon, &format!("beside{beside}"));
        beside += 1;
        std::thread::sleep(Duration::from_millis(200));
        slow.retain_mut(|stream| stream.write_all(b" ").is_ok());
        slow.is_empty().then_some(())
    });
    let (_, most) = daemon.memory_bytes();
    assert!(most < before + SLOW as u64 * CONNECTION_BYTES_MAX + NOISE_BYTES, "{before} bytes before, {most} at most");
    assert_eq!(daemon.client().query("slow_v", TIME_MS), Matrix::new(), "nothing of an unfinished body is stored");
}

/// Sends bytes as they are, and takes all answers until the connection ends.
fn answers(daemon: &Daemon, request: &str) -> Vec<Answer> {
    let mut client: Client = daemon.client();
    client.send(request.as_bytes()).expect("the daemon listens");
    client.end();
    std::iter::from_fn(|| client.answer().ok()).collect()
}

#[test]
fn lengths_that_lie_smuggle_nothing() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let line = format!("lie v=1 {TIME_MS}");
    let longer = line.len() + 1;
    for (name, headers, body) in [
        ("more than there is", format!("Content-Length: {longer}"), line.clone()),
        ("none of the digits", "Content-Length: many".to_string(), line.clone()),
        ("negative", "Content-Length: -1".to_string(), line.clone()),
        ("beyond 64 bits", "Content-Length: 99999999999999999999999".to_string(), line.clone()),
        ("beyond any body", format!("Content-Length: {}", i64::MAX), line.clone()),
        ("two that differ", format!("Content-Length: {}\r\nContent-Length: {longer}", line.len()), line.clone()),
        ("a list", format!("Content-Length: {}, {longer}", line.len()), line.clone()),
        ("a chunk too long", "Transfer-Encoding: chunked".to_string(), format!("{longer:x}\r\n{line}\r\n0\r\n\r\n")),
        ("a chunk beyond 64 bits", "Transfer-Encoding: chunked".to_string(), format!("fffffffffffffffff\r\n{line}")),
        ("no last chunk", "Transfer-Encoding: chunked".to_string(), format!("{:x}\r\n{line}\r\n", line.len())),
        ("an unknown coding", "Transfer-Encoding: identity".to_string(), line.clone()),
    ] {
        let head = "POST /write?db=story&precision=ms HTTP/1.1\r\nHost: localhost";
        let answers = answers(&daemon, &format!("{head}\r\n{headers}\r\n\r\n{body}"));
        // One that ends early may be the link's fault, and is to be sent again.
        let is_refused = |answer: &Answer| (400..500).contains(&answer.status) || answer.status == 503;
        assert!(answers.iter().all(is_refused), "{name}: {answers:?}");
        assert_eq!(daemon.client().query("lie_v", TIME_MS), Matrix::new(), "{name}");
    }
    // Less than there is: what is left over is the next request, and none.
    let head = "POST /write?db=story&precision=ms HTTP/1.1\r\nHost: localhost";
    let answers = answers(&daemon, &format!("{head}\r\nContent-Length: {}\r\n\r\n{line}\nsmuggled v=1 1", line.len()));
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [204, 400], "{answers:?}");
    assert_eq!(daemon.client().query("lie_v", TIME_MS).len(), 1);
    assert_eq!(daemon.client().query("smuggled_v", TIME_MS), Matrix::new());
    serves(&daemon, "after");
}

#[test]
fn whoever_ends_its_side_is_answered_and_whoever_leaves_is_not_waited_for() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let line = format!("door,side=\"\" open=1 {TIME_MS}");
    let write = format!("POST /write?db=story&precision=ms HTTP/1.1\r\nContent-Length: {}\r\n\r\n{line}", line.len());
    let query = format!("GET /api/v1/query?time={}&query=door_open{{side=~\"..\"}}>0 HTTP/1.0\r\n\r\n", TIME_MS / 1000);
    for (name, request, status, want) in [
        ("a write", &*write, 204, ""),
        ("a query", &query, 200, r#""side":"\"\"""#),
        ("half a head", "GET /api/v1/query?query=1 HTTP/1.1\r\nHost", 400, "ended before its head did"),
        ("half a body", &write[..write.len() - 1], 503, "ended before its end"),
        ("no request", "\u{16}\u{3}\u{1}", 400, "ask with http://"),
    ] {
        let answers = answers(&daemon, request);
        assert_eq!(answers.len(), 1, "{name}: {answers:?}");
        assert_eq!(answers[0].status, status, "{name}: {}", answers[0].text());
        assert!(answers[0].text().contains(want), "{name}: {}", answers[0].text());
    }
    serves(&daemon, "after");
}

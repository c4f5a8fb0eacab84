//! The story: two Telegrafs, one with each InfluxDB output, send while the daemon is killed, stopped, held, and out of
//! space, and some of their lines are poison. All that is lost in the end are the poison lines, and no batch is sent for
//! ever.
//!
//! It would fail where a refusal that ought to be tried again is worded so that Telegraf drops the batch, where a lasting
//! one is worded so that it is kept, where an answer leaves before its lines are durable, or where the good lines around
//! a poison one are refused with it.

use crate::support::daemon::Daemon;
use crate::support::http::Answer;
use crate::support::telegraf::{Agent, Fate, Figures, Output, fate};
use crate::support::{eventually, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const START_MS: i64 = 1_700_000_000_000;

/// One metric in so many is poison.
const POISON: u64 = 97;

/// Metrics that an agent gathers at a time, and how often.
const GATHERED: u64 = 20;
const INTERVAL: Duration = Duration::from_millis(20);

/// How often all faults come.
const ROUNDS: usize = 3;

/// No batch needs as many attempts, where every fault passes within seconds.
const ATTEMPTS_MAX: u32 = 100;

const SETTINGS: [(&str, &str); 2] = [("wal.segment_bytes", "64KiB"), ("seal.wal_bytes", "256KiB")];

/// A daemon that is told of a full disk by an error, not by a signal.
fn start(data: &Path) -> Daemon {
    Daemon::start_after("trap '' XFSZ", data, &SETTINGS)
}

/// Gathers and flushes until it is over and nothing waits. Returns how many metrics there were.
fn run(output: Output, address: &Mutex<SocketAddr>, over: &AtomicBool) -> (u64, Figures) {
    let (mut agent, mut gathered) = (Agent::new(output), 0);
    let mut not_before = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        for number in gathered..gathered + GATHERED {
            let value = if number % POISON == 0 { "poison" } else { "i" };
            let time = (START_MS + number as i64) * 1_000_000;
            agent.gather(format!("replica,output={output:?} n={number}{value} {time}"));
        }
        gathered += GATHERED;
        std::thread::sleep(INTERVAL);
        not_before = not_before.saturating_sub(INTERVAL);
        if not_before.is_zero() {
            let now = *address.lock().expect("nobody panics with it");
            not_before = agent.flush(now).unwrap_or_default();
        }
    }
    eventually("nothing waits any more", || {
        let now = *address.lock().expect("nobody panics with it");
        let _ = agent.flush(now);
        agent.is_idle().then_some(())
    });
    (gathered, agent.figures)
}

#[test]
fn of_what_telegraf_sends_only_poison_is_lost() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut daemon = start(data.path());
    let (address, over) = (Mutex::new(daemon.http()), AtomicBool::new(false));
    let (daemon, agents) = std::thread::scope(|scope| {
        let agents = Output::ALL.map(|output| {
            let (address, over) = (&address, &over);
            (output, scope.spawn(move || run(output, address, over)))
        });
        let mut pause = |from: u64, to: u64| std::thread::sleep(Duration::from_millis(rng.random_range(from..to)));
        for _ in 0..ROUNDS {
            pause(100, 300);
            daemon.stop();
            daemon = start(data.path());
            *address.lock().expect("nobody panics with it") = daemon.http();

            pause(100, 300);
            daemon.kill();
            pause(1, 300); // nobody listens
            daemon = start(data.path());
            *address.lock().expect("nobody panics with it") = daemon.http();

            pause(100, 300);
            daemon.limit_files(Some(0));
            pause(300, 600);
            daemon.limit_files(None);

            pause(100, 300);
            let signal = daemon.signals();
            signal(Signal::STOP);
            pause(1100, 1300); // longer than an agent waits for an answer
            signal(Signal::CONT);
        }
        over.store(true, Ordering::Relaxed);
        (daemon, agents.map(|(output, agent)| (output, agent.join().expect("the agent does not panic"))))
    });
    for (output, (gathered, figures)) in agents {
        println!("{output:?}: {gathered} metrics gathered; {figures:?}");
        assert_eq!(figures.forgotten, 0, "{output:?}: as many waited as it takes");
        assert!(figures.dropped > 0 && figures.kept > 0, "{output:?}: there was poison, and there were faults");
        assert!(figures.statuses.contains(&503), "{output:?}: the disk was full");
        assert!(figures.attempts_max < ATTEMPTS_MAX, "{output:?}: a batch is sent again and again");
        let query = format!("replica_n{{output=\"{output:?}\"}}[1d]");
        let found = daemon.client().query(&query, START_MS + gathered as i64);
        let found: BTreeSet<u64> = found.into_values().flatten().map(|(_, value)| value as u64).collect();
        let want: BTreeSet<u64> = (0..gathered).filter(|number| number % POISON != 0).collect();
        let missing: Vec<&u64> = want.difference(&found).take(5).collect();
        assert!(missing.is_empty(), "{output:?}: lost, such as {missing:?}");
        assert_eq!(found.len(), want.len(), "{output:?}: nothing was invented");
    }
    daemon.stop();
}

/// The replica itself: the table of what the outputs do.
#[test]
fn the_replica_judges_answers_as_telegraf_does() {
    use Fate::*;
    for (status, text, v1, v2, http) in [
        (204, "", Delivered, Delivered, Delivered),
        (200, "", Kept, Delivered, Delivered),
        (400, "{}", Dropped, Dropped, Dropped),
        (400, "no", Kept, Dropped, Dropped),
        (401, "no", Kept, Kept, Kept),
        (401, "{}", Dropped, Kept, Kept),
        (404, "{\"error\":\"database not found: x\"}", Kept, Dropped, Kept),
        (408, "{}", Dropped, Dropped, Kept),
        (413, "{}", Dropped, Halved, Dropped),
        (429, "{}", Dropped, Kept, Kept),
        (500, "{}", Kept, Kept, Kept),
        (503, "{\"error\":\"no space\"}", Kept, Kept, Kept),
        (503, "{\"error\":\"partial write: no space\"}", Dropped, Kept, Kept),
    ] {
        let answer = Answer { status, headers: Default::default(), body: text.into() };
        let got = Output::ALL.map(|output| fate(output, &answer));
        assert_eq!(got, [v1, v2, v2, http], "{status} {text}");
    }
}

/// What is to blame for an answer. What is the server's or the link's must not cost what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    Nobody,
    Lines,
    Request,
    Token,
    Server,
    Link,
}

/// The daemons that the answers are had from.
struct Daemons {
    plain: Daemon,
    guarded: Daemon,
    slowed: Daemon,
    crowded: Daemon,
    full: Daemon,
    young: Daemon,
    strict: Daemon,
    _folders: [tempfile::TempDir; 7],
}

impl Daemons {
    #[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
    fn start() -> Daemons {
        let folders = std::array::from_fn(|_| tempfile::tempdir().expect("a folder for the test"));
        let [plain, guarded, slowed, crowded, full, young, strict]: [&Path; 7] = std::array::from_fn(|n| {
            let folders: &[tempfile::TempDir; 7] = &folders;
            folders[n].path()
        });
        let small = [
            ("http.max_body_bytes", "64KiB"),
            ("ingest.max_line_bytes", "32KiB"),
            ("ingest.max_key_bytes", "16KiB"),
            ("http.body_timeout", "1s"),
            ("cardinality.max_databases", "1"),
        ];
        let file = guarded.join("sealine.toml");
        let hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // of `secret`
        let token = format!("[[token]]\nname = \"reader\"\nhash = \"{hash}\"\nrights = [\"read\"]\n");
        std::fs::write(&file, token).expect("the test's folder is writable");
        Daemons {
            plain: Daemon::start(plain, &small),
            guarded: Daemon::start_with(&file, &guarded.join("data")),
            slowed: Daemon::start(slowed, &[("ingest.max_samples_per_second", "1")]),
            crowded: Daemon::start(crowded, &[("http.max_connections", "1")]),
            full: start(full),
            young: Daemon::start(young, &[("retention.disk", "30d")]),
            strict: Daemon::start(strict, &[("ingest.make_databases", "false"), ("udp.database", "known")]),
            _folders: folders,
        }
    }
}

const LINE: &str = "m,host=a value=1 1700000000000000000\n";

/// A whole request, by hand.
fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes(), body].concat()
}

/// Asks over a connection of its own.
fn ask(daemon: &Daemon, request: &[u8]) -> Answer {
    let mut client = daemon.client();
    client.send(request).expect("the daemon listens");
    client.answer().expect("there is an answer")
}

type Ask = fn(&Daemons, &str) -> Answer;

fn post(daemon: &Daemon, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    daemon.client().post(path, headers, body)
}

/// Every answer that the routes for lines have, as docs/reliability.md names it, with how to get it.
const ANSWERS: [(&str, Blame, Ask); 21] = [
    ("all lines are stored", Blame::Nobody, |them, path| post(&them.plain, path, &[], LINE.as_bytes())),
    ("bad lines: the others are stored", Blame::Lines, |them, path| {
        post(&them.plain, path, &[], format!("{LINE}m value=\n").as_bytes())
    }),
    ("times that retention no longer keeps: the others are stored", Blame::Lines, |them, path| {
        post(&them.young, path, &[], format!("{LINE}m,host=a value=1\n").as_bytes())
    }),
    ("the body is larger than a limit", Blame::Lines, |them, path| {
        post(&them.plain, path, &[], LINE.repeat(4000).as_bytes())
    }),
    ("an unknown `precision`", Blame::Request, |them, path| {
        post(&them.plain, &format!("{path}&precision=weeks"), &[], LINE.as_bytes())
    }),
    ("no bucket, or no database", Blame::Request, |them, path| {
        post(&them.plain, path.split('?').next().unwrap_or(path), &[], LINE.as_bytes())
    }),
    ("a name that no database can have", Blame::Request, |them, path| {
        post(&them.plain, &path.replace("story", &"d".repeat(100)), &[], LINE.as_bytes())
    }),
    ("one database more than `cardinality.max_databases`", Blame::Request, |them, path| {
        post(&them.plain, &path.replace("story", "another"), &[], LINE.as_bytes())
    }),
    ("a database that is not there, where `ingest.make_databases` is off", Blame::Request, |them, path| {
        post(&them.strict, path, &[], LINE.as_bytes())
    }),
    ("the same of a policy of a database that is there", Blame::Request, |them, path| {
        post(&them.strict, &path.replace("story", "known/weekly"), &[], LINE.as_bytes())
    }),
    ("not the gzip that it says it is", Blame::Request, |them, path| {
        post(&them.plain, path, &[("Content-Encoding", "gzip")], LINE.as_bytes())
    }),
    ("an unknown `Content-Encoding`", Blame::Request, |them, path| {
        post(&them.plain, path, &[("Content-Encoding", "br")], LINE.as_bytes())
    }),
    ("chunks that are none", Blame::Request, |them, path| {
        ask(&them.plain, &request("POST", path, "Transfer-Encoding: chunked\r\n", b"lines\r\nm value=1\r\n"))
    }),
    ("another method", Blame::Request, |them, path| {
        ask(&them.plain, &request("PUT", path, "Content-Length: 0\r\n", b""))
    }),
    ("another path", Blame::Request, |them, path| post(&them.plain, &path.replace('?', "/x?"), &[], LINE.as_bytes())),
    ("no token, or a wrong one", Blame::Token, |them, path| post(&them.guarded, path, &[], LINE.as_bytes())),
    ("a token without the right", Blame::Token, |them, path| {
        post(&them.guarded, path, &[("Authorization", "Bearer secret")], LINE.as_bytes())
    }),
    ("too many connections", Blame::Server, |them, path| {
        let _first = eventually("it has the only place", || {
            let mut first = them.crowded.client();
            (first.get("/ping").status == 204).then_some(first)
        });
        post(&them.crowded, path, &[], LINE.as_bytes())
    }),
    ("memory, disk or rate do not allow it", Blame::Server, |them, path| {
        eventually("the rate is used up", || {
            let answer = post(&them.slowed, path, &[], LINE.repeat(100).as_bytes());
            (answer.status != 204).then_some(answer)
        })
    }),
    ("the log cannot be written", Blame::Server, |them, path| {
        them.full.limit_files(Some(0));
        let answer = post(&them.full, path, &[], LINE.as_bytes());
        them.full.limit_files(None);
        answer
    }),
    ("the body is slower than `http.body_timeout`, or breaks off", Blame::Link, |them, path| {
        let head = format!("Content-Length: {}\r\n", LINE.len() * 2);
        let half = request("POST", path, &head, LINE.as_bytes());
        let mut cut = them.plain.client();
        cut.send(&half).expect("the daemon listens");
        cut.end();
        // The connection may as well be closed without an answer.
        let cut = cut.answer();
        let slow = ask(&them.plain, &half);
        assert!(slow.headers.contains_key("retry-after"), "{slow:?}");
        assert!(cut.is_err() || cut.is_ok_and(|cut| cut.status == slow.status), "as a slow one");
        slow
    }),
];

/// The rows of the table in docs/reliability.md: cells without the blanks around them.
fn table() -> Vec<Vec<String>> {
    let page = include_str!("../../docs/reliability.md");
    let (_, rest) = page.split_once("<!-- answers: begin -->").expect("the page marks the table");
    let (table, _) = rest.split_once("<!-- answers: end -->").expect("the page marks the table's end");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()).collect()
}

#[test]
fn only_what_is_the_senders_own_fault_costs_what_it_sent() {
    let them = Daemons::start();
    let mut rows = Vec::new();
    for (when, blame, ask) in ANSWERS {
        let mut status = 0;
        let fates = Output::ALL.map(|output| {
            let answer = ask(&them, &output.path("story"));
            // Without `db`, version 1 writes to a database of its own.
            let is_other = when.starts_with("no bucket") && matches!(output, Output::V1 | Output::Http);
            if is_other {
                return "-".to_string();
            }
            assert!(status == 0 || status == answer.status, "{when} {output:?}: {answer:?}");
            status = answer.status;
            let fate = fate(output, &answer);
            if matches!(blame, Blame::Server | Blame::Link) {
                assert_eq!(fate, Fate::Kept, "{when} {output:?}: {answer:?}");
            }
            format!("{fate:?}").to_lowercase()
        });
        let row = [vec![status.to_string(), when.to_string(), format!("{blame:?}").to_lowercase()], fates.to_vec()];
        rows.push(row.concat());
    }
    let shown: String = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    assert_eq!(rows, table(), "docs/reliability.md has another table; it should be\n{shown}");
}

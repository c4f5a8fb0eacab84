//! The story: the data folder lies on a real file system of 64 MiB, and that is full: to the last byte, again and again,
//! under load. Writes are refused with 503 and a time to come back, queries go on, days that are over go, and writes go
//! on by themselves when there is space. Whatever was acknowledged is there, then and after restarts.
//!
//! It would fail where a write that does not fit ends the daemon or leaves half a record, where an answer forgets to say
//! when to come back, where expiry needs space to make space, or where only a restart brings writes back.
//!
//! The file system is mounted in a mount namespace of this test's own, in which the test starts itself again. Where the
//! system does not let it, the tests count as ignored.
#![expect(clippy::disallowed_methods, reason = "the story fills a real file system")]

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client};
use crate::support::trials::{Missing, Ran, Test};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Set where the test runs in its own namespace.
const INSIDE: &str = "SEALINE_SMALL_DISK";

/// Why the tests may not run inside.
const NO_MOUNT: &str = "no tmpfs can be mounted in a namespace of one's own";

/// How often the disk fills up in an ordinary run; `SEALINE_FULL_DISK_ROUNDS` has another number.
const ROUNDS: usize = 4;

/// Free at the start of a round.
const ROUND_BYTES: u64 = 3 << 20;

/// Writes that do not go on by then, once there is space, never will; far beyond what a loaded machine needs.
const RESUME: Duration = Duration::from_secs(60);

/// 2023-11-14 22:13:20 UTC.
const START_MS: i64 = 1_700_000_000_000;

const DAY_MS: i64 = 86_400_000;

/// Runs `story` with an empty file system of 64 MiB as its folder: starts this test again, in a namespace of its own.
fn on_a_small_disk(test: &str, story: impl FnOnce(&Path)) -> Ran {
    if std::env::var_os(INSIDE).is_some() {
        let folder = tempfile::tempdir().expect("a folder to mount on");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(folder.path()).status();
        if !mount.is_ok_and(|status| status.success()) {
            return Err(Missing(NO_MOUNT.into()));
        }
        story(folder.path());
        let unmounted = Command::new("umount").arg(folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "nothing holds the disk any more");
        return Ok(());
    }
    let allowed = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    if !allowed.as_ref().is_ok_and(|output| output.status.success()) {
        return Err(Missing("`unshare --map-root-user --mount` is not allowed here".into()));
    }
    let again = std::env::current_exe().expect("a test has a program");
    let mut command = Command::new("unshare");
    let test = format!("small_disk::{test}");
    command.args(["--map-root-user", "--mount", "--"]).arg(again).args(["--exact", &test, "--nocapture"]);
    let output = command.env(INSIDE, "1").output().expect("it was allowed a moment ago");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    if said.contains(NO_MOUNT) {
        return Err(Missing(NO_MOUNT.into()));
    }
    assert!(said.contains("1 passed"), "the test ran inside: {said}");
    said.lines().filter(|line| line.contains("round")).for_each(|line| println!("{line}"));
    Ok(())
}

/// A file that is in the way.
struct Ballast(PathBuf);

impl Ballast {
    /// Takes all space but `free` bytes; with 0, to the last byte that the file system gives.
    fn fill(&self, free: u64) {
        let mut file = File::options().create(true).append(true).open(&self.0).expect("the ballast can be made");
        let space = || {
            let disk = rustix::fs::statvfs(&self.0).expect("the file system tells");
            disk.f_bavail * disk.f_frsize
        };
        while space() > free {
            let bytes = (space() - free).min(1 << 16) as usize;
            match file.write(&vec![7; bytes]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn remove(&self) {
        fs::remove_file(&self.0).expect("the ballast is there");
    }
}

/// What was acknowledged: by series, how many samples and their sum. The values are small integers: sums are exact.
#[derive(Default)]
struct Acknowledged {
    points: i64,
    series: BTreeMap<String, (u64, i64)>,
}

impl Acknowledged {
    /// The next point of fifty hosts; it counts where the daemon acknowledges it.
    fn write(&mut self, client: &mut Client) -> Answer {
        let time = START_MS + self.points * 10;
        let value = |host: i64| (self.points * 7919 + host * 104_729) % 100_003;
        let lines: String = (0..50).map(|host| format!("load,host=h{host} v={} {time}\n", value(host))).collect();
        let answer = client.post("/write?db=story&precision=ms", &[], lines.as_bytes());
        if answer.status == 204 {
            for host in 0..50 {
                let (count, sum) = self.series.entry(format!("{{host=\"h{host}\"}}")).or_default();
                (*count, *sum) = (*count + 1, *sum + value(host));
            }
            self.points += 1;
        }
        answer
    }

    /// The daemon has this and nothing else.
    fn check(&self, what: &str, client: &mut Client) {
        let at = START_MS + self.points * 10;
        let (counts, sums) =
            (client.query("count_over_time(load_v[1h])", at), client.query("sum_over_time(load_v[1h])", at));
        let got: BTreeMap<String, (u64, i64)> = counts
            .into_iter()
            .map(|(series, count)| {
                let sum = sums.get(&series).map_or(0.0, |samples| samples[0].1);
                (series, (count[0].1 as u64, sum as i64))
            })
            .collect();
        assert!(got == self.series, "{what}: got {got:?}\nacknowledged {:?}", self.series);
    }
}

fn rounds() -> usize {
    let given = std::env::var("SEALINE_FULL_DISK_ROUNDS").ok();
    given.map_or(ROUNDS, |text| text.parse().expect("SEALINE_FULL_DISK_ROUNDS is a number"))
}

/// Writes until a write is refused, and looks at the refusal, which names `why`.
fn write_until_refused(acknowledged: &mut Acknowledged, client: &mut Client, why: &str) {
    let refusal = loop {
        let answer = acknowledged.write(client);
        if answer.status != 204 {
            break answer;
        }
        assert!(acknowledged.points < 1_000_000, "the disk does not fill up");
    };
    assert_eq!(refusal.status, 503, "{refusal:?}");
    let wait: u64 = refusal.headers["retry-after"].parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{refusal:?}");
    let error = refusal.json()["error"].as_str().expect("the body says why").to_string();
    assert!(error.contains(why), "{error}");
}

/// Writes until one is acknowledged again. Says how long that took.
fn resumes(acknowledged: &mut Acknowledged, client: &mut Client, since: Instant) -> Duration {
    while acknowledged.write(client).status != 204 {
        assert!(since.elapsed() < RESUME, "writes do not go on {RESUME:?} after there is space");
        std::thread::sleep(Duration::from_millis(10));
    }
    since.elapsed()
}

pub const TESTS: &[Test] = &[
    (
        "full_to_the_last_byte_it_refuses_answers_expires_and_goes_on",
        full_to_the_last_byte_it_refuses_answers_expires_and_goes_on,
    ),
    ("with_space_kept_free_a_seal_finds_some", with_space_kept_free_a_seal_finds_some),
];

fn full_to_the_last_byte_it_refuses_answers_expires_and_goes_on() -> Ran {
    on_a_small_disk("full_to_the_last_byte_it_refuses_answers_expires_and_goes_on", |disk| {
        let (data, ballast) = (disk.join("data"), Ballast(disk.join("ballast")));
        let settings = [("wal.segment_bytes", "1MiB"), ("disk.min_free_bytes", "0")];
        let mut daemon = Daemon::start(&data, &settings);
        let (mut client, mut acknowledged) = (daemon.client(), Acknowledged::default());
        // Something that will be old enough to go.
        client.write(&format!("old v=1 {}\n", START_MS - 3 * DAY_MS));
        client.admin("/admin/seal");
        let mut memory = Vec::new();
        for round in 0..rounds() {
            ballast.fill(ROUND_BYTES);
            write_until_refused(&mut acknowledged, &mut client, "log segment");
            ballast.fill(0);
            for _ in 0..20 {
                assert_eq!(acknowledged.write(&mut client).status, 503);
            }
            acknowledged.check(&format!("round {round}, full"), &mut client);
            let sealed = client.post("/admin/seal", &[], b"");
            assert!(sealed.status >= 500, "there is no space for chunk files: {sealed:?}");
            acknowledged.check(&format!("round {round}, after a seal that failed"), &mut client);
            assert_eq!(client.get("/-/healthy").status, 200);
            let health = client.get("/health");
            assert_eq!((health.status, &health.json()["status"]), (503, &"fail".into()), "{}", health.text());
            memory.push(daemon.memory_bytes().0);
            if round % 2 == 1 {
                daemon.kill();
                daemon = Daemon::start(&data, &settings); // on a full disk
                client = daemon.client();
                acknowledged.check(&format!("round {round}, started on a full disk"), &mut client);
                assert_eq!(acknowledged.write(&mut client).status, 503);
            }
            ballast.remove();
            let took = resumes(&mut acknowledged, &mut client, Instant::now());
            let points = acknowledged.points;
            println!("round {round}: {points} points, {} KiB resident, resumed in {took:?}", memory[round] >> 10);
            client.admin("/admin/seal");
            acknowledged.check(&format!("round {round}, with space again"), &mut client);
        }
        let most = memory.iter().max().expect("there are rounds");
        assert!(*most < memory[0] + (96 << 20), "memory grows with each round: {memory:?}");

        // A day that is over goes though there is no space at all, and writes have what it took.
        let old = data.join("db/story/2023-11-11");
        assert!(old.exists());
        ballast.fill(0);
        daemon.kill();
        let daemon = Daemon::start(&data, &[settings[0], settings[1], ("retention.disk", "48h")]);
        let mut client = daemon.client();
        eventually("the old day goes", || (!old.exists()).then_some(()));
        resumes(&mut acknowledged, &mut client, Instant::now());
        acknowledged.check("after an expiry on a full disk", &mut client);
        ballast.remove();
        resumes(&mut acknowledged, &mut client, Instant::now());
        daemon.stop();
        // On a file system that is read only it does not start, says why, and harms nothing.
        let remount = |how: &str| {
            let mount = Command::new("mount").args(["-o", how]).arg(disk).status();
            assert!(mount.is_ok_and(|status| status.success()), "{how}");
        };
        remount("remount,ro");
        let Err(ended) = Daemon::try_start(&data, &settings) else { panic!("it starts on a disk that is read only") };
        let said = ended.log.concat();
        assert!(ended.status.code() == Some(1) && said.contains("Read-only file system"), "{ended:?}");
        assert!(said.contains(&*data.to_string_lossy()), "where: {said}");
        remount("remount,rw");
        let daemon = Daemon::start(&data, &settings);
        acknowledged.check("after a restart", &mut daemon.client());
        daemon.stop();
    })
}

fn with_space_kept_free_a_seal_finds_some() -> Ran {
    on_a_small_disk("with_space_kept_free_a_seal_finds_some", |disk| {
        let (data, ballast) = (disk.join("data"), Ballast(disk.join("ballast")));
        let daemon = Daemon::start(&data, &[("wal.segment_bytes", "1MiB"), ("disk.min_free_bytes", "8MiB")]);
        let (mut client, mut acknowledged) = (daemon.client(), Acknowledged::default());
        ballast.fill(10 << 20);
        write_until_refused(&mut acknowledged, &mut client, "disk.min_free_bytes");
        acknowledged.check("refused", &mut client);
        client.admin("/admin/seal");
        acknowledged.check("sealed on a disk that is nearly full", &mut client);
        ballast.remove();
        let took = resumes(&mut acknowledged, &mut client, Instant::now());
        println!("round with space kept free: resumed in {took:?}");
        daemon.kill();
        acknowledged.check("after a restart", &mut Daemon::start(&data, &[]).client());
    })
}

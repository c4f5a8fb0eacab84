//! The story: while lines are written, memory is sealed, files are merged and partitions archived, and all the time
//! somebody reads. Each answer has everything that was acknowledged before it was asked for, and nothing twice.
//!
//! It would fail where a 204 leaves before its samples can be read, or where for a moment samples are in neither tier, or
//! in both and counted twice.

use crate::support::daemon::Daemon;
use crate::support::load::{Fleet, START_MS};
use crate::support::{eventually, seed};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SEALS: usize = 12;
const QUERY: &str = "sum(count_over_time({__name__=~\".+\"}[30d]))";

#[test]
fn every_answer_has_what_was_acknowledged_before_it() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("merge.fan_in", "2"), ("wal.segment_bytes", "64KiB")]);
    let mut fleet = Fleet::new("east", 10, seed());
    let (sent, acknowledged, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = daemon.client();
            while !done.load(Ordering::SeqCst) {
                let request = fleet.request();
                sent.fetch_add(request.samples, Ordering::SeqCst);
                client.write(&request.body);
                acknowledged.fetch_add(request.samples, Ordering::SeqCst);
            }
        });
        let reader = scope.spawn(|| {
            let mut client = daemon.client();
            let mut answers = 0;
            while !done.load(Ordering::SeqCst) {
                let least = acknowledged.load(Ordering::SeqCst);
                let got = client.number(QUERY, START_MS + 29 * 86_400_000) as u64;
                let most = sent.load(Ordering::SeqCst);
                if !(least..=most).contains(&got) {
                    done.store(true, Ordering::SeqCst); // so that the writer ends, and the failure is told
                    panic!("answer {answers}: {got} samples, want {least} to {most}");
                }
                answers += 1;
            }
            answers
        });
        let mut client = daemon.client();
        for round in 0..SEALS {
            let before = acknowledged.load(Ordering::SeqCst);
            eventually("lines are written", || {
                (acknowledged.load(Ordering::SeqCst) > before || done.load(Ordering::SeqCst)).then_some(())
            });
            client.admin("/admin/seal");
            if round % 3 == 2 {
                client.admin("/admin/archive?force=1");
            }
        }
        done.store(true, Ordering::SeqCst);
        reader.join()
    });
    let answers = answers.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(answers > SEALS, "{answers} answers saw little of it");
    let got = daemon.client().number(QUERY, START_MS + 29 * 86_400_000);
    assert_eq!(got, fleet.samples() as f64, "in the end");
}

//! No path costs more than n log n of what it is given, whatever the order in which that comes.
//!
//! Each row of the table does something of size n and of size 4n, each with a store of its own. What it costs is not
//! timed: the loops of the program count their steps (`sealine_base::work`). A new row is a name, a size and two functions:
//! one that prepares the store, and one whose steps are counted. A loop that no row sees needs a `work::count` of its own.
//!
//! It is not among tests/store: steps are counted for the whole process, and there are others at work.

mod support;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use sealine_base::clock::ManualClock;
use sealine_lineproto::Precision;
use sealine_model::{MatchOp, Matcher, Source};
use sealine_store::{Question, Store};
use std::fmt::Write;
use std::sync::Arc;
use support::library::{config, open, read, write};

/// Midnight, in milliseconds.
const START_MS: i64 = 1_699_920_000_000;

/// How much more than n log n the work for 4n may be: paths have fixed costs, and steps in which they grow.
const SLACK: f64 = 1.3;

/// A path through the program.
struct Path {
    name: &'static str,
    /// The smaller size. Large enough that what is fixed does not hide what grows.
    n: usize,
    /// What has to be there first.
    prepare: fn(&Story),
    /// What is counted.
    run: fn(&Story),
}

/// A store, and the size to try.
struct Story {
    n: usize,
    data: tempfile::TempDir,
    store: std::cell::RefCell<Option<Arc<Store>>>,
}

impl Story {
    fn new(n: usize) -> Self {
        let data = tempfile::tempdir().expect("a folder for the test");
        let story = Story { n, data, store: Default::default() };
        story.open();
        story
    }

    fn store(&self) -> Arc<Store> {
        self.store.borrow().clone().expect("it is open")
    }

    /// Ends the store, and starts one that finds what the last one left.
    fn open(&self) {
        *self.store.borrow_mut() = None;
        let clock = ManualClock::at(START_MS + 86_400_000);
        *self.store.borrow_mut() = Some(open(&config(self.data.path()), &clock));
    }

    /// Writes lines in one request.
    fn write(&self, lines: impl IntoIterator<Item = String>) {
        let mut body = String::new();
        lines.into_iter().for_each(|line| writeln!(body, "{line}").expect("memory"));
        let report = write(&self.store(), &body);
        assert_eq!(report.refused, 0, "{:?}", report.first);
    }

    fn seal(&self) {
        self.store().seal().expect("the store seals");
    }

    /// Reads all series and wants so many samples.
    fn read(&self, want: usize) {
        let samples: usize = read(&self.store(), i64::MIN, i64::MAX).values().map(Vec::len).sum();
        assert_eq!(samples, want);
    }

    /// Selects series and wants so many.
    fn select(&self, matchers: &[Matcher], want: usize) {
        let reader = self.store().reader(None);
        let selection = reader.select(matchers, i64::MIN, i64::MAX).expect("it can be read");
        assert_eq!(selection.len(), want);
    }

    /// Looks up the values of `host` and wants so many.
    fn values(&self, want: usize) {
        let question = Question { selectors: &[], start: i64::MIN, end: i64::MAX, enough: usize::MAX };
        let (values, _) = self.store().reader(None).label_values("host", &question).expect("it can be read");
        assert_eq!(values.len(), want);
    }

    /// One sample a line.
    fn samples(&self, seconds: impl IntoIterator<Item = usize>) {
        self.write(seconds.into_iter().map(|s| format!("m v={s} {}", START_MS + s as i64 * 1000)));
    }

    fn shuffled(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.n).collect();
        numbers.shuffle(&mut StdRng::seed_from_u64(self.n as u64));
        numbers
    }

    /// Two senders in turn: one goes on where the day begins, the other where its second half does.
    fn two_senders(&self) -> impl Iterator<Item = usize> + use<> {
        let half = self.n / 2;
        (0..half).flat_map(move |at| [half + at, at])
    }

    fn new_fields(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.n).map(|at| format!("plc,line=a f{at}=1 {START_MS}"))
    }
}

fn nothing(_: &Story) {}

const PATHS: &[Path] = &[
    Path { name: "new fields, one a line", n: 500, prepare: nothing, run: |s| s.write(s.new_fields()) },
    Path {
        name: "new fields, one a request",
        n: 100,
        prepare: nothing,
        run: |s| s.new_fields().for_each(|line| s.write([line])),
    },
    Path { name: "replay of new fields, one a line", n: 500, prepare: |s| s.write(s.new_fields()), run: Story::open },
    Path {
        name: "replay of new fields, one a request",
        n: 100,
        prepare: |s| s.new_fields().for_each(|line| s.write([line])),
        run: Story::open,
    },
    Path {
        name: "new fields in one line",
        n: 500,
        prepare: nothing,
        run: |s| {
            let fields: Vec<String> = (0..s.n).map(|at| format!("f{at}=1")).collect();
            s.write([format!("plc,line=a {} {START_MS}", fields.join(","))]);
        },
    },
    Path {
        name: "a line of known fields, backwards",
        n: 500,
        prepare: |s| s.write(s.new_fields()),
        run: |s| {
            let fields: Vec<String> = (0..s.n).rev().map(|at| format!("f{at}=1")).collect();
            s.write([format!("plc,line=a {} {START_MS}", fields.join(","))]);
        },
    },
    Path {
        name: "known fields, one a line",
        n: 500,
        prepare: |s| s.write(s.new_fields()),
        run: |s| (0..5).for_each(|_| s.write(s.new_fields())),
    },
    Path {
        name: "new fields of two rows in turn",
        n: 500,
        prepare: nothing,
        run: |s| {
            s.write((0..s.n).flat_map(|at| ["a", "b"].map(|line| format!("plc,line={line} f{at}=1 {START_MS}"))));
        },
    },
    Path {
        name: "new fields of rows, in another order each",
        n: 200,
        prepare: nothing,
        run: |s| {
            let mut lines = Vec::new();
            for row in 0..10 {
                let mut order: Vec<usize> = (0..s.n).collect();
                order.shuffle(&mut StdRng::seed_from_u64(row));
                lines.push(order);
            }
            s.write((0..s.n).flat_map(|at| {
                lines.iter().enumerate().map(move |(row, order)| format!("plc,line={row} f{}=1 {START_MS}", order[at]))
            }));
        },
    },
    Path {
        name: "replay in another order than memory has",
        n: 500,
        prepare: |s| {
            s.write(s.new_fields());
            s.seal();
            // The next generation's log numbers the fields backwards.
            let fields: Vec<String> = s.new_fields().collect();
            s.write(fields.into_iter().rev());
        },
        run: Story::open,
    },
    Path {
        name: "fields of a row, read",
        n: 200,
        prepare: |s| {
            s.write(s.new_fields());
            s.write((0..s.n).map(|at| format!("plc,line=a f{at}=1 {}", START_MS + 86_400_000)));
        },
        run: |s| s.read(2 * s.n),
    },
    Path {
        name: "fields of a row, sealed",
        n: 500,
        prepare: |s| s.write(s.new_fields()),
        run: |s| {
            s.seal();
            s.read(s.n);
        },
    },
    Path { name: "in order, read in memory", n: 5_000, prepare: |s| s.samples(0..s.n), run: |s| s.read(s.n) },
    Path {
        name: "newest first, read in memory",
        n: 5_000,
        prepare: |s| s.samples((0..s.n).rev()),
        run: |s| s.read(s.n),
    },
    Path { name: "shuffled, read in memory", n: 5_000, prepare: |s| s.samples(s.shuffled()), run: |s| s.read(s.n) },
    Path {
        name: "two senders, read in memory",
        n: 5_000,
        prepare: |s| s.samples(s.two_senders()),
        run: |s| s.read(s.n),
    },
    Path { name: "newest first, written", n: 5_000, prepare: nothing, run: |s| s.samples((0..s.n).rev()) },
    Path { name: "shuffled, replayed", n: 5_000, prepare: |s| s.samples(s.shuffled()), run: Story::open },
    Path { name: "shuffled, sealed", n: 5_000, prepare: |s| s.samples(s.shuffled()), run: Story::seal },
    Path {
        name: "newest first, read from a file",
        n: 5_000,
        prepare: |s| {
            s.samples((0..s.n).rev());
            s.seal();
        },
        run: |s| s.read(s.n),
    },
    Path {
        name: "shuffled, read from a file",
        n: 5_000,
        prepare: |s| {
            s.samples(s.shuffled());
            s.seal();
        },
        run: |s| s.read(s.n),
    },
    Path { name: "shuffled over many files, read", n: 1_000, prepare: shuffled_over_files, run: |s| s.read(s.n) },
    Path {
        name: "months of late samples, sealed and read",
        n: 2_000,
        prepare: |s| s.samples(s.shuffled().into_iter().map(|at| at * 600)),
        run: |s| {
            s.seal();
            s.read(s.n);
        },
    },
    Path { name: "values of a label, looked up", n: 500, prepare: many_hosts, run: |s| s.values(s.n) },
    Path {
        name: "values of a label, looked up in a file",
        n: 500,
        prepare: |s| {
            many_hosts(s);
            s.seal();
        },
        run: |s| s.values(s.n),
    },
    Path {
        name: "an alternation of names",
        n: 500,
        prepare: |s| {
            many_hosts(s);
            s.seal();
            many_hosts(s);
        },
        run: |s| {
            let names: Vec<String> = (0..s.n).map(|host| format!("h{host}")).collect();
            s.select(&[Matcher::new("host", MatchOp::Regex, &names.join("|")).expect("plain names")], s.n);
        },
    },
    Path {
        name: "series of many databases",
        n: 100,
        prepare: |s| {
            for number in 0..s.n {
                let mut stage = s.store().stage(&format!("db{number}"), Precision::Seconds).expect("a short name");
                stage.add(format!("m,host=h{number} v=1 {}", START_MS / 1000).as_bytes(), 1);
                s.store().append_blocking(stage.finish().0).expect("it is taken");
            }
        },
        run: |s| s.select(&[Matcher::equal("__name__", "m_v")], s.n),
    },
    Path {
        name: "shuffled over many files, archived",
        n: 1_000,
        prepare: shuffled_over_files,
        run: |s| {
            s.store().archive(true, &|| true).expect("the store archives");
        },
    },
];

fn many_hosts(story: &Story) {
    story.write((0..story.n).map(|host| format!("cpu,host=h{host} v=1 {START_MS}")));
}

/// A file for each fifty samples.
fn shuffled_over_files(story: &Story) {
    for some in story.shuffled().chunks(50) {
        story.samples(some.iter().copied());
        story.seal();
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "work is counted in debug builds alone")]
fn work_grows_no_faster_than_n_log_n() {
    let only = std::env::var("PATH_NAME").ok();
    let mut faults = Vec::new();
    for Path { name, n, prepare, run } in
        PATHS.iter().filter(|path| only.as_ref().is_none_or(|o| path.name.contains(o)))
    {
        let work = |n: usize| {
            let story = Story::new(n);
            prepare(&story);
            let before = sealine_base::work::done();
            run(&story);
            sealine_base::work::done() - before
        };
        let (one, four) = (work(*n), work(4 * n));
        let n = *n as f64;
        let most = 4.0 * (4.0 * n).ln() / n.ln() * SLACK;
        let grew = four as f64 / one as f64;
        println!("{name:45} {one:>12} {four:>12} {grew:6.2} of {most:.2}");
        if one == 0 {
            faults.push(format!("{name}: nothing was counted"));
        } else if grew > most {
            faults.push(format!(
                "{name}: {one} steps for n = {n}, {four} for 4n: {grew:.1} times, want {most:.1} at most"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

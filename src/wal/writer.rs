//! The log's thread: orders, writes and syncs entries in groups, and hands them on to be applied.

use super::WalError;
use super::record::{RECORD_BYTES_MAX, RECORD_HEADER_BYTES};
use super::segment::{SegmentName, SegmentWriter, push_record, segments};
use crate::clock::SharedClock;
use crate::planted::{self, Bug};
use crate::telemetry::Telemetry;
use crate::vfs::SharedVfs;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// A log that cannot be written says so this often at most: a full disk must not fill another with messages.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Groups that may wait to be applied. When full the log's thread waits, and requests queue up behind it.
const GROUPS_WAITING_MAX: usize = 4;

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// After a sync.
    Always,
    /// After the write; a sync follows at the latest this much later.
    Interval(Duration),
    /// After the write; when to sync is left to the operating system (and to rotations).
    Never,
}

/// How a log is kept.
#[derive(Clone)]
pub struct Options {
    /// The folder of the segments.
    pub dir: PathBuf,
    /// When a write is answered.
    pub sync: SyncPolicy,
    /// A new segment starts after this many bytes.
    pub segment_bytes: u64,
    /// Entries of more than this many bytes in all may not wait to be written.
    pub queue_bytes_max: usize,
    /// Where bytes, syncs and failures are counted.
    pub telemetry: Telemetry,
    /// Nothing is taken while the segments have more bytes than this in all: they bound how long a start takes.
    pub bytes_max: u64,
}

/// What can be logged.
pub trait Entry: Send + 'static {
    /// About how many bytes it holds in memory.
    fn bytes(&self) -> usize;
    /// Appends its payload. Called once, on the log's thread, when its place in the log is fixed: what a dictionary
    /// has defined before may be referred to, as it stands earlier in the same generation.
    fn encode(&mut self, dictionary: &mut Dictionary, out: &mut Vec<u8>);
}

/// What the entries of one stretch of the log can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dictionary {
    /// Different for every dictionary since the process started.
    pub id: u64,
    /// Rows defined so far: the next one gets this number.
    pub rows: u32,
}

/// What the apply thread is to do, in the order of the log.
pub enum Event<E> {
    /// Take these entries into memory, then tell each sender.
    Apply {
        /// The generation whose log holds them.
        generation: u64,
        /// The entries in order.
        entries: Vec<(E, Receipt)>,
    },
    /// Everything up to this generation has been applied; what follows belongs to the next one.
    Rotated {
        /// The generation that ended.
        generation: u64,
        /// To be told.
        done: oneshot::Sender<Result<u64, WalError>>,
    },
}

/// The end on which a sender is told how its entry fared.
pub struct Receipt(oneshot::Sender<Result<(), WalError>>);

impl Receipt {
    /// The entry is as durable as the policy says, and in memory.
    pub fn done(self) {
        let _ = self.0.send(Ok(())); // the sender may have left
    }
}

enum Message<E> {
    Append(E, oneshot::Sender<Result<(), WalError>>),
    Rotate(oneshot::Sender<Result<u64, WalError>>),
}

/// The log. Dropping it writes, syncs and applies what waits, then stops its threads.
pub struct Wal<E> {
    shared: Arc<Shared<E>>,
    vfs: SharedVfs,
    dir: PathBuf,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<E> {
    queue: Mutex<Queue<E>>,
    wake: Condvar,
    queue_bytes_max: usize,
    bytes_max: u64,
    /// Bytes of all segments: the sum of `stats.bytes_by_generation`, changed with it, read without its lock.
    bytes: AtomicU64,
    stats: Mutex<Stats>,
}

impl<E> Shared<E> {
    /// Accounts for bytes that a generation's segments have grown by.
    fn grew(&self, stats: &mut Stats, generation: u64, bytes: u64) {
        *stats.bytes_by_generation.entry(generation).or_default() += bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Queue<E> {
    messages: Vec<Message<E>>,
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Stats {
    bytes_by_generation: BTreeMap<u64, u64>,
    records: u64,
    unsynced_bytes: u64,
    unsynced_since: Option<Duration>,
    failed: bool,
}

/// Figures about the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct WalStats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes of the generation that is being written.
    pub generation_bytes: u64,
    /// Records written since the start.
    pub records: u64,
    /// Bytes answered for but not synced yet; 0 with `sync = "always"`.
    pub unsynced_bytes: u64,
    /// For how long the oldest of them has waited.
    pub unsynced_age: Duration,
    /// Whether the log refuses everything until a restart.
    pub failed: bool,
}

impl<E: Entry> Wal<E> {
    /// Starts a log that writes `generation` first, with record numbers from `next_lsn`. `apply` runs on a thread of
    /// its own. Segments of earlier generations that lie in the folder are counted, and are left alone.
    pub fn start(
        vfs: SharedVfs,
        clock: SharedClock,
        options: Options,
        generation: u64,
        next_lsn: u64,
        mut apply: impl FnMut(Event<E>) + Send + 'static,
    ) -> Result<Wal<E>, WalError> {
        let earlier = segments(&*vfs, &options.dir)
            .map_err(|error| WalError::Create { path: options.dir.clone(), source: Arc::new(error) })?;
        let mut stats = Stats::default();
        for (name, bytes) in earlier {
            *stats.bytes_by_generation.entry(name.generation).or_default() += bytes;
        }
        let bytes = AtomicU64::new(stats.bytes_by_generation.values().sum());
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { messages: Vec::new(), bytes: 0, closed: false }),
            wake: Condvar::new(),
            queue_bytes_max: options.queue_bytes_max,
            bytes_max: options.bytes_max,
            bytes,
            stats: Mutex::new(stats),
        });
        let (events, to_apply) = mpsc::sync_channel::<Event<E>>(GROUPS_WAITING_MAX);
        let mut writer = Writer {
            shared: shared.clone(),
            vfs: vfs.clone(),
            clock,
            segment: None,
            generation,
            sequence: 0,
            dictionary: Dictionary { id: 1, rows: 0 },
            lsn: next_lsn,
            written: next_lsn - 1,
            durable: next_lsn - 1,
            last_sync: Duration::ZERO,
            failed: false,
            complained: None,
            events,
            group: Vec::new(),
            entries: Vec::new(),
            dir: options.dir.clone(),
            options,
        };
        let dir = writer.dir.clone();
        let threads =
            vec![spawn("wal", move || writer.run()), spawn("apply", move || to_apply.into_iter().for_each(&mut apply))];
        Ok(Wal { shared, vfs, dir, threads })
    }

    /// Hands in an entry. The answer comes when it is as durable as the policy says, and applied.
    pub fn append(&self, entry: E) -> oneshot::Receiver<Result<(), WalError>> {
        let (tell, told) = oneshot::channel();
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        let mut queue = self.shared.queue.lock();
        let waiting = queue.bytes + entry.bytes();
        if queue.closed {
            let _ = tell.send(Err(WalError::Closed));
        } else if bytes > self.shared.bytes_max {
            let _ = tell.send(Err(WalError::Long { bytes, limit: self.shared.bytes_max }));
        } else if queue.bytes > 0 && waiting > self.shared.queue_bytes_max {
            let _ = tell.send(Err(WalError::Overloaded { waiting, limit: self.shared.queue_bytes_max }));
        } else {
            queue.bytes = waiting;
            queue.messages.push(Message::Append(entry, tell));
            drop(queue);
            self.shared.wake.notify_one();
        }
        told
    }

    /// Ends the current generation. The answer, its number, comes when everything in it has been applied.
    pub fn rotate(&self) -> oneshot::Receiver<Result<u64, WalError>> {
        let (tell, told) = oneshot::channel();
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            let _ = tell.send(Err(WalError::Closed));
        } else {
            queue.messages.push(Message::Rotate(tell));
            drop(queue);
            self.shared.wake.notify_one();
        }
        told
    }

    /// Deletes the segments of generations up to and including `generation`: their samples are in chunk files. The
    /// first segment of a generation is durably gone before the next one goes: by that a replay knows, after a crash in
    /// here, that the rest of the generation was to go as well.
    pub fn forget(&self, generation: u64) -> io::Result<()> {
        for (name, _) in segments(&*self.vfs, &self.dir)?.into_iter().filter(|(n, _)| n.generation <= generation) {
            self.vfs.remove_file(&self.dir.join(name.to_string()))?;
            if name.sequence == 0 {
                self.vfs.sync_dir(&self.dir)?;
            }
        }
        self.vfs.sync_dir(&self.dir)?;
        let mut stats = self.shared.stats.lock();
        stats.bytes_by_generation.retain(|g, _| *g > generation);
        self.shared.bytes.store(stats.bytes_by_generation.values().sum(), Ordering::Relaxed);
        Ok(())
    }

    /// Figures about the log as it is now.
    pub fn stats(&self, clock: &SharedClock) -> WalStats {
        let stats = self.shared.stats.lock();
        WalStats {
            bytes: stats.bytes_by_generation.values().sum(),
            generation_bytes: stats.bytes_by_generation.last_key_value().map_or(0, |(_, bytes)| *bytes),
            records: stats.records,
            unsynced_bytes: stats.unsynced_bytes,
            unsynced_age: stats.unsynced_since.map_or(Duration::ZERO, |s| clock.monotonic().saturating_sub(s)),
            failed: stats.failed,
        }
    }
}

impl<E> Drop for Wal<E> {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked; this is a bug");
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(run).expect("the system has no thread left for the daemon to start with")
}

/// What the log's thread owns.
struct Writer<E> {
    shared: Arc<Shared<E>>,
    vfs: SharedVfs,
    clock: SharedClock,
    dir: PathBuf,
    options: Options,
    /// None until the first entry of a generation: an idle generation leaves no file.
    segment: Option<SegmentWriter>,
    generation: u64,
    sequence: u32,
    dictionary: Dictionary,
    /// Number of the next record.
    lsn: u64,
    /// Highest number that stands in the log.
    written: u64,
    /// Highest number known to be durable.
    durable: u64,
    last_sync: Duration,
    failed: bool,
    /// When it was last said that a group could not be written.
    complained: Option<Duration>,
    events: mpsc::SyncSender<Event<E>>,
    /// Records that are encoded but not written, and their entries.
    group: Vec<u8>,
    entries: Vec<(E, oneshot::Sender<Result<(), WalError>>)>,
}

impl<E: Entry> Writer<E> {
    fn run(&mut self) {
        loop {
            let (messages, closed) = self.wait();
            for message in messages {
                match message {
                    Message::Append(entry, tell) => self.take(entry, tell),
                    Message::Rotate(tell) => self.rotate(tell),
                }
            }
            self.commit();
            if closed {
                if let Err(error) = self.sync() {
                    tracing::error!(%error, "the log could not be synced while stopping");
                }
                return;
            }
        }
    }

    /// Waits for messages, or until a sync is due. Says whether the log was closed.
    fn wait(&mut self) -> (Vec<Message<E>>, bool) {
        let mut queue = self.shared.queue.lock();
        while queue.messages.is_empty() && !queue.closed {
            match self.next_sync() {
                None => self.shared.wake.wait(&mut queue),
                Some(due) => {
                    let timed_out = self.shared.wake.wait_for(&mut queue, due).timed_out();
                    if timed_out {
                        break;
                    }
                }
            }
        }
        queue.bytes = 0;
        (std::mem::take(&mut queue.messages), queue.closed)
    }

    /// In how long something that was written has to be synced.
    fn next_sync(&self) -> Option<Duration> {
        let SyncPolicy::Interval(interval) = self.options.sync else { return None };
        (self.durable < self.written && !self.failed)
            .then(|| (self.last_sync + interval).saturating_sub(self.clock.monotonic()))
    }

    /// Encodes an entry into the group.
    fn take(&mut self, mut entry: E, tell: oneshot::Sender<Result<(), WalError>>) {
        if self.failed {
            let _ = tell.send(Err(WalError::FailedEarlier));
            return;
        }
        if let Err(error) = self.make_room() {
            let _ = tell.send(Err(error));
            return;
        }
        let (dictionary, before) = (&mut self.dictionary, self.group.len());
        push_record(&mut self.group, self.lsn, self.durable, |out| entry.encode(dictionary, out));
        let bytes = self.group.len() - before - RECORD_HEADER_BYTES;
        if bytes > RECORD_BYTES_MAX {
            self.group.truncate(before);
            self.renew_dictionary();
            let _ = tell.send(Err(WalError::RecordTooLarge { bytes, limit: RECORD_BYTES_MAX }));
            return;
        }
        self.lsn += 1;
        self.entries.push((entry, tell));
    }

    /// Sees to it that there is a segment to write to, with room for what is in the group.
    fn make_room(&mut self) -> Result<(), WalError> {
        let full = |segment: &SegmentWriter| {
            segment.bytes + self.group.len() as u64 >= self.options.segment_bytes || self.group.len() > RECORD_BYTES_MAX
        };
        if self.segment.as_ref().is_some_and(full) {
            self.commit();
            self.sync()?; // so that a later segment never outlives records of an earlier one
            self.segment = None;
        }
        if self.segment.is_none() {
            let name = SegmentName { generation: self.generation, sequence: self.sequence };
            let created = SegmentWriter::create(&*self.vfs, &self.dir, name, self.options.sync != SyncPolicy::Always);
            let segment = created.map_err(|(path, e)| WalError::Create { path, source: Arc::new(e) })?;
            self.shared.grew(&mut self.shared.stats.lock(), self.generation, segment.bytes);
            self.sequence += 1;
            self.segment = Some(segment);
        }
        Ok(())
    }

    /// Writes the group, syncs it where the policy says so, and hands it on.
    fn commit(&mut self) {
        if !self.group.is_empty() {
            match self.write_group() {
                Ok(()) => {
                    let entries = self.entries.drain(..).map(|(entry, tell)| (entry, Receipt(tell))).collect();
                    let generation = self.generation + u64::from(planted::is(Bug::WrongGeneration));
                    // The apply thread ends after this one only.
                    let _ = self.events.send(Event::Apply { generation, entries });
                }
                Err(error) => {
                    self.complain(&error);
                    for (_, tell) in self.entries.drain(..) {
                        let _ = tell.send(Err(error.clone()));
                    }
                    self.renew_dictionary();
                }
            }
            self.group.clear();
        }
        if self.next_sync() == Some(Duration::ZERO)
            && let Err(error) = self.sync()
        {
            tracing::error!(%error, cause = %error_cause(&error), "the log failed");
        }
    }

    fn complain(&mut self, error: &WalError) {
        let now = self.clock.monotonic();
        if self.complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAIN_EVERY) {
            self.complained = Some(now);
            tracing::error!(%error, cause = %error_cause(error), "writes are refused: the log failed");
        }
    }

    fn write_group(&mut self) -> Result<(), WalError> {
        let Some(segment) = &mut self.segment else { return Err(WalError::FailedEarlier) };
        if let Err((error, cut)) = segment.append(&self.group) {
            let path = segment.path.clone();
            if cut.is_none() {
                self.fail();
            }
            return Err(WalError::Write { path, source: Arc::new(error) });
        }
        self.written = self.lsn - 1;
        let now = self.clock.monotonic();
        {
            let mut stats = self.shared.stats.lock();
            let bytes = self.group.len() as u64;
            self.shared.grew(&mut stats, self.generation, bytes);
            self.options.telemetry.wal.written_bytes.inc_by(bytes);
            stats.records += self.entries.len() as u64;
            stats.unsynced_bytes += bytes;
            stats.unsynced_since.get_or_insert(now);
        }
        let due = match self.options.sync {
            SyncPolicy::Always => !planted::is(Bug::AnswerBeforeSync),
            SyncPolicy::Interval(_) => self.next_sync() == Some(Duration::ZERO),
            SyncPolicy::Never => false,
        };
        if due { self.sync() } else { Ok(()) }
    }

    /// Makes everything written durable. After a failure nothing is known of the disk, so the log stays failed.
    fn sync(&mut self) -> Result<(), WalError> {
        if self.failed {
            return Err(WalError::FailedEarlier);
        }
        let before = self.clock.monotonic();
        if let Some(segment) = &self.segment
            && let Err(error) = sync_segment(segment)
        {
            let path = segment.path.clone();
            self.fail();
            return Err(WalError::Sync { path, source: Arc::new(error) });
        }
        self.durable = self.written;
        self.last_sync = self.clock.monotonic();
        let took = self.last_sync.saturating_sub(before);
        self.options.telemetry.wal.fsync_duration.observe(took.as_secs_f64());
        let mut stats = self.shared.stats.lock();
        stats.unsynced_bytes = 0;
        stats.unsynced_since = None;
        Ok(())
    }

    /// What the last dictionary defined can no longer be referred to: everything is defined again.
    fn renew_dictionary(&mut self) {
        self.dictionary = Dictionary { id: self.dictionary.id + 1, rows: 0 };
    }

    fn fail(&mut self) {
        self.options.telemetry.wal.fsync_failures.inc();
        self.failed = true;
        self.shared.stats.lock().failed = true;
    }

    /// Ends the generation, behind everything that was handed in before.
    fn rotate(&mut self, tell: oneshot::Sender<Result<u64, WalError>>) {
        self.commit();
        if let Err(error) = self.sync() {
            let _ = tell.send(Err(error));
            return;
        }
        let ended = self.generation;
        self.segment = None;
        self.generation += 1;
        self.sequence = 0;
        self.renew_dictionary();
        let _ = self.events.send(Event::Rotated { generation: ended, done: tell });
    }
}

fn sync_segment(segment: &SegmentWriter) -> io::Result<()> {
    match segment.sync() {
        Err(_) if planted::is(Bug::RetryFailedSync) => segment.sync(),
        outcome => outcome,
    }
}

fn error_cause(error: &WalError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

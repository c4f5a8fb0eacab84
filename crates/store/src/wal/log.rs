//! The log as others hold it: what is handed in waits here for the log's thread, within bounds.

use super::WalError;
use super::entry::{Entry, Event};
use super::segment::segments;
use super::writer::Writer;
use parking_lot::{Condvar, Mutex};
use sealine_base::clock::SharedClock;
use sealine_base::cores::{self, Slice};
use sealine_base::vfs::SharedVfs;
use sealine_telemetry::Telemetry;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Groups that may wait to be applied. When full the log's thread waits, and requests queue up behind it.
const GROUPS_WAITING_MAX: usize = 4;

/// How long a failed write counts as a failure of the log, if nobody has tried again.
const REFUSED_LATELY: Duration = Duration::from_secs(60);

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

/// The log. Dropping it writes, syncs and applies what waits, then stops its threads.
pub struct Wal<E> {
    shared: Arc<Shared<E>>,
    vfs: SharedVfs,
    dir: PathBuf,
    threads: Vec<JoinHandle<()>>,
}

/// What the log and its thread share.
pub(super) struct Shared<E> {
    pub queue: Mutex<Queue<E>>,
    pub wake: Condvar,
    pub queue_bytes_max: usize,
    pub bytes_max: u64,
    /// Bytes of all segments: the sum of `stats.bytes_by_generation`, changed with it, read without its lock.
    pub bytes: AtomicU64,
    pub stats: Mutex<Stats>,
}

impl<E> Shared<E> {
    /// Accounts for bytes that a generation's segments have grown by.
    pub fn grew(&self, stats: &mut Stats, generation: u64, bytes: u64) {
        *stats.bytes_by_generation.entry(generation).or_default() += bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What waits for the log's thread.
pub(super) struct Queue<E> {
    pub messages: Vec<Message<E>>,
    pub bytes: usize,
    pub closed: bool,
}

/// What was handed in.
pub(super) enum Message<E> {
    Append(E, oneshot::Sender<Result<(), WalError>>),
    Rotate(oneshot::Sender<Result<u64, WalError>>),
}

/// What [`WalStats`] is made of.
#[derive(Default)]
pub(super) struct Stats {
    pub bytes_by_generation: BTreeMap<u64, u64>,
    pub records: u64,
    pub unsynced_bytes: u64,
    pub unsynced_since: Option<Duration>,
    pub failed: bool,
    /// When an entry was last refused for the disk's sake, and why; `None` once another has been written since.
    pub refused: Option<(Duration, String)>,
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
        let dir = options.dir.clone();
        let mut writer = Writer::new(shared.clone(), vfs.clone(), clock, options, (generation, next_lsn), events);
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

    /// Why a write that came now would be refused, as far as that is known.
    pub fn refuses(&self, clock: &SharedClock) -> Option<String> {
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        let stats = self.shared.stats.lock();
        let lately = |at: Duration| clock.monotonic().saturating_sub(at) < REFUSED_LATELY;
        if stats.failed {
            Some(WalError::FailedEarlier.to_string())
        } else if bytes > self.shared.bytes_max {
            Some(WalError::Long { bytes, limit: self.shared.bytes_max }.to_string())
        } else {
            stats.refused.as_ref().filter(|(at, _)| lately(*at)).map(|(_, why)| why.clone())
        }
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
    let run = move || {
        cores::ask_for(Slice::Write);
        run();
    };
    thread.spawn(run).expect("the system has no thread left for the daemon to start with")
}

//! The log's thread: orders, writes and syncs entries in groups, and hands them on to be applied.

use super::WalError;
use super::entry::{Dictionary, Entry, Event, Receipt};
use super::log::{Message, Options, Shared, SyncPolicy};
use super::record::{RECORD_BYTES_MAX, RECORD_HEADER_BYTES};
use super::segment::{SegmentName, SegmentWriter, push_record};
use sealine_base::causes;
use sealine_base::clock::SharedClock;
use sealine_base::planted::{self, Bug};
use sealine_base::vfs::{NoDescriptor, SharedVfs};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A log that cannot be written says so this often at most: a full disk must not fill another with messages.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// A group may be as large as a record. A log that rests keeps so much of its memory for the next.
const GROUP_BYTES_KEPT: usize = 1 << 20;

/// What the log's thread owns.
pub(super) struct Writer<E> {
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
    /// Writes the generation first, with record numbers from the one that is given with it.
    pub fn new(
        shared: Arc<Shared<E>>,
        vfs: SharedVfs,
        clock: SharedClock,
        options: Options,
        (generation, next_lsn): (u64, u64),
        events: mpsc::SyncSender<Event<E>>,
    ) -> Self {
        Writer {
            shared,
            vfs,
            clock,
            dir: options.dir.clone(),
            options,
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
        }
    }

    /// Until the log is closed and nothing waits any more.
    pub fn run(&mut self) {
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
            self.group.shrink_to(GROUP_BYTES_KEPT);
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
            self.complain(&error);
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
            tracing::error!(error = causes::sentence(&error), "the log failed");
        }
    }

    fn complain(&mut self, error: &WalError) {
        let now = self.clock.monotonic();
        // Whoever opens files knows when there are descriptors again, and says so.
        if !NoDescriptor::is_cause_of(error) {
            self.shared.stats.lock().refused = Some((now, causes::sentence(error)));
        }
        if self.complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAIN_EVERY) {
            self.complained = Some(now);
            tracing::error!(error = causes::sentence(error), "writes are refused: the log failed");
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
            stats.refused = None;
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

//! Spreads the series of a vector over the cores, and joins what comes back in the order of the series.
//!
//! Series are dealt in chunks whose borders depend on their number alone, and the parts that come back are joined in
//! the order of the chunks: so an answer does not depend on how many threads there are or which of them is faster.
//! The caller's thread starts by itself; helpers come only when the work has taken longer than starting them costs.

use super::run::{Run, Scratch};
use crate::error::QueryError;
use parking_lot::Mutex;
use sealine_base::clock;
use sealine_base::cores::{self, Processor};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Series in a chunk at most: enough that joining costs little beside the work.
const CHUNK_SERIES_MAX: usize = 64;

/// A vector is cut into about this many chunks, so that a few slow series can spread too.
const CHUNKS_AIM: usize = 64;

/// How long the caller works alone before it looks whether to call for help.
const ALONE: Duration = Duration::from_micros(100);

/// It does where what is left would take it this long; starting a thread costs a fifth of this.
const WORTH_HELP: Duration = Duration::from_micros(150);

/// The same where other processes take the processors: a helper waits for a tick until it has one, and the caller for it.
const WORTH_HELP_LATER: Duration = Duration::from_millis(4);

/// Stack of a helper: plans nest up to a thousand levels.
const STACK_BYTES: usize = 16 << 20;

/// Runs `job` over chunks of `0..len` and hands each result to `join`, in order. The first failure in that order
/// among those that happened ends it.
pub(crate) fn spread<'q, P: Send>(
    run: &'q Run<'q>,
    len: usize,
    job: impl Fn(Range<usize>, &mut Scratch<'q>) -> Result<P, QueryError> + Sync,
    join: impl FnMut(P) -> Result<(), QueryError> + Send,
) -> Result<(), QueryError> {
    let size = len.div_ceil(CHUNKS_AIM).clamp(1, CHUNK_SERIES_MAX);
    let chunks = len.div_ceil(size);
    let line = Line { next: AtomicUsize::new(0), stop: AtomicBool::new(false), queue: Mutex::new(Queue::new(join)) };
    // Each chunk needs a permit. A helper that would have to wait for one ends instead: the caller does what is left.
    let work = |scratch: &mut Scratch<'q>, until: Option<Instant>, helps: bool| {
        while !line.stop.load(Ordering::Relaxed) && until.is_none_or(|until| clock::instant() < until) {
            let permit = match helps {
                true => run.permits.try_acquire().map(Ok),
                false => Some(run.permits.acquire(|| scratch.check())),
            };
            let Some(permit) = permit else { return };
            let chunk = line.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return;
            }
            let result = permit.and_then(|_permit| {
                scratch.check()?;
                job(chunk * size..((chunk + 1) * size).min(len), scratch)
            });
            if line.queue.lock().add(chunk, result).is_err() {
                // Relaxed: the failure itself is in the queue, behind its lock.
                line.stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let mut scratch = run.scratch();
    let began = (run.threads > 1 && chunks > 1).then(clock::instant);
    work(&mut scratch, began.map(|began| began + ALONE), false);
    let done = line.next.load(Ordering::Relaxed);
    let left = chunks.saturating_sub(done);
    if left > 0 && !line.stop.load(Ordering::Relaxed) {
        let took = began.map_or(Duration::ZERO, |began| clock::instant() - began);
        let worth = if cores::are_taken() { WORTH_HELP_LATER } else { WORTH_HELP };
        let is_worth_help = took * left as u32 >= worth * done as u32; // both are a few dozen, or hundreds
        let processor = Processor::here();
        std::thread::scope(|scope| {
            for _ in 1..if is_worth_help { run.threads.min(left) } else { 1 } {
                let helper = std::thread::Builder::new().name("promql".into()).stack_size(STACK_BYTES);
                // Where no thread can be started, those that run do the work.
                let _ = helper.spawn_scoped(scope, || {
                    processor.leave();
                    work(&mut run.scratch(), None, true);
                });
            }
            work(&mut scratch, None, false);
        });
    }
    line.queue.into_inner().finish()
}

/// What the workers of one vector share.
struct Line<P, J> {
    /// The next chunk that nobody has taken.
    next: AtomicUsize,
    /// Set once anything failed: what is not begun need not be.
    stop: AtomicBool,
    queue: Mutex<Queue<P, J>>,
}

/// Results on their way into `join`: those that came early wait for their turn.
struct Queue<P, J> {
    turn: usize,
    early: BTreeMap<usize, P>,
    join: J,
    failure: Option<(usize, QueryError)>,
}

impl<P, J: FnMut(P) -> Result<(), QueryError>> Queue<P, J> {
    fn new(join: J) -> Self {
        Queue { turn: 0, early: BTreeMap::new(), join, failure: None }
    }

    /// Takes the result of a chunk. Fails where anything has failed so far.
    fn add(&mut self, chunk: usize, result: Result<P, QueryError>) -> Result<(), ()> {
        match result {
            Ok(part) => drop(self.early.insert(chunk, part)),
            Err(error) => self.fail(chunk, error),
        }
        while self.failure.is_none()
            && let Some(part) = self.early.remove(&self.turn)
        {
            if let Err(error) = (self.join)(part) {
                self.fail(self.turn, error);
            }
            self.turn += 1;
        }
        if self.failure.is_some() { Err(()) } else { Ok(()) }
    }

    fn fail(&mut self, chunk: usize, error: QueryError) {
        if self.failure.as_ref().is_none_or(|(other, _)| chunk < *other) {
            self.failure = Some((chunk, error));
        }
    }

    fn finish(self) -> Result<(), QueryError> {
        self.failure.map_or(Ok(()), |(_, error)| Err(error))
    }
}

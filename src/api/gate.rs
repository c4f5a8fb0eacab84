//! Lets only so many blocking calls run at once, and none longer than its caller waits.

use super::answer::Cancel;
use super::error::{ApiError, ErrorKind};
use crate::config::duration;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// How long past its deadline a call may take to notice that it is over, before it is answered for.
const GRACE: Duration = Duration::from_secs(1);

/// So many places. Who waits is bounded by the connections that there may be.
#[derive(Debug)]
pub struct Gate {
    noun: &'static str,
    /// The setting that says how many places there are; empty where none does.
    setting: &'static str,
    places: Arc<Semaphore>,
    places_max: usize,
    queue_timeout: Duration,
    /// Whose threads run the calls; without, those of the runtime that the caller is on.
    threads: Option<Handle>,
}

impl Gate {
    /// A gate with `places_max` places (one at least), for each of which a caller waits `queue_timeout` at most.
    /// `noun` is what its callers bring, for messages.
    pub fn new(noun: &'static str, places_max: usize, queue_timeout: Duration) -> Self {
        let places_max = places_max.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(places_max));
        Gate { noun, setting: "", places, places_max, queue_timeout, threads: None }
    }

    /// With the setting that says how many places there are, for messages.
    pub fn set_by(self, setting: &'static str) -> Self {
        Gate { setting, ..self }
    }

    /// With the threads of a runtime of their own for the calls.
    pub fn on(self, threads: Handle) -> Self {
        Gate { threads: Some(threads), ..self }
    }

    /// Runs `work` on a thread where it may block, once there is a place; `work` gets how long that took.
    ///
    /// Sets `cancel` where the returned future is dropped (the client left) or the deadline has passed. The place
    /// stays taken until `work` returns.
    ///
    /// Errors: `Timeout` where no place comes free in time or the deadline passes, `Internal` where `work` panics.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        cancel: Cancel,
        work: impl FnOnce(Duration) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let noun = self.noun;
        let _cancel_on_drop = CancelOnDrop(cancel);
        let arrived = Instant::now();
        let (queue_until, whose) = match deadline {
            Some(deadline) if deadline < arrived + self.queue_timeout => (deadline, "the request's own time limit"),
            _ => (arrived + self.queue_timeout, "query.queue_timeout"),
        };
        let waiting = timeout_at(queue_until, Arc::clone(&self.places).acquire_owned());
        // The semaphore is never closed, so that failing to get a place means that time is up.
        let Ok(Ok(place)) = waiting.await else {
            let waited = duration::format(queue_until - arrived);
            let places = match self.setting {
                "" => format!("{} places", self.places_max),
                setting => format!("{} places ({setting})", self.places_max),
            };
            let what = format!("none of the {places} came free within {waited} ({whose})");
            return Err(ApiError::new(ErrorKind::Timeout, format!("{noun} timed out in {noun} queue: {what}")));
        };
        let queued = arrived.elapsed();
        let threads = self.threads.clone().unwrap_or_else(Handle::current);
        let running = threads.spawn_blocking(move || {
            let _place = place;
            work(queued)
        });
        let joined = match deadline {
            None => running.await,
            Some(deadline) => timeout_at(deadline + GRACE, running).await.map_err(|_| {
                let took = arrived.elapsed().as_secs_f64();
                ApiError::new(ErrorKind::Timeout, format!("{noun} timed out in {noun} execution after {took:.1}s"))
            })?,
        };
        joined.unwrap_or_else(|error| Err(lost(error)))
    }
}

/// What to say of work that did not come back.
fn lost(error: tokio::task::JoinError) -> ApiError {
    if error.is_panic() {
        tracing::error!("BUG: a request ended in a panic: {error}");
        ApiError::new(ErrorKind::Internal, "the request ran into a fault of the server; its log says more")
    } else {
        ApiError::new(ErrorKind::Canceled, "the server is shutting down")
    }
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_full_gate_refuses_and_frees_up() {
        let gate = Arc::new(Gate::new("query", 1, Duration::from_millis(50)).set_by("query.concurrency"));
        let (release, released) = mpsc::channel::<()>();
        let (started, mut starts) = tokio::sync::mpsc::channel::<()>(1);
        let first = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move {
                gate.run(None, Cancel::default(), move |_| {
                    started.blocking_send(()).unwrap();
                    released.recv().unwrap();
                    Ok(1)
                })
                .await
            }
        });
        starts.recv().await.unwrap();
        let error = gate.run(None, Cancel::default(), |_| Ok(2)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        let places = "query timed out in query queue: none of the 1 places (query.concurrency) came free within";
        assert_eq!(error.message, format!("{places} 50ms (query.queue_timeout)"));
        let deadline = Instant::now() + Duration::from_millis(5);
        let error = gate.run(Some(deadline), Cancel::default(), |_| Ok(2)).await.unwrap_err();
        assert!(error.message.ends_with(" (the request's own time limit)"), "{}", error.message);
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(gate.run(None, Cancel::default(), |_| Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn a_call_past_its_deadline_is_cancelled_and_answered_for() {
        let gate = Gate::new("query", 1, Duration::from_secs(10));
        let cancel = Cancel::default();
        let seen = cancel.clone();
        let (done, finished) = mpsc::channel();
        let deadline = Instant::now() + Duration::from_millis(20);
        let result = gate.run(Some(deadline), cancel, move |_| {
            while !seen.is_canceled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            done.send(()).unwrap();
            Ok(())
        });
        let error = result.await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert!(error.message.starts_with("query timed out in query execution after "), "{}", error.message);
        finished.recv_timeout(Duration::from_secs(10)).expect("the call saw the flag");
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let gate = Gate::new("query", 1, Duration::from_secs(10));
        let error = gate.run::<()>(None, Cancel::default(), |_| panic!("on purpose")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
    }
}

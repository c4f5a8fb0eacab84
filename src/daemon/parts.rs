//! The parts of the running daemon: started one after another, stopped in reverse, and missed when one ends by itself.

use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What a part watches: it turns true when the part should end. `stop.wait_for(|stop| *stop).await`.
pub type Stop = watch::Receiver<bool>;

/// The running parts, in the order in which they were started.
pub struct Parts {
    running: Vec<Part>,
    /// Names of parts that ended; one slot a part is used at most, so it needs no bound.
    ended: (mpsc::UnboundedSender<&'static str>, mpsc::UnboundedReceiver<&'static str>),
}

struct Part {
    name: &'static str,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Default for Parts {
    fn default() -> Self {
        Parts { running: Vec::new(), ended: mpsc::unbounded_channel() }
    }
}

impl Parts {
    /// Starts a part on the current runtime. It should end soon after its [`Stop`] turns true, and not before.
    pub fn start<F>(&mut self, name: &'static str, part: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let announce = Announce { name, ended: self.ended.0.clone() };
        let part = part(stopped);
        let task = tokio::spawn(async move {
            let _announce = announce;
            part.await;
        });
        self.running.push(Part { name, stop, task });
    }

    /// The name of the next part that ends, whether it returned or panicked; waits forever while all run.
    pub async fn ended(&mut self) -> &'static str {
        // `self.ended.0` lives as long as the receiver, so the channel never closes.
        self.ended.1.recv().await.expect("BUG: the parts' own sender is gone")
    }

    /// Tells the parts to end, the last started first, each once the one after it has ended. A part that takes longer
    /// than `patience` is cut off, with a warning.
    pub async fn stop(mut self, patience: Duration) {
        while let Some(Part { name, stop, mut task }) = self.running.pop() {
            // A part that has ended no longer listens.
            let _ = stop.send(true);
            match tokio::time::timeout(patience, &mut task).await {
                Ok(Ok(())) => tracing::debug!(part = name, "stopped"),
                Ok(Err(error)) => tracing::error!(part = name, %error, "ended badly"),
                Err(_) => {
                    tracing::warn!(part = name, ?patience, "did not stop in time: cut off");
                    task.abort();
                }
            }
        }
    }
}

/// Tells that a part ended, however it did: a drop runs on return, panic and abort alike.
struct Announce {
    name: &'static str,
    ended: mpsc::UnboundedSender<&'static str>,
}

impl Drop for Announce {
    fn drop(&mut self) {
        // On shutdown nobody listens any more.
        let _ = self.ended.send(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn parts_stop_in_reverse_and_each_after_the_next_has_ended() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["store", "schedule", "api"] {
            let events = Arc::clone(&events);
            parts.start(name, move |mut stop| async move {
                stop.wait_for(|stop| *stop).await.expect("stop is told before it is dropped");
                events.lock().push(format!("{name} told"));
                tokio::task::yield_now().await;
                events.lock().push(format!("{name} ended"));
            });
        }
        parts.stop(PATIENCE).await;
        let want = ["api told", "api ended", "schedule told", "schedule ended", "store told", "store ended"];
        assert_eq!(*events.lock(), want);
    }

    #[tokio::test]
    async fn a_part_that_returns_or_panics_is_missed() {
        let mut parts = Parts::default();
        parts.start("steady", |mut stop| async move {
            stop.wait_for(|stop| *stop).await.expect("stop is told before it is dropped");
        });
        parts.start("short", |_| async {});
        assert_eq!(parts.ended().await, "short");
        parts.start("broken", |_| async { panic!("this panic belongs to the test") });
        assert_eq!(parts.ended().await, "broken");
        parts.stop(PATIENCE).await;
    }

    #[tokio::test]
    async fn a_part_that_does_not_end_is_cut_off() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let mut parts = Parts::default();
        parts.start("deaf", |_| async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        parts.stop(Duration::from_millis(10)).await;
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

//! Threads of one piece of work on processors of their own.
//!
//! The kernel may start a thread on the processor of whoever started it, though another one is idle: a halted processor of
//! a virtual machine counts as taken there. It moves threads that waited for half a millisecond, so two of them that give
//! way to each other every 100 µs would share that processor to the end.

#[cfg(target_os = "linux")]
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

/// A processor that a thread was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor(usize);

impl Processor {
    /// Where the thread that calls this is now.
    #[cfg(target_os = "linux")]
    pub fn here() -> Processor {
        Processor(sched_getcpu())
    }

    /// Elsewhere threads stay where the kernel puts them.
    #[cfg(not(target_os = "linux"))]
    pub fn here() -> Processor {
        Processor(0)
    }

    /// Moves the thread that calls this to another processor, if it is on this one and may use others.
    pub fn leave(self) {
        if Processor::here() == self
            && let Err(error) = self.move_off()
        {
            tracing::debug!(%error, "a thread could not leave its processor: it shares it with who started it");
        }
    }

    /// What the thread may use is the same afterwards.
    #[cfg(target_os = "linux")]
    fn move_off(self) -> rustix::io::Result<()> {
        let allowed = sched_getaffinity(None)?;
        let mut others = allowed;
        others.unset(self.0);
        if others.count() == 0 {
            return Ok(());
        }
        sched_setaffinity(None, &others)?;
        sched_setaffinity(None, &allowed)
    }

    #[cfg(not(target_os = "linux"))]
    fn move_off(self) -> rustix::io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leaves_its_processor_and_may_return() {
        std::thread::spawn(|| {
            let allowed = sched_getaffinity(None).unwrap();
            // The kernel may move the thread back between two of these calls, but not a hundred times.
            let has_left = || {
                let before = Processor::here();
                before.leave();
                Processor::here() != before
            };
            assert_eq!((0..100).any(|_| has_left()), allowed.count() > 1);
            assert_eq!(sched_getaffinity(None).unwrap(), allowed);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_thread_stays_on_its_only_processor() {
        std::thread::spawn(|| {
            let here = Processor::here();
            let mut only = sched_getaffinity(None).unwrap();
            only.clear();
            only.set(here.0);
            sched_setaffinity(None, &only).unwrap();
            here.leave();
            assert_eq!((Processor::here(), sched_getaffinity(None).unwrap()), (here, only));
        })
        .join()
        .unwrap();
    }
}

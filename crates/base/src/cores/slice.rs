//! How long the kernel lets a thread run before it looks who is next.
//!
//! Since Linux 6.12 a thread may ask for slices of a length of its own. The shorter they are, the sooner it runs once it
//! wakes up, before threads with longer slices; its share of the processor stays the same. Older kernels ignore the
//! request, and so do we where it is refused: then a thread that wakes up may wait for the next tick.

use std::time::Duration;

/// What a thread works for. The kernel's own slices are longer: 1.4 ms with two processors, 2.8 ms with eight or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// A write, or whatever reads sockets: little at a time, for many who wait.
    Write,
    /// A question: most are answered within one such slice.
    Question,
}

impl Slice {
    const fn length(self) -> Duration {
        match self {
            Slice::Write => Duration::from_micros(100), // the shortest that there is
            Slice::Question => Duration::from_millis(1),
        }
    }
}

/// Asks the kernel for slices of this length for the thread that calls this, and for those that it starts from now on.
pub fn ask_for(slice: Slice) {
    if let Err(error) = set_slice(slice.length()) {
        tracing::debug!(%error, ?slice, "the kernel gives no slices of this length: a thread may wait for its tick");
    }
}

/// No crate wraps these two system calls for threads of ordinary priority.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "without, queries wait for the slices of other processes: make bench-busy")]
fn set_slice(length: Duration) -> std::io::Result<()> {
    const SIZE: libc::c_uint = size_of::<libc::sched_attr>() as libc::c_uint;
    let done = |result: libc::c_long| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: `sched_attr` is plain numbers, for which zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: thread 0 is the caller; the kernel writes SIZE bytes at most, which is what `attributes` has.
    done(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) })?;
    attributes.size = SIZE;
    attributes.sched_runtime = length.as_nanos() as u64;
    // SAFETY: as above; the kernel reads `size` bytes.
    done(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })
}

#[cfg(not(target_os = "linux"))]
fn set_slice(_: Duration) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_the_request_and_the_priority_stays() {
        std::thread::spawn(|| {
            let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
            let before = nice();
            for slice in [Slice::Write, Slice::Question] {
                set_slice(slice.length()).unwrap();
            }
            assert_eq!(nice(), before);
        })
        .join()
        .unwrap();
    }
}

//! What is logged: entries, and the events that fill memory with them.

use super::WalError;
use tokio::sync::oneshot;

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
        /// Who waits for the rotation.
        done: oneshot::Sender<Result<u64, WalError>>,
    },
}

/// Tells a sender what became of its entry.
pub struct Receipt(pub(super) oneshot::Sender<Result<(), WalError>>);

impl Receipt {
    /// The entry is as durable as the policy says, and in memory.
    pub fn done(self) {
        let _ = self.0.send(Ok(())); // the sender may have left
    }
}

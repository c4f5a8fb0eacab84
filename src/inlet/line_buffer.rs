//! What has come of a stream and was not handed on yet: the beginning of a line, mostly.

use super::intake::Delivery;
use sealine_base::pools::{Lease, Pool};
use sealine_lineproto::Splitter;
use sealine_store::Store;

/// Bytes of a stream, cut where lines end.
pub(super) struct LineBuffer {
    /// More come at the end.
    pub bytes: Vec<u8>,
    /// The memory of `bytes`.
    lease: Lease,
    splitter: Splitter,
}

impl LineBuffer {
    pub fn new(store: &Store) -> Self {
        LineBuffer {
            bytes: Vec::new(),
            lease: store.pools().lease(Pool::Buffers),
            splitter: Splitter::new(&store.limits()),
        }
    }

    /// Hands on the whole lines, and with `last` all that there is. Says whether the batch holds more than was reserved.
    pub fn deliver(&mut self, delivery: &mut Delivery<'_>, last: bool) -> bool {
        self.lease.set(self.bytes.capacity());
        let split = self.splitter.split(&self.bytes, last);
        let more = delivery.add(split.lines, split.number);
        let rest = split.rest.len();
        self.bytes.drain(..self.bytes.len() - rest);
        more
    }

    /// Holds no more memory than the bytes need.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.lease.set(self.bytes.capacity());
    }
}

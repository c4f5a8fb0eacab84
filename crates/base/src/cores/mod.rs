//! Which threads get the processors first: writes and short questions, whose senders wait, before what takes its time.
//!
//! Our own threads settle that among themselves. None lowers its priority: that would put every other process of the
//! machine first, and people look at dashboards when the machine is busy.

mod giving_way;
mod processor;
mod slice;

pub use giving_way::{are_taken, begin_question, give_way};
pub use processor::Processor;
pub use slice::{Slice, ask_for};

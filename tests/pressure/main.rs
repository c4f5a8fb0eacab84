//! Stories about the program under pressure: more clients, lines or series than it can serve. They take all processors, or
//! hundreds of connections, of which a process may often have no more than a thousand. So they have a process to
//! themselves, away from those of tests/daemon, and take turns in it.

#[path = "../support/mod.rs"]
mod support;

mod file_handles;
mod flood;
mod hostile_http;
mod latency;
mod overload;
mod udp_blast;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the turn of a story; it lasts until the guard goes.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner) // whoever fails ends its turn
}

//! The allocator of the program, and how soon it gives memory back to the system.
//!
//! By itself it keeps what was freed for a second. Seals, merges and queries free tens of megabytes at a time, so in a
//! container of 256 MiB it held 140 MiB that nobody used, and the kernel ended the program (`make overload`: at most 177
//! to 193 MiB with a delay of 0 to 10 ms, 250 MiB and more with a second).
//! The setting can be made by a call into C alone; that is the one place of the program without the compiler's checks.

use mimalloc::MiMalloc;
use std::ffi::{c_int, c_long};

/// Many small, long-lived blocks on several threads are what it is made for; the README's figures are with it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the crate has no name for.
const PURGE_DELAY: c_int = 15;

/// What it is when nobody has set it; where a later version numbers its options anew, this is not found there.
const PURGE_DELAY_DEFAULT: c_long = 1000;

const MILLISECONDS: c_long = 10;

/// Has freed memory given back after some milliseconds instead of a second. To be called before anything else.
#[expect(unsafe_code, reason = "there is no other way to set it from within the program")]
pub fn give_back_soon() {
    // SAFETY: both functions take any number, and read or write an entry of a table of plain integers.
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == PURGE_DELAY_DEFAULT {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, MILLISECONDS);
        }
    }
}

//! Bugs on purpose, so that the simulation can show that it would find them. They exist only with the feature
//! `planted-bugs`; without it [`is`] is `false` before the program is built, and nothing of them is left.

/// One of them; the place that asks for it says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
#[repr(u8)]
pub enum Bug {
    AnswerBeforeSync = 1,
    NoFolderSync,
    SkipChecksum,
    DropTail,
    RetryFailedSync,
    WrongGeneration,
    ReadBehindHole,
}

/// All of them.
pub const BUGS: [Bug; 7] = [
    Bug::AnswerBeforeSync,
    Bug::NoFolderSync,
    Bug::SkipChecksum,
    Bug::DropTail,
    Bug::RetryFailedSync,
    Bug::WrongGeneration,
    Bug::ReadBehindHole,
];

/// Whether this bug is there.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub fn is(_: Bug) -> bool {
    false
}

/// Whether this bug is there.
#[cfg(feature = "planted-bugs")]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::SeqCst) == bug as u8
}

/// The bug that is there; 0 for none.
#[cfg(feature = "planted-bugs")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// From now on this bug is there, and no other.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::SeqCst);
}

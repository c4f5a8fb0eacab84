//! A set of distinct results, which is complete when there are enough of them or nobody waits for them any more.

use hashbrown::HashSet;
use std::hash::Hash;

/// `stop` is called once in so many calls of [`LimitedSet::is_over`].
const PATIENCE: u32 = 1024;

/// Collects the names, values or series that an index finds, and says whether to go on looking.
pub struct LimitedSet<'s, T = String> {
    found: HashSet<T>,
    enough: usize,
    stop: &'s dyn Fn() -> bool,
    asked: u32,
    stopped: bool,
}

impl LimitedSet<'_> {
    /// Whether `text` is in already.
    pub fn has(&self, text: &str) -> bool {
        self.found.contains(text)
    }

    /// Takes a text in, once.
    pub fn add(&mut self, text: &str) {
        if !self.has(text) {
            self.take(text.to_string());
        }
    }
}

impl<'s, T: Eq + Hash + Ord> LimitedSet<'s, T> {
    /// Nothing yet. It is over with `enough` results, or once `stop` says so.
    pub fn new(enough: usize, stop: &'s dyn Fn() -> bool) -> Self {
        LimitedSet { found: HashSet::new(), enough, stop, asked: 0, stopped: false }
    }

    /// Takes a result in, once.
    pub fn take(&mut self, result: T) {
        self.found.insert(result);
    }

    /// Whether to stop looking. Cheap: meant to be asked for each candidate.
    pub fn is_over(&mut self) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked.is_multiple_of(PATIENCE) {
            self.stopped |= (self.stop)();
        }
        self.stopped || self.found.len() >= self.enough
    }

    /// The results, sorted; `None` where it was stopped before it had enough.
    pub fn finish(self) -> Option<Vec<T>> {
        let mut found: Vec<T> = self.found.into_iter().collect();
        found.sort_unstable();
        (!self.stopped || found.len() >= self.enough).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn it_is_over_with_enough_or_when_it_is_stopped() {
        let mut enough: LimitedSet<'_> = LimitedSet::new(2, &|| false);
        for text in ["b", "b", "a"] {
            assert!(!enough.is_over(), "{text}");
            enough.add(text);
        }
        assert!(enough.is_over() && enough.has("a") && !enough.has("c"));
        assert_eq!(enough.finish(), Some(vec!["a".to_string(), "b".to_string()]));

        let left = Cell::new(false);
        let stop = || left.get();
        let mut stopped: LimitedSet<'_> = LimitedSet::new(usize::MAX, &stop);
        stopped.add("a");
        assert!((0..2 * PATIENCE).all(|_| !stopped.is_over()));
        left.set(true);
        assert!((0..PATIENCE).any(|_| stopped.is_over()), "asked at least once in {PATIENCE} times");
        assert_eq!(stopped.finish(), None);
    }
}

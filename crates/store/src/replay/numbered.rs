//! What the log says of its rows, by their numbers.

use hashbrown::HashMap;

/// How far a row's number may lie beyond those that were defined before it and still have a place in [`Numbered::near`].
pub(super) const GAP_MAX: usize = 1 << 16;

/// Things by the numbers of rows. A log numbers its rows 0, 1, 2 …, but a damaged one may hold any number: this is as
/// large as what was put in, whatever the numbers say.
pub(super) struct Numbered<T> {
    pub(super) near: Vec<Option<T>>,
    far: HashMap<usize, T>,
    /// How many were set.
    pub(super) set: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { near: Vec::new(), far: HashMap::new(), set: 0 }
    }
}

impl<T> Numbered<T> {
    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.near.get(number).and_then(Option::as_ref).or_else(|| self.far.get(&number))
    }

    pub(super) fn set(&mut self, number: usize, thing: T) {
        self.set += 1;
        if number >= self.near.len() {
            if number > self.set + GAP_MAX {
                self.far.insert(number, thing);
                return;
            }
            self.near.resize_with(number + 1, || None);
        }
        self.near[number] = Some(thing); // what may be far under this number is older, and is not looked at any more
    }
}

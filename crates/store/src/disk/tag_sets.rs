//! Joins the tag sets of several files: which are the same, and in which order they stand in the file to be.

use super::file::OpenIndex;
use super::index_writer::TagSets;
use sealine_model::Labels;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The tag sets of some indexes as one list, in byte order of their tags. Holds numbers alone: texts stay where
/// they are.
pub struct JoinedSets<'i> {
    indexes: &'i [OpenIndex],
    /// By number: an index that has the set, and its number there.
    found: Vec<(u32, u32)>,
    /// By index and number there: the number here.
    numbers: Vec<Vec<u32>>,
}

/// The next set of an index. Sorts by its bytes, then by index.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    bytes: Box<[u8]>,
    at: u32,
    /// How many sets of the index come before it.
    place: u32,
    set: u32,
}

/// The sets of an index in byte order of their tags, where the file has them in another.
fn order_of_tags(index: &OpenIndex) -> Option<Vec<u32>> {
    let sort = || {
        let mut order: Vec<u32> = (0..index.set_count() as u32).collect();
        order.sort_by_cached_key(|set| Box::<[u8]>::from(index.set(*set).as_bytes()));
        order
    };
    (!index.is_in_order()).then(sort)
}

impl<'i> JoinedSets<'i> {
    /// Joins the sets of these indexes. Fails with the place of one whose sets, or the tags of one, are not in order.
    pub fn of(indexes: &'i [OpenIndex]) -> Result<Self, usize> {
        let orders: Vec<Option<Vec<u32>>> = indexes.iter().map(order_of_tags).collect();
        let next = |at: usize, place: u32| -> Result<Option<Reverse<Next>>, usize> {
            if place as usize >= indexes[at].set_count() {
                return Ok(None);
            }
            let set = orders[at].as_ref().map_or(place, |order| order[place as usize]);
            let in_order = indexes[at].pairs(set).is_sorted_by(|a, b| a.0 < b.0);
            if !in_order || indexes[at].pairs(set).any(|(_, value)| value.is_empty()) {
                return Err(at);
            }
            Ok(Some(Reverse(Next { bytes: indexes[at].set(set).as_bytes().into(), at: at as u32, place, set })))
        };
        let mut found = Vec::new();
        let mut numbers: Vec<Vec<u32>> = indexes.iter().map(|index| vec![0; index.set_count()]).collect();
        let mut last: Option<Box<[u8]>> = None;
        let mut waiting = BinaryHeap::new();
        for at in 0..indexes.len() {
            waiting.extend(next(at, 0)?);
        }
        while let Some(Reverse(Next { bytes, at, place, set })) = waiting.pop() {
            if let Some(after) = next(at as usize, place + 1)? {
                if after.0.bytes <= bytes {
                    return Err(at as usize);
                }
                waiting.push(after);
            }
            if last.as_ref() != Some(&bytes) {
                found.push((at, set));
                last = Some(bytes);
            }
            numbers[at as usize][set as usize] = found.len() as u32 - 1;
        }
        Ok(JoinedSets { indexes, found, numbers })
    }

    /// The number here of a set of the index at `at`.
    pub fn number(&self, at: usize, set: u32) -> u32 {
        self.numbers[at][set as usize]
    }

    fn place(&self, set: u32) -> (&'i OpenIndex, u32) {
        let (at, set) = self.found[set as usize];
        (&self.indexes[at as usize], set)
    }
}

impl<'i> TagSets<'i> for JoinedSets<'i> {
    fn count(&self) -> u32 {
        self.found.len() as u32
    }

    fn pairs(&self, set: u32) -> impl Iterator<Item = (&'i str, &'i str)> {
        let (index, set) = self.place(set);
        index.pairs(set)
    }

    fn hash(&self, set: u32) -> u128 {
        // Not what the index says, which is what finds a set: what is written is computed.
        Labels::from_pairs(self.pairs(set)).hash128()
    }
}

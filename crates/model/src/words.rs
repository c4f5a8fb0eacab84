//! A set of texts, in order and in one piece of memory: what a pattern such as `a|b|c` stands for.

/// Distinct texts in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// All of them, one behind the other.
    text: Box<str>,
    /// Where each ends.
    ends: Box<[u32]>,
}

impl Words {
    /// The set of these, of which there may be 4 GiB.
    pub(super) fn of(mut words: Vec<String>) -> Words {
        words.sort_unstable();
        words.dedup();
        Words::in_order(words.iter().map(String::as_str))
    }

    /// The set of one.
    pub(super) fn one(word: &str) -> Words {
        Words::in_order([word].into_iter())
    }

    fn in_order<'w>(words: impl Iterator<Item = &'w str>) -> Words {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for word in words {
            text.push_str(word);
            ends.push(u32::try_from(text.len()).expect("a query's texts are far smaller"));
        }
        Words { text: text.into(), ends: ends.into() }
    }

    /// The set without those that begin with another of its words.
    pub(super) fn without_longer(self) -> Words {
        let mut last: Option<&str> = None;
        let shortest = self.iter().filter(|word| {
            let is_longer = last.is_some_and(|last| word.starts_with(last));
            if !is_longer {
                last = Some(word);
            }
            !is_longer
        });
        Words::in_order(shortest.collect::<Vec<_>>().into_iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Whether the text is one of them.
    pub fn contains(&self, text: &str) -> bool {
        let at = self.first_above(text);
        at > 0 && self.get(at - 1) == text
    }

    /// Whether the text begins with one of them, none of which begins with another.
    pub(super) fn contains_start_of(&self, text: &str) -> bool {
        // A word that the text begins with is the last that is not above it.
        let at = self.first_above(text);
        at > 0 && text.starts_with(self.get(at - 1))
    }

    /// Bytes that they hold.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }

    fn first_above(&self, text: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) <= text { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn get(&self, at: usize) -> &str {
        let from = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[from..self.ends[at] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Words {
        Words::of(words.iter().map(|word| word.to_string()).collect())
    }

    #[test]
    fn words_are_found_and_nothing_else() {
        let set = words(&["b", "", "a", "ab", "b", "ä"]);
        assert_eq!(set.iter().collect::<Vec<_>>(), ["", "a", "ab", "b", "ä"]);
        for (text, want) in [("", true), ("a", true), ("ab", true), ("abc", false), ("ä", true), ("c", false)] {
            assert_eq!(set.contains(text), want, "{text}");
        }
        assert!(!words(&[]).contains(""));
    }

    #[test]
    fn starts_are_found() {
        let set = words(&["web-", "web-1", "db", "dbx", "w"]).without_longer();
        assert_eq!(set.iter().collect::<Vec<_>>(), ["db", "w"]);
        for (text, want) in [("web-1", true), ("d", false), ("db", true), ("dbz", true), ("e", false), ("", false)] {
            assert_eq!(set.contains_start_of(text), want, "{text}");
        }
        assert!(words(&[""]).contains_start_of("a") && !words(&[]).contains_start_of("a"));
    }
}

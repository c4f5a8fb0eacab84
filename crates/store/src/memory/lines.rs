//! Lines of a row as they came, before they are encoded.

use sealine_model::NO_WORD;

/// Words that a line may take for its time and for each value that it has. A line has a word for each field of the row up
/// to its last one: with a few values among very many fields it does not go in here.
const WORDS_PER_VALUE: usize = 16;

/// Lines that room is made for first. It is doubled as they come: so the tails of rows that fill them in turn have, taken
/// together, little more of it than lines.
const LINES_FIRST: usize = 4;

/// Up to `ROOM` lines, at most 256, one behind the other: the time of each, then the bits of its values, by field. Of the
/// rows of many series none is in the cache, so a line is one place in memory, not one a field.
#[derive(Default)]
pub struct Lines<const ROOM: usize> {
    words: Vec<u64>,
    fields: u32,
    /// Values that were added since lines were last encoded.
    values: u32,
}

/// All of these values are of fields below this.
#[inline]
pub fn fields_of(values: &[(u16, f64)]) -> usize {
    values.iter().map(|(field, _)| usize::from(*field) + 1).max().unwrap_or(0)
}

/// A line that is being added.
pub struct NewLine<'a> {
    values: &'a mut [u64],
}

impl NewLine<'_> {
    /// Sets the value of one of its fields.
    #[inline]
    pub fn set(&mut self, field: u16, value: f64) {
        // The one NaN that means that there is no value is kept as another NaN.
        let bits = value.to_bits();
        self.values[usize::from(field)] = if bits == NO_WORD { f64::NAN.to_bits() } else { bits };
    }
}

/// Numbers of lines in order of time; of equal times, as they came.
pub struct Order<const ROOM: usize> {
    numbers: [u8; ROOM],
    count: usize,
    /// Whether that is the order in which they came.
    pub as_they_came: bool,
}

impl<const ROOM: usize> Lines<ROOM> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.len() / self.width()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many fields a line has; some may be absent.
    pub fn fields(&self) -> usize {
        self.fields as usize
    }

    /// How many values its lines have that came since lines were last encoded.
    pub fn values(&self) -> usize {
        self.values as usize
    }

    /// Whether so many more lines, of fields below `fields` and with so many values, may be added: what the lines take is
    /// then no more than a multiple of what they have. Where that is so for the new ones alone, it is good enough.
    #[inline]
    pub fn fits(&self, more: usize, fields: usize, values: usize) -> bool {
        let width = 1 + fields.max(self.fields());
        width <= WORDS_PER_VALUE * (more + values)
            || (self.len() + more) * width <= WORDS_PER_VALUE * (self.len() + more + self.values() + values)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    fn width(&self) -> usize {
        1 + self.fields()
    }

    /// Adds a line, of fields below `fields`. There must be room for it.
    #[inline]
    pub fn push(&mut self, time: i64, fields: usize, values: &[(u16, f64)]) {
        self.push_with(time, fields, values.len(), |line| {
            values.iter().for_each(|(field, value)| line.set(*field, *value));
            true
        });
    }

    /// Adds a line of so many values, of fields below `fields`, which `fill` sets, unless that says it makes no line. There
    /// must be room for it.
    #[inline]
    pub fn push_with(&mut self, time: i64, fields: usize, values: usize, fill: impl FnOnce(&mut NewLine<'_>) -> bool) {
        self.widen(fields);
        sealine_base::work::count(self.width());
        self.values += values as u32;
        let before = self.words.len();
        self.words.push(time as u64);
        self.words.resize(before + self.width(), NO_WORD);
        if !fill(&mut NewLine { values: &mut self.words[before + 1..] }) {
            self.words.truncate(before);
        }
    }

    /// Makes room for this many fields a line; the lines that are there have no values of the new ones.
    #[inline]
    fn widen(&mut self, fields: usize) {
        if self.words.is_empty() {
            self.fields = fields.max(self.fields()) as u32;
            self.words.reserve_exact(self.width() * LINES_FIRST);
        } else if fields > self.fields() {
            self.move_to(fields);
        }
    }

    fn move_to(&mut self, fields: usize) {
        sealine_base::work::count((1 + fields) * self.len());
        let mut wide = Vec::with_capacity((1 + fields) * ROOM);
        for line in self.words.chunks_exact(self.width()) {
            wide.extend_from_slice(line);
            wide.resize(wide.len() + fields - self.fields(), NO_WORD);
        }
        (self.words, self.fields) = (wide, fields as u32);
    }

    /// Forgets all lines, and which fields they had; keeps the room.
    pub fn clear(&mut self) {
        self.words.clear();
        (self.fields, self.values) = (0, 0);
    }

    /// Keeps only these lines, as they came.
    pub fn keep(&mut self, lines: &[u8]) {
        let (width, mut to) = (self.width(), 0);
        for from in (0..self.len()).filter(|line| lines.contains(&(*line as u8))) {
            self.words.copy_within(from * width..(from + 1) * width, to * width);
            to += 1;
        }
        self.words.truncate(to * width);
        self.values = 0;
    }

    /// Puts these lines before those that are there. There must be room for all.
    pub fn prepend<const N: usize>(&mut self, lines: &Lines<N>) {
        if lines.is_empty() {
            return;
        }
        self.widen(lines.fields());
        self.values += lines.values;
        let (width, count) = (self.width(), lines.len());
        let had = self.words.len();
        self.words.resize(had + count * width, NO_WORD);
        self.words.copy_within(..had, count * width);
        for (to, line) in self.words.chunks_exact_mut(width).zip(lines.words.chunks_exact(lines.width())) {
            let (known, more) = to.split_at_mut(line.len());
            known.copy_from_slice(line);
            more.fill(NO_WORD);
        }
    }

    /// The numbers of the lines, in order of time.
    pub fn order(&self) -> Order<ROOM> {
        let count = self.len();
        let mut numbers = std::array::from_fn(|at| at as u8);
        let time = |number: &u8| self.time(usize::from(*number));
        let as_they_came = numbers[..count].is_sorted_by_key(time);
        if !as_they_came {
            numbers[..count].sort_by_key(time);
        }
        Order { numbers, count, as_they_came }
    }

    #[inline]
    pub fn time(&self, line: usize) -> i64 {
        self.words[line * self.width()] as i64
    }

    /// What a line has of a field.
    #[inline]
    pub fn sample(&self, line: u8, field: usize) -> Option<(i64, f64)> {
        let line = &self.words[usize::from(line) * self.width()..][..self.width()];
        match line[1 + field] {
            NO_WORD => None,
            bits => Some((line[0] as i64, f64::from_bits(bits))),
        }
    }

    /// Whether a line of this time has the field.
    pub fn has(&self, time: i64, field: u16) -> bool {
        let has =
            |line: &[u64]| line[0] as i64 == time && line.get(1 + usize::from(field)).is_some_and(|v| *v != NO_WORD);
        self.words.chunks_exact(self.width()).any(has)
    }

    /// Whether any line has this field.
    pub fn has_field(&self, field: usize) -> bool {
        (0..self.len()).any(|line| self.sample(line as u8, field).is_some())
    }

    /// The time of each line.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(|line| self.time(line))
    }

    /// One field's samples, as they came.
    pub fn samples(&self, field: u16) -> impl Iterator<Item = (i64, f64)> {
        let lines = if usize::from(field) < self.fields() { self.len() } else { 0 };
        (0..lines).filter_map(move |line| self.sample(line as u8, usize::from(field)))
    }
}

impl<const ROOM: usize> Order<ROOM> {
    /// The numbers.
    pub fn numbers(&self) -> &[u8] {
        &self.numbers[..self.count]
    }
}

//! LEB128 integers, 1 to 10 bytes, and zigzag for signed ones.

/// Appends `value`, seven bits a byte, low bits first.
pub fn push(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value, small magnitudes short.
pub fn push_signed(out: &mut Vec<u8>, value: i64) {
    push(out, zigzag(value));
}

/// Appends `bytes` behind its length.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// 0, -1, 1, -2 … as 0, 1, 2, 3 …
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads from the front of a slice. Every method answers `None` where the bytes end early or are not in the form.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next integer. Short ones are read without a branch on whether they have one byte or two, which nobody can
    /// foresee.
    #[inline]
    pub fn read(&mut self) -> Option<u64> {
        if let [first, second, ..] = *self.rest
            && first & second < 0x80
        {
            let two = u64::from(first >> 7);
            self.rest = &self.rest[1 + two as usize..];
            return Some(u64::from(first & 0x7f) | ((u64::from(second) << 7) * two));
        }
        self.read_long()
    }

    /// Reads up to `max` integers, for as long as they have one or two bytes and `take` takes them; returns how many. The
    /// bytes lie in a register meanwhile, so that each integer waits a little less for the one before it.
    #[inline]
    pub fn read_short(&mut self, max: usize, mut take: impl FnMut(u64) -> bool) -> usize {
        let mut count = 0;
        while count < max
            && let Some(bytes) = self.rest.first_chunk::<8>()
        {
            let (mut word, mut used) = (u64::from_le_bytes(*bytes), 0);
            let mut short = true;
            while count < max && used < 7 && short {
                let two = word >> 7 & 1;
                short = word & 0x8080 != 0x8080 && take(word & 0x7f | ((word >> 1 & 0x3f80) * two));
                if short {
                    word >>= 8 << two;
                    used += 1 + two as usize;
                    count += 1;
                }
            }
            self.rest = &self.rest[used..];
            if !short {
                break;
            }
        }
        count
    }

    fn read_long(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Some(value);
            }
        }
        None
    }

    /// The next signed integer.
    #[inline]
    pub fn read_signed(&mut self) -> Option<i64> {
        self.read().map(unzigzag)
    }

    /// The next integer as a length or count that fits a `usize`.
    pub fn read_len(&mut self) -> Option<usize> {
        usize::try_from(self.read()?).ok()
    }

    /// Passes over integers without a look at what they are.
    pub fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            let Some(bytes) = self.rest.first_chunk::<8>() else {
                self.read()?;
                count -= 1;
                continue;
            };
            // Of each byte that ends an integer, the highest bit.
            let mut ends = !u64::from_le_bytes(*bytes) & 0x8080_8080_8080_8080;
            let mut passed = 8;
            while ends != 0 {
                count -= 1;
                if count == 0 {
                    passed = ends.trailing_zeros() as usize / 8 + 1;
                    break;
                }
                ends &= ends - 1;
            }
            self.rest = &self.rest[passed..];
        }
        Some(())
    }

    /// Passes over integers of which none has the bit with this number, one of the lowest seven, and says whether that
    /// was so; if not, or where the bytes end, what is left is not defined.
    #[inline]
    pub fn skip_without(&mut self, count: usize, bit: u32) -> bool {
        const LOWEST: u64 = 0x0101_0101_0101_0101;
        const HIGHEST: u64 = LOWEST << 7;
        let mut left = count as u64;
        // Marks are made in the highest bit of each byte. The first byte begins an integer.
        let mut begins = 0x80;
        while left > 0 {
            let Some(bytes) = self.rest.first_chunk::<8>() else {
                return (0..left).all(|_| self.read().is_some_and(|value| value >> bit & 1 == 0));
            };
            let word = u64::from_le_bytes(*bytes);
            let mut ends = !word & HIGHEST;
            let begin = ends << 8 | begins;
            begins = ends >> 56;
            let marked = word << (7 - bit) & begin;
            let here = (ends >> 7).wrapping_mul(LOWEST) >> 56;
            if here < left {
                if marked != 0 {
                    return false;
                }
                left -= here;
                self.rest = &self.rest[8..];
                continue;
            }
            (1..left).for_each(|_| ends &= ends - 1);
            let last = ends & ends.wrapping_neg();
            self.rest = &self.rest[last.trailing_zeros() as usize / 8 + 1..];
            return marked & (last | (last - 1)) == 0;
        }
        true
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// Bytes behind their length.
    pub fn read_bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.read_len()?;
        self.take(count)
    }

    /// UTF-8 behind its length.
    pub fn read_str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.read_bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_trip_and_cut_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            push(&mut out, value);
            assert_eq!(Cursor::new(&out).read(), Some(value));
            assert_eq!(Cursor::new(&out[..out.len() - 1]).read(), None);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        let integers = [0, 1 << 13, 5, 1 << 27, u64::MAX, 300, 1 << 55, 7, 1];
        let mut out = Vec::new();
        integers.iter().for_each(|value| push(&mut out, *value));
        for (count, value) in integers.iter().enumerate() {
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.skip(count).and_then(|()| cursor.read()), Some(*value), "behind {count}");
        }
        assert_eq!(Cursor::new(&out).skip(integers.len() + 1), None);
        assert_eq!(Cursor::new(&[0xff; 10]).read(), None, "more than 64 bits");
        assert_eq!(Cursor::new(&[0xff; 20]).read(), None, "never ends");
    }
}

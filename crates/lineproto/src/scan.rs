//! Finds the bytes that end things: a key, a field's name, a string, a line.
//!
//! Where a line ends is defined here once, without asking whether the line is good, so that a bad line costs only
//! itself; docs/line-protocol.md tells the rule in words. [`line_end`] is that rule. The grammar reads a good line in
//! one pass and comes to the same end, which a property test holds.

use memchr::{memchr, memchr2};

/// One in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
/// The top bit of each byte of a word.
const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);

/// What some editors and shells write before the first byte of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What may stand before a line's first byte, and make up a blank line. NUL is one because C programs send the one that
/// ends their buffer, and what was not used of it.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0)
}

/// Length of the byte order mark that `text` starts with; 0 where there is none.
pub(super) fn mark_length(text: &[u8]) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

/// A line without the NULs at its end, and the blanks around them.
pub(super) fn without_nuls(line: &[u8]) -> &[u8] {
    let text = line.iter().rposition(|&byte| !is_blank(byte)).map_or(0, |last| last + 1);
    if line[text..].contains(&0) { &line[..text] } else { line }
}

/// Length of the key at the start of `input`: up to its first unescaped space. `None` where a newline or the end comes
/// first, so that the line has no fields.
#[inline]
pub(super) fn key_end(input: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b' ', b'\n', input.get(from..)?)?;
        if input[at] == b'\n' {
            return None;
        }
        if at == 0 || input[at - 1] != b'\\' {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Index of the first byte of `input` that ends a field's name, good or bad: an unescaped equals sign, comma or space,
/// or a newline. `input.len()` where there is none.
#[inline]
pub(super) fn name_end(input: &[u8]) -> usize {
    let mut from = 0;
    loop {
        let at = low_or_equals(input, from);
        match input.get(at) {
            None => return at,
            Some(b'=' | b',' | b' ') if at > 0 && input[at - 1] == b'\\' => {}
            Some(b'=' | b',' | b' ' | b'\n') => return at,
            Some(_) => {}
        }
        from = at + 1;
    }
}

/// Index of the first byte at `from` or later that is below `-` or an equals sign: eight bytes at a step. All that ends
/// a name is among them, and little else that names are made of.
#[inline]
fn low_or_equals(input: &[u8], mut from: usize) -> usize {
    while let Some(bytes) = input.get(from..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*bytes);
        let low = word.wrapping_sub(ONES * b'-' as u64) & !word;
        let differs = word ^ (ONES * b'=' as u64);
        let equals = differs.wrapping_sub(ONES) & !differs;
        // A subtraction borrows from the bytes above it only where it has already found one: the lowest is exact.
        let found = (low | equals) & TOPS;
        if found != 0 {
            return from + found.trailing_zeros() as usize / 8;
        }
        from += 8;
    }
    input[from..].iter().position(|&b| b < b'-' || b == b'=').map_or(input.len(), |i| from + i)
}

/// Length of a value that is not a string: up to a comma, a space, a newline or the end.
pub(super) fn token_end(input: &[u8]) -> usize {
    input.iter().position(|b| matches!(b, b',' | b' ' | b'\n' | b'\r')).unwrap_or(input.len())
}

/// Index of the closing quote in `input`, which starts after the opening one.
#[inline]
pub(super) fn closing_quote(input: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', input.get(from..)?)?;
        if input[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// Whether a value may end before `next`, which follows it.
#[inline]
pub(super) fn ends_value(next: Option<u8>) -> bool {
    matches!(next, None | Some(b',' | b' ' | b'\n' | b'\r' | 0))
}

/// Index of the newline that ends the line at the start of `input`; `input.len()` for a last line without one.
///
/// `limit` is `line_bytes_max`: a string must close within the first `limit` bytes of its line. Where `more` may
/// follow, `None` says that the bytes at hand do not tell; once they tell, no byte that follows changes the answer.
pub(super) fn line_end(input: &[u8], limit: usize, more: bool) -> Option<usize> {
    let newline = |from: usize| match memchr(b'\n', &input[from..]) {
        Some(at) => Some(from + at),
        None => (!more).then_some(input.len()),
    };
    let text = input.iter().position(|&b| !is_blank(b)).unwrap_or(input.len());
    if is_comment(input, text, limit) {
        return newline(text);
    }
    let Some(key) = key_end(&input[text..]) else { return newline(text) };
    let mut from = text + key;
    loop {
        let Some(at) = memchr2(b'"', b'\n', &input[from..]).map(|at| from + at) else { return newline(input.len()) };
        if input[at] == b'\n' {
            return Some(at);
        }
        // A quote opens a string where it stands right after the equals sign of a field; elsewhere it is text.
        if input[at - 1] != b'=' || input[at - 2] == b'\\' {
            from = at + 1;
            continue;
        }
        // A closing quote that is the last byte at hand counts for now: without a newline behind it nothing is decided.
        let within = &input[..input.len().min(limit)];
        match within.get(at + 1..).and_then(closing_quote).map(|length| at + 1 + length) {
            Some(close) if ends_value(input.get(close + 1).copied()) => from = close + 1,
            None if more && input.len() < limit => return None,
            _ => return newline(at),
        }
    }
}

/// Whether the line in `input` whose first byte that is not blank is at `text` is a comment.
#[inline]
pub(super) fn is_comment(input: &[u8], text: usize, limit: usize) -> bool {
    text < limit && input.get(text) == Some(&b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_first_unescaped_delimiter_wherever_it_stands_in_a_word() {
        for delimiter in *b"=, \n" {
            for before in 0..40 {
                for after in 0..10 {
                    let name = b"us+ge_\xffx.a-\"#".repeat(4);
                    let mut input = name[..before].to_vec();
                    input.push(delimiter);
                    input.extend_from_slice(&b"=, \nabcdef"[..after]);
                    assert_eq!(name_end(&input), before, "{:?}", String::from_utf8_lossy(&input));
                }
            }
        }
        for (input, want) in [("a\\=b=1", 4), ("a\\\\ b=1", 5), ("a\\\nb=1", 2), ("", 0), ("=", 0), ("abc", 3)] {
            assert_eq!(name_end(input.as_bytes()), want, "{input:?}");
        }
    }

    #[test]
    fn lines_end_where_the_page_says() {
        for (name, input, want) in [
            ("plain", "cpu v=1\nmem", 7),
            ("without newline", "cpu v=1", 7),
            ("newline between quotes", "cpu v=\"a\nb\" 1\nmem", 13),
            ("quote in a tag", "cpu,a=\"x v=1\nb\"", 12),
            ("quote in a name", "cpu a\"b=1\nc\"=1\n", 9),
            ("escaped equals before a quote", "cpu a\\=\"b=1\nc\"=1\n", 11),
            ("escaped quotes", "cpu v=\"\\\"\n\\\\\" 1\nmem", 15),
            ("after a bad value", "cpu a=NaN,v=\"a\nb\" 1\nmem", 19),
            ("never closed", "cpu v=\"a\nmem v=1\n", 8),
            ("closed in the middle of the next line", "cpu v=\"a\nmem v=\"b\"\n", 8),
            ("the second string never closed", "cpu a=\"1\n2\",b=\"3\nmem v=1\n", 16),
            ("comment with a quote", "# v=\"\nmem v=\"a\"\n", 5),
            ("no fields", "cpu\nmem v=\"a\"\n", 3),
            ("escaped spaces only", "cpu\\ v=\"\nmem\"\n", 8),
        ] {
            assert_eq!(line_end(input.as_bytes(), 1000, false), Some(want), "{name}");
        }
    }
}

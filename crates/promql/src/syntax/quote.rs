//! Strings in quotes, with the escapes of Go: `\n`, `\x41`, `\101`, `\u00e4`, `\U0001f600` and the like.

use super::fault::Fault;
use std::fmt::Write;

/// The bytes of a string literal. `literal` has its quotes, which match; it stands at byte `at` of the text. Nothing
/// is escaped in backticks.
pub fn unquote(literal: &str, at: usize) -> Result<Vec<u8>, Fault> {
    let quote = literal.chars().next().unwrap_or_default();
    let body = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    if quote == '`' {
        return Ok(body.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        let escape = &rest[backslash + 1..];
        let Some(length) = unescape(escape, quote, &mut bytes) else {
            let written: String = escape.chars().take(1).collect();
            let place = at + 1 + (body.len() - rest.len()) + backslash;
            return Err(Fault::new(
                place,
                format!(
                    "unknown escape sequence \\{written} in a string: write \\\\ for a backslash, or use backticks"
                ),
            ));
        };
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Appends what the escape stands for; gives its length without the backslash.
fn unescape(escape: &str, quote: char, bytes: &mut Vec<u8>) -> Option<usize> {
    let first = escape.chars().next()?;
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = escape.get(from..from + count)?;
        let all = digits.bytes().all(|digit| char::from(digit).is_digit(radix));
        all.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let mut character = |number: u32| {
        let character = char::from_u32(number)?;
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    };
    match first {
        'u' => character(digits(1, 4, 16)?).map(|()| 5),
        'U' => character(digits(1, 8, 16)?).map(|()| 9),
        'x' => {
            bytes.push(u8::try_from(digits(1, 2, 16)?).ok()?);
            Some(3)
        }
        '0'..='7' => {
            bytes.push(u8::try_from(digits(0, 3, 8)?).ok()?);
            Some(3)
        }
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => {
            let (_, byte) = SHORT.into_iter().find(|(letter, _)| *letter == first)?;
            bytes.push(byte);
            Some(1)
        }
        _ if first == quote => {
            bytes.push(first as u8); // a quote is ASCII
            Some(1)
        }
        _ => None,
    }
}

/// The escapes of one letter.
const SHORT: [(char, u8); 8] =
    [('a', 0x07), ('b', 0x08), ('f', 0x0c), ('n', b'\n'), ('r', b'\r'), ('t', b'\t'), ('v', 0x0b), ('\\', b'\\')];

/// Bytes as a string literal in double quotes that reads back as the same bytes.
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push_escaped(&mut quoted, character));
        for byte in chunk.invalid() {
            push_number(&mut quoted, format_args!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, character: char) {
    let short = SHORT.into_iter().find(|(_, byte)| char::from(*byte) == character);
    match (character, short) {
        ('"', _) => quoted.push_str("\\\""),
        (_, Some((letter, _))) => quoted.extend(['\\', letter]),
        (..='\u{7f}', _) if character.is_ascii_control() => {
            push_number(quoted, format_args!("\\x{:02x}", u32::from(character)));
        }
        (..='\u{ffff}', _) if is_hidden(character) => {
            push_number(quoted, format_args!("\\u{:04x}", u32::from(character)));
        }
        _ => quoted.push(character),
    }
}

/// Characters that would be invisible, or look like a space.
fn is_hidden(character: char) -> bool {
    character.is_control() || character != ' ' && character.is_whitespace() || character == '\u{feff}'
}

fn push_number(quoted: &mut String, escape: std::fmt::Arguments<'_>) {
    quoted.write_fmt(escape).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read() {
        for (literal, want) in [
            (r#""""#, &b""[..]),
            (r#""a b""#, b"a b"),
            (r#"'say "hi"'"#, b"say \"hi\""),
            (r#""\a\b\f\n\r\t\v\\\"""#, b"\x07\x08\x0c\n\r\t\x0b\\\""),
            (r"'\''", b"'"),
            (r#""\x41\101\u00e4\U0001f600ä""#, "AA\u{e4}\u{1f600}ä".as_bytes()),
            (r#""a\xc5z""#, b"a\xc5z"),
            (r#""\377""#, b"\xff"),
            (r"`a\x41\`", br"a\x41\"),
        ] {
            assert_eq!(unquote(literal, 0).as_deref(), Ok(want), "{literal}");
        }
    }

    #[test]
    fn unknown_escapes_are_refused_where_they_stand() {
        for (literal, at) in [
            (r#""ab\.c""#, 13),
            (r#""\'""#, 11),
            (r#"'\"'"#, 11),
            (r#""\x4""#, 11),
            (r#""\x+1""#, 11),
            (r#""\u12""#, 11),
            (r#""\ud800""#, 11),
            (r#""\U00110000""#, 11),
            (r#""\400""#, 11),
            (r#""\08""#, 11),
            (r#""ok\nä\ä""#, 17),
        ] {
            let fault = unquote(literal, 10).expect_err(literal);
            assert_eq!(fault.at, at, "{literal}: {}", fault.sentence);
            assert!(fault.sentence.starts_with("unknown escape sequence \\"), "{literal}: {}", fault.sentence);
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        for (bytes, want) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"\\\n\x01\x7f", r#""a\"\\\n\x01\x7f""#),
            ("ä\u{a0}\u{85}\u{feff}😀".as_bytes(), r#""ä\u00a0\u0085\ufeff😀""#),
            (b"a\xc5z\xff", r#""a\xc5z\xff""#),
        ] {
            assert_eq!(quote(bytes), want);
            assert_eq!(unquote(&quote(bytes), 0).as_deref(), Ok(bytes), "{want}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unquote(&quote(&all), 0), Ok(all));
    }
}

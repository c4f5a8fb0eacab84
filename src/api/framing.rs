//! Where the body of a request ends: what comes behind it is the next request.
//!
//! Follows the rules by which hyper reads bodies. Where a body breaks them, hyper ends the connection, so that there is no
//! next request.

/// What is still missing of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; zero is the end.
    Sized(u64),
    /// Chunks of `Transfer-Encoding: chunked`.
    Chunked(Chunked),
    /// The body broke the rules: all that comes is left to hyper.
    Broken,
}

/// What the next byte of a chunked body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunked {
    /// The size of a chunk, of which `digits` digits came.
    Size {
        size: u64,
        digits: u8,
    },
    /// What may stand behind a size.
    Extension {
        size: u64,
    },
    /// The line feed behind a size.
    SizeEnd {
        size: u64,
    },
    /// The data of a chunk: this many bytes are still to come.
    Data {
        left: u64,
    },
    /// The carriage return, and the line feed, behind the data.
    DataReturn,
    DataEnd,
    /// The beginning of a line behind the last chunk: a trailer, or the end.
    Line,
    Trailer,
    TrailerEnd,
    End,
}

impl Framing {
    /// A chunked body that begins.
    pub const CHUNKED: Framing = Framing::Chunked(Chunked::START);

    /// Whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        *self == Framing::Sized(0)
    }

    /// Goes on through `bytes`; how many of them, from the first on, are of the body.
    pub fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            at += match self {
                Framing::Sized(0) => break,
                Framing::Sized(left) | Framing::Chunked(Chunked::Data { left }) => {
                    let taken = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    if let Framing::Chunked(data @ Chunked::Data { left: 0 }) = self {
                        *data = Chunked::DataReturn;
                    }
                    taken
                }
                Framing::Broken => bytes.len() - at,
                Framing::Chunked(state) => {
                    *self = state.next(bytes[at]);
                    1
                }
            };
        }
        at
    }
}

impl Chunked {
    const START: Chunked = Chunked::Size { size: 0, digits: 0 };

    /// Digits of the largest size that there can be.
    const DIGITS_MAX: u8 = 16;

    /// What comes behind `byte`, which is none of a chunk's data.
    fn next(self, byte: u8) -> Framing {
        Framing::Chunked(match (self, byte) {
            (Chunked::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < Chunked::DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                Chunked::Size { size: size << 4 | u64::from(digit), digits: digits + u8::from(size > 0 || digit > 0) }
            }
            (Chunked::Size { size, .. }, b'\t' | b' ' | b';') => Chunked::Extension { size },
            (Chunked::Size { size, .. } | Chunked::Extension { size }, b'\r') => Chunked::SizeEnd { size },
            (Chunked::Extension { .. }, b'\n') => return Framing::Broken,
            (Chunked::Extension { size }, _) => Chunked::Extension { size },
            (Chunked::SizeEnd { size: 0 }, b'\n') => Chunked::Line,
            (Chunked::SizeEnd { size }, b'\n') => Chunked::Data { left: size },
            (Chunked::DataReturn, b'\r') => Chunked::DataEnd,
            (Chunked::DataEnd, b'\n') => Chunked::START,
            (Chunked::Line, b'\r') => Chunked::End,
            (Chunked::Trailer, b'\r') => Chunked::TrailerEnd,
            (Chunked::Line | Chunked::Trailer, _) => Chunked::Trailer,
            (Chunked::TrailerEnd, b'\n') => Chunked::Line,
            (Chunked::End, b'\n') => return Framing::Sized(0),
            _ => return Framing::Broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of `bytes` is of the body, where they come `step` at a time, and whether it has ended.
    fn body(mut framing: Framing, bytes: &[u8], step: usize) -> (usize, bool) {
        let mut length = 0;
        for piece in bytes.chunks(step) {
            let taken = framing.advance(piece);
            length += taken;
            if taken < piece.len() {
                break;
            }
        }
        (length, framing.is_over())
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let next = "GET /next HTTP/1.1\r\n\r\n";
        for (name, framing, text) in [
            ("none", Framing::Sized(0), ""),
            ("sized", Framing::Sized(10), "0123456789"),
            ("a last chunk alone", Framing::CHUNKED, "0\r\n\r\n"),
            ("chunks", Framing::CHUNKED, "5\r\nabcde\r\nA\r\n0\r\n\r\n23456\r\n0\r\n\r\n"),
            ("zeros", Framing::CHUNKED, "00000000000000000000003\r\nabc\r\n000\r\n\r\n"),
            ("extensions", Framing::CHUNKED, "3 \t;a=\"b\"\r\nabc\r\n0;x\r\n\r\n"),
            ("trailers", Framing::CHUNKED, "3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
        ] {
            let bytes = format!("{text}{next}");
            for step in 1..=bytes.len() {
                assert_eq!(body(framing, bytes.as_bytes(), step), (text.len(), true), "{name}, {step} at a time");
            }
            if let Some(short) = text.len().checked_sub(1) {
                assert_eq!(body(framing, &bytes.as_bytes()[..short], 3), (short, false), "{name}, cut off");
            }
        }
    }

    #[test]
    fn behind_a_broken_body_comes_no_request() {
        for text in ["x", "3\n", "3\r\nabcd", "3\r\nabc\n", "3;a\nabc", "3 \n", "0\r\n\rx", "0\r\nA: b\rx", "3\rx"] {
            let bytes = format!("{text}{}", "GET /next HTTP/1.1\r\n\r\n".repeat(3));
            assert_eq!(body(Framing::CHUNKED, bytes.as_bytes(), 4), (bytes.len(), false), "{text:?}");
        }
        let mut framing = Framing::CHUNKED;
        framing.advance(b"fffffffffffffffff\r\n");
        assert_eq!(framing, Framing::Broken, "a size beyond 64 bits");
    }
}

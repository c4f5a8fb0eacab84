//! The values that are more than a number, a duration or a size: each reads and prints itself as text.

use super::{duration, size};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When the write-ahead log is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalSync {
    /// Before each answer; requests that wait at the same time share one sync.
    Always,
    /// This often: an answer may come earlier, and a power cut may cost what came since.
    Interval(Duration),
    /// When the operating system pleases.
    Never,
}

impl FromStr for WalSync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("interval:").map(duration::parse)) {
            ("always", _) => Ok(WalSync::Always),
            ("never", _) => Ok(WalSync::Never),
            (_, Some(Ok(interval))) => Ok(WalSync::Interval(interval)),
            _ => Err(format!("got `{text}`, want \"always\", \"never\" or an interval such as \"interval:100ms\"")),
        }
    }
}

impl fmt::Display for WalSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalSync::Always => f.write_str("always"),
            WalSync::Interval(interval) => write!(f, "interval:{}", duration::format(*interval)),
            WalSync::Never => f.write_str("never"),
        }
    }
}

/// How much memory the daemon may plan with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// 1 to 100 hundredths of what the machine or the control group has.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}

impl MemoryLimit {
    /// The limit in bytes, where `total` bytes are there.
    pub fn of(self, total: u64) -> u64 {
        match self {
            MemoryLimit::Percent(percent) => (u128::from(total) * u128::from(percent) / 100) as u64,
            MemoryLimit::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let limit = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(MemoryLimit::Percent)
            }
            None => size::parse(text).ok().map(MemoryLimit::Bytes),
        };
        limit.ok_or_else(|| format!("got `{text}`, want 1% to 100%, or a size such as 512MiB or 4GiB"))
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryLimit::Percent(percent) => write!(f, "{percent}%"),
            MemoryLimit::Bytes(bytes) => f.write_str(&size::format(*bytes)),
        }
    }
}

/// What to do with characters that classic Prometheus names cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They become `_`.
    Classic,
    /// They stay.
    Utf8,
}

/// How a line of our own log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A type with a handful of values, each known by one word.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn read(text: &str) -> Result<Self, String> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("got `{text}`, want {}", words.join(" or "))
        })
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Choice for Names {
    const WORDS: &'static [(&'static str, Self)] = &[("classic", Names::Classic), ("utf8", Names::Utf8)];
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

macro_rules! reads_and_prints_its_word {
    ($($choice:ty),*) => {$(
        impl FromStr for $choice {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                <Self as Choice>::read(text)
            }
        }

        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Choice::word(*self))
            }
        }
    )*};
}
pub(super) use reads_and_prints_its_word;
reads_and_prints_its_word!(Names, LogFormat);

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: FromStr<Err = String> + fmt::Display>(text: &str) -> Result<String, String> {
        text.parse::<T>().map(|value| value.to_string())
    }

    #[test]
    fn values_print_as_they_are_read() {
        type RoundTrip = fn(&str) -> Result<String, String>;
        let (sync, memory): (RoundTrip, RoundTrip) = (round_trip::<WalSync>, round_trip::<MemoryLimit>);
        for (of, text) in [
            (sync, "always"),
            (sync, "never"),
            (sync, "interval:100ms"),
            (memory, "60%"),
            (memory, "100%"),
            (memory, "4GiB"),
            (round_trip::<Names>, "utf8"),
            (round_trip::<LogFormat>, "json"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn wrong_values_are_told_what_is_wanted() {
        let sync = "want \"always\", \"never\" or an interval such as \"interval:100ms\"";
        let memory = "want 1% to 100%, or a size such as 512MiB or 4GiB";
        for (of, text, want) in [
            (round_trip::<WalSync> as fn(&str) -> _, "sometimes", sync),
            (round_trip::<WalSync>, "interval:", sync),
            (round_trip::<WalSync>, "interval:100", sync),
            (round_trip::<MemoryLimit>, "0%", memory),
            (round_trip::<MemoryLimit>, "101%", memory),
            (round_trip::<MemoryLimit>, "lots", memory),
        ] {
            assert_eq!(of(text), Err(format!("got `{text}`, {want}")));
        }
    }

    #[test]
    fn a_share_of_memory_is_taken_of_what_is_there() {
        for (limit, total, want) in [("60%", 1000, 600), ("100%", u64::MAX, u64::MAX), ("1KiB", 10, 1024)] {
            assert_eq!(limit.parse::<MemoryLimit>().map(|l| l.of(total)), Ok(want), "{limit} of {total}");
        }
    }
}

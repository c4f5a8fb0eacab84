//! Tokens: who may do what over HTTP. The configuration keeps their hashes, so that whoever reads it cannot use them.
//!
//! A token is 256 random bits, so that guessing it is hopeless and a plain SHA-256 keeps it as well as a slow hash does.

use super::scalar::{list, text};
use super::values::{Choice, reads_and_prints_its_word};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Random bytes in a token of ours; 43 characters of base64.
const TOKEN_BYTES: usize = 32;

/// What a hash starts with in the configuration.
const HASH_PREFIX: &str = "sha256:";

/// What a secret shows as, wherever the configuration is shown.
const HIDDEN: &str = "<hidden>";

/// `[[token]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// What the token is called in errors; never sent by clients.
    pub name: String,
    /// What is known of it.
    #[serde(with = "text")]
    pub hash: TokenHash,
    /// What it allows; none of them stands for another.
    #[serde(with = "list")]
    pub rights: Vec<Right>,
    /// The databases that may be read or written with it; empty stands for all.
    #[serde(with = "list")]
    pub databases: Vec<String>,
}

impl Token {
    /// Makes a token of fresh random bits: the text for the client, and the block for the configuration.
    ///
    /// Errors: what the operating system says where it has no random bits.
    pub fn fresh(name: &str, rights: &[Right], databases: &[String]) -> Result<(String, Token), getrandom::Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes)?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        let (name, hash) = (name.to_string(), TokenHash::of(&text));
        Ok((text, Token { name, hash, rights: rights.to_vec(), databases: databases.to_vec() }))
    }

    /// The block as it stands in a configuration file, hash included.
    pub fn to_block(&self) -> String {
        let rights: Vec<String> = self.rights.iter().map(Right::to_string).collect();
        let hash = self.hash.reveal();
        let list = |items: &[String]| {
            let items: Vec<String> =
                items.iter().map(|item| serde_json::Value::from(item.as_str()).to_string()).collect();
            format!("[{}]", items.join(", "))
        };
        format!(
            "[[token]]\nname = {}\nhash = \"{hash}\"\nrights = {}\ndatabases = {}\n",
            serde_json::Value::from(self.name.as_str()),
            list(&rights),
            list(&self.databases),
        )
    }

    /// Whether it allows `right` on some database at least.
    pub fn has(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Whether what it allows, it allows on this database.
    pub fn covers(&self, database: &str) -> bool {
        self.databases.is_empty() || self.databases.iter().any(|one| one == database)
    }
}

/// What a token may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Queries, look-ups, status pages.
    Read,
    /// Lines, and the making of databases.
    Write,
    /// What stands below `/admin`.
    Admin,
}

impl Choice for Right {
    const WORDS: &'static [(&'static str, Self)] =
        &[("read", Right::Read), ("write", Right::Write), ("admin", Right::Admin)];
}
reads_and_prints_its_word!(Right);

/// The SHA-256 of a token. It shows as `<hidden>`: somebody may have chosen a token that can be guessed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenHash(Option<[u8; 32]>);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        TokenHash(Some(Sha256::digest(token).into()))
    }

    /// Whether there is none; then no token fits.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are there and are the same. Takes as long wherever they differ.
    pub fn fits(&self, other: &TokenHash) -> bool {
        match (&self.0, &other.0) {
            (Some(ours), Some(others)) => ours.ct_eq(others).into(),
            _ => false,
        }
    }

    /// As the configuration has it.
    fn reveal(&self) -> String {
        let hex =
            |bytes: &[u8; 32]| bytes.iter().fold(HASH_PREFIX.to_string(), |text, byte| format!("{text}{byte:02x}"));
        self.0.as_ref().map_or_else(String::new, hex)
    }
}

impl FromStr for TokenHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(TokenHash(None));
        }
        // What was got is not repeated: it may be the token itself.
        text.strip_prefix(HASH_PREFIX).and_then(bytes_of_hex).map(|bytes| TokenHash(Some(bytes))).ok_or_else(|| {
            format!(
                "got something else, want \"{HASH_PREFIX}\" and 64 hexadecimal digits, as `sealine token NAME --rights read` prints them"
            )
        })
    }
}

/// 32 bytes from 64 digits of either case.
fn bytes_of_hex(digits: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8; // 8 bits by the two shifts
    }
    Some(bytes)
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_sha256sum_and_reads_back() {
        // printf abc | sha256sum
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenHash::of("abc").reveal(), abc);
        for text in [abc.to_string(), abc.to_uppercase().replace("SHA256", "sha256")] {
            assert!(text.parse::<TokenHash>().is_ok_and(|hash| hash == TokenHash::of("abc")), "{text}");
        }
        assert_eq!(format!("{0} {0:?}", TokenHash::of("abc")), "<hidden> <hidden>");
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        for text in ["s3cret", "<hidden>", "sha256:", "sha256:abc", &format!("sha256:{}", "g".repeat(64)), "sha512:00"]
        {
            let message = text.parse::<TokenHash>().unwrap_err();
            assert!(!message.contains("s3cret") && message.contains("64 hexadecimal digits"), "{text}: {message}");
        }
    }

    #[test]
    fn a_token_fits_its_own_hash_only() {
        for (name, one, other, want) in [
            ("same", TokenHash::of("a"), TokenHash::of("a"), true),
            ("other", TokenHash::of("a"), TokenHash::of("b"), false),
            ("none configured", TokenHash::default(), TokenHash::of(""), false),
            ("none at all", TokenHash::default(), TokenHash::default(), false),
        ] {
            assert_eq!(one.fits(&other), want, "{name}");
        }
    }

    #[test]
    fn fresh_tokens_differ_and_fit_the_block_that_comes_with_them() {
        let databases = ["a \"b\"".to_string()];
        let make =
            || Token::fresh("telegraf", &[Right::Write, Right::Read], &databases).expect("there are random bits");
        let ((text, token), (other, _)) = (make(), make());
        assert_ne!(text, other);
        assert_eq!(text.len(), 43);
        assert!(TokenHash::of(&text).fits(&token.hash));
        let want = format!(
            "[[token]]\nname = \"telegraf\"\nhash = \"{}\"\nrights = [\"write\", \"read\"]\ndatabases = [\"a \\\"b\\\"\"]\n",
            token.hash.reveal()
        );
        assert_eq!(token.to_block(), want);
    }
}

//! What can be wrong with a configuration, and where it stands.

use super::tree::BLOCKS;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {path} is not TOML")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was read, and these things in it are wrong; never empty.
    #[error("the configuration has {}", faults_text(.0))]
    Faults(Vec<Fault>),
    /// It was read again, and is right; but what would take effect at once does not go with what stays as it is.
    #[error(
        "some of the new configuration needs a restart, and the rest cannot be applied without it: {key}: {message}"
    )]
    Halfway {
        /// The key that would be at fault.
        key: String,
        /// What it would be, and what is wanted.
        message: String,
    },
}

fn faults_text(faults: &[Fault]) -> String {
    let count = if faults.len() == 1 { "1 fault:".to_string() } else { format!("{} faults:", faults.len()) };
    faults.iter().fold(count, |text, fault| format!("{text}\n  {fault}"))
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub(super) place: Place,
    /// The key, such as `http.listen` or `database[0].name`.
    pub key: String,
    /// What was got and what is wanted.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.message)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    File { path: PathBuf, line: Option<usize> },
    Environment { variable: String },
    Flag { name: &'static str },
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Place::File { path, line: None } => write!(f, "{}", path.display()),
            Place::Environment { variable } => write!(f, "environment variable {variable}"),
            Place::Flag { name } => write!(f, "flag {name}"),
            Place::Default => f.write_str("default"),
        }
    }
}

/// The line, from 1, on which `key` (or its section) stands, as far as a look at the text shows: inline tables and
/// quoted keys are not followed, and what is found is only ever printed.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let (mut section, mut blocks, mut of_section) = (String::new(), [0; BLOCKS.len()], None);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let name = header.trim_start_matches('[').split(']').next().unwrap_or("").trim();
            section = name.to_string();
            for (block, seen) in BLOCKS.iter().zip(&mut blocks) {
                let Some(rest) = name.strip_prefix(block).filter(|rest| rest.is_empty() || rest.starts_with('.'))
                else {
                    continue;
                };
                if header.starts_with('[') {
                    *seen += 1;
                }
                if *seen > 0 {
                    section = format!("{block}[{}]{rest}", *seen - 1);
                }
            }
            if key == section {
                return Some(at + 1);
            }
            if key.starts_with(&format!("{section}.")) {
                of_section = Some(at + 1);
            }
        } else if let Some((name, _)) = line.split_once('=') {
            let dot = if section.is_empty() { "" } else { "." };
            let full = format!("{section}{dot}{}", name.trim());
            if key == full {
                return Some(at + 1);
            }
        }
    }
    of_section
}

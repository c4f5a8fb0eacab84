//! Our own log: one line an event on standard error, for people or as JSON.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `log.level` passed the configuration's check, but not the parser's.
    #[error("log.level `{level}` cannot be used")]
    Level {
        /// What it was.
        level: String,
        /// What the parser said.
        source: ParseError,
    },
    /// The process has a log already.
    #[error("the process has a log already")]
    Twice(#[from] TryInitError),
}

/// Sets up the log of the process, once.
pub(super) fn start(log: &Log) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder()
        .parse(&log.level)
        .map_err(|source| LoggingError::Level { level: log.level.clone(), source })?;
    let stderr = std::io::stderr;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    match log.format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

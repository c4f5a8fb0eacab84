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
    #[error("logging is already set up")]
    Twice(#[from] TryInitError),
}

/// Changes what is logged from now on.
pub(super) struct LogLevel(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl LogLevel {
    /// Logs what `filter` lets through.
    pub fn set(&self, filter: EnvFilter) {
        (self.0)(filter);
    }
}

/// Reads a `log.level`.
pub(super) fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder().parse(level).map_err(|source| LoggingError::Level { level: level.to_string(), source })
}

/// Sets up the log of the process, once.
pub(super) fn start(log: &Log) -> Result<LogLevel, LoggingError> {
    /// Starts one form of log; a macro, since each form is a type of its own.
    macro_rules! started {
        ($builder:expr) => {{
            let builder = $builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.finish().try_init()?;
            // It fails where the log is gone, which is as long there as the process is.
            LogLevel(Box::new(move |filter| drop(handle.reload(filter))))
        }};
    }
    let stderr = std::io::stderr;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&log.level)?)
        .with_writer(stderr)
        // It would tell standard error of a line that standard error did not take, and panic.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal());
    Ok(match log.format {
        LogFormat::Text => started!(builder),
        LogFormat::Json => started!(builder.json().flatten_event(true)),
    })
}

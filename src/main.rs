//! `sealine`: reads the command line and the configuration, then hands over to the library.

mod cli;

use clap::Parser;
use cli::{Cli, Command, Settings};
use sealine::config::{Config, Flags};
use sealine::{daemon, health};
use std::error::Error;
use std::process::ExitCode;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(settings) => serve(&settings),
        Command::CheckConfig { file } => check_config(&file),
        Command::Verify { dir } => verify(&dir),
        Command::Dump { file } => dump(&file),
        Command::Healthcheck(settings) => healthcheck(&settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", sentence(&*error));
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: &Settings) -> Outcome {
    Ok(daemon::run(load(settings)?)?)
}

fn check_config(file: &std::path::Path) -> Outcome {
    let config = Config::load(Some(file), std::env::vars_os(), &Flags::default())?;
    println!("{}", config.to_toml());
    eprintln!("{} is a good configuration", file.display());
    Ok(())
}

/// To be wired to `sealine::disk` and `sealine::wal`: read, check, print; a fault is an `Err`.
fn verify(dir: &std::path::Path) -> Outcome {
    Err(format!("cannot verify {}: this build cannot read data folders yet", dir.display()).into())
}

/// To be wired to `sealine::disk` and `sealine::wal`, by the magic number that the file starts with.
fn dump(file: &std::path::Path) -> Outcome {
    Err(format!("cannot print {}: this build cannot read data files yet", file.display()).into())
}

fn healthcheck(settings: &Settings) -> Outcome {
    Ok(health::check(load(settings)?.http.listen)?)
}

fn load(settings: &Settings) -> Result<Config, sealine::config::ConfigError> {
    Config::load(settings.config.as_deref(), std::env::vars_os(), &settings.flags())
}

/// An error with its causes: `error: what was done: why it failed: what the system said`.
fn sentence(error: &dyn Error) -> String {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text.trim_end().to_string()
}

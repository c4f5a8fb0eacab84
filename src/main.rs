//! `sealine`: reads the command line and the configuration, then hands over to the library.

mod allocator;
mod cli;

use clap::Parser;
use cli::{Cli, Command, Settings};
use sealine::config::{Config, Flags, Right, Token};
use sealine::inspect::{self, InspectError, Verified};
use sealine::vfs::DiskVfs;
use sealine::{daemon, health};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    allocator::give_back_soon();
    let outcome = match Cli::parse().command {
        Command::Serve(settings) => serve(&settings),
        Command::CheckConfig { file } => check_config(&file),
        Command::Verify { dir } => verify(&dir),
        Command::Dump { file } => dump(&file),
        Command::Token { name, rights, databases } => token(&name, &rights, &databases),
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
    let origin = settings.origin();
    Ok(daemon::run(origin.load()?, origin)?)
}

fn check_config(file: &std::path::Path) -> Outcome {
    let config = Config::load(Some(file), std::env::vars_os(), &Flags::default())?;
    println!("{}", config.to_toml());
    eprintln!("{} is a good configuration", file.display());
    Ok(())
}

fn verify(dir: &std::path::Path) -> Outcome {
    let verified = inspect::verify(&DiskVfs::shared(), dir)?;
    for fault in &verified.faults {
        println!("{fault}");
    }
    let Verified { files, samples, records, faults } = verified;
    println!(
        "{files} files, {samples} sound samples in chunk files, {records} sound log records, {} faults",
        faults.len()
    );
    if faults.is_empty() { Ok(()) } else { Err(format!("{} is damaged", dir.display()).into()) }
}

fn dump(file: &std::path::Path) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let dumped = inspect::dump(&DiskVfs::shared(), file, &mut out).and_then(|()| Ok(out.flush()?));
    match dumped {
        // Whoever read it has seen enough.
        Err(InspectError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        dumped => Ok(dumped?),
    }
}

fn token(name: &str, rights: &[Right], databases: &[String]) -> Outcome {
    let (text, token) = Token::fresh(name, rights, databases)?;
    println!("# For the client, and shown this once: the block keeps only the hash.\n# {text}\n\n{}", token.to_block());
    Ok(())
}

fn healthcheck(settings: &Settings) -> Outcome {
    Ok(health::check(&settings.origin().load()?.http)?)
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

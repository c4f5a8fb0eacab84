//! `sealine`: reads the command line and the configuration, then hands over to the library.

mod allocator;
mod cli;

use clap::Parser;
use cli::{Cli, Command, Settings};
use sealine::config::{Config, Flags, Right, Token};
use sealine::{daemon, health};
use sealine_base::causes;
use sealine_base::vfs::DiskVfs;
use sealine_store::inspect::{self, InspectError, Verified};
use std::error::Error;
use std::io::{self, ErrorKind, Write};
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
            // If nobody reads it any more, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {}", causes::text(&*error).trim_end());
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
    print(io::stdout(), &format!("{}\n", config.to_toml()))?;
    print(io::stderr(), &format!("{} is a valid configuration\n", file.display()))
}

fn verify(dir: &std::path::Path) -> Outcome {
    let verified = inspect::verify(&DiskVfs::shared(), dir)?;
    let Verified { files, samples, records, faults } = verified;
    let mut report: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    report.push_str(&format!(
        "{files} files, {samples} sound samples in chunk files, {records} sound log records, {} faults\n",
        faults.len()
    ));
    print(io::stdout(), &report)?;
    if faults.is_empty() { Ok(()) } else { Err(format!("{} is damaged", dir.display()).into()) }
}

fn dump(file: &std::path::Path) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let dumped = inspect::dump(&DiskVfs::shared(), file, &mut out).and_then(|()| Ok(out.flush()?));
    match dumped {
        Err(InspectError::Output(error)) => seen_enough(error),
        dumped => Ok(dumped?),
    }
}

fn token(name: &str, rights: &[Right], databases: &[String]) -> Outcome {
    let (text, token) = Token::fresh(name, rights, databases)?;
    // The block goes where it can be appended to the configuration, behind whatever stands last there. The secret goes
    // where such a redirection does not reach.
    print(io::stdout(), &format!("\n{}", token.to_block()))?;
    print(
        io::stderr(),
        &format!("The token, for the client; it is shown this once, the block keeps its hash alone:\n{text}\n"),
    )
}

/// Writes all of `text`.
fn print(mut stream: impl Write, text: &str) -> Outcome {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).or_else(seen_enough)
}

/// The outcome of a failed write to the output: a reader that has closed the pipe has seen enough.
fn seen_enough(error: io::Error) -> Outcome {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(InspectError::Output(error).into()) }
}

fn healthcheck(settings: &Settings) -> Outcome {
    Ok(health::check(&settings.origin().load()?.http)?)
}

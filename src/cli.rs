//! The command line: what may be typed. What it does is in main.rs.

use clap::{Args, Parser, Subcommand};
use sealine::config::{Flags, Origin, Right};
use std::path::PathBuf;

const EXAMPLE: &str = "\
Example:
  sealine serve --config conf/sealine.toml --data-dir /var/lib/sealine
  curl -i '127.0.0.1:8086/write?db=demo' --data-binary 'cpu,host=a usage=0.5'
  curl '127.0.0.1:8086/api/v1/query?query=cpu_usage'

Every setting is in conf/sealine.toml, and can be set in the environment as SEALINE__SECTION__KEY.
Exit codes: 0 all is well, 1 something is wrong (told on standard error), 2 the command line is wrong,
128 + signal when a second signal cut the shutdown short.";

/// Metrics daemon: Influx line protocol in, PromQL out.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon until SIGTERM or SIGINT
    Serve(Settings),
    /// Check a configuration file, together with the environment, and print what would be in force
    CheckConfig {
        /// The file to check
        file: PathBuf,
    },
    /// Read every file of a data folder, check all checksums and say what is damaged; changes nothing
    Verify {
        /// The data folder
        dir: PathBuf,
    },
    /// Print a segment of the log or a chunk file in a form that people can read
    Dump {
        /// The file
        file: PathBuf,
    },
    /// Make a token: its block for the configuration goes to standard output, the secret to standard error
    Token {
        /// What to call it, in errors and in the configuration
        name: String,
        /// What it allows: some of read, write and admin, with commas between
        #[arg(long, value_name = "RIGHTS", value_delimiter = ',', required = true)]
        rights: Vec<Right>,
        /// A database that it is for; may be given several times, and stands for all where it is not given
        #[arg(long = "database", value_name = "NAME")]
        databases: Vec<String>,
    },
    /// Ask a running daemon whether it is healthy; for containers, which have no shell or curl
    Healthcheck(Settings),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub struct Settings {
    /// The configuration file; without it, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds the data (data_dir)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// The address of HTTP, such as 127.0.0.1:8086, localhost:8086, or :8086 for all interfaces (http.listen)
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// The address for datagrams, "" for off (udp.listen)
    #[arg(long, value_name = "ADDR")]
    udp: Option<String>,
}

impl Settings {
    /// Where the configuration comes from: the file, the environment, the flags.
    pub fn origin(&self) -> Origin {
        let flags = Flags { data_dir: self.data_dir.clone(), http: self.http.clone(), udp: self.udp.clone() };
        Origin { file: self.config.clone(), environment: std::env::vars_os().collect(), flags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_rights_of_a_token_stand_in_one_word() {
        let cli =
            Cli::parse_from(["sealine", "token", "t", "--rights", "read,write", "--database", "a", "--database", "b"]);
        let Command::Token { name, rights, databases } = cli.command else { panic!("token was asked for") };
        assert_eq!((&*name, rights, databases.join("+")), ("t", vec![Right::Read, Right::Write], "a+b".to_string()));
        let error = Cli::try_parse_from(["sealine", "token", "t", "--rights", "all"]).unwrap_err().to_string();
        assert!(error.contains("got `all`, want \"read\" or \"write\" or \"admin\""), "{error}");
    }

    #[test]
    fn flags_reach_the_configuration() {
        let cli = Cli::parse_from(["sealine", "serve", "--data-dir", "d", "--http", "h", "--udp", ""]);
        let Command::Serve(settings) = cli.command else { panic!("serve was asked for") };
        let flags = settings.origin().flags;
        assert_eq!(
            (flags.data_dir.as_deref(), flags.http.as_deref(), flags.udp.as_deref()),
            (Some("d"), Some("h"), Some(""))
        );
    }
}

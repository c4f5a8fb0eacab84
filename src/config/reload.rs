//! Reading the configuration again while the daemon runs: what of a new one takes effect at once, and what only after a
//! restart. Decided here, without doing anything; `daemon/reload.rs` acts on it.

use super::{Config, ConfigError, DatabaseRules, Flags, Http, Log, Query, check};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the configuration of a process comes from, so that it can be read again.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file; `None` where there is none.
    pub file: Option<PathBuf>,
    /// The environment that the process was started with.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags that it was started with.
    pub flags: Flags,
}

impl Origin {
    /// Reads and checks all of it; errors are those of [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref(), self.environment.iter().cloned(), &self.flags)
    }
}

/// The result of reading the configuration again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reload {
    /// What is in force from now on.
    pub config: Config,
    /// Keys whose new value takes effect, sorted. Blocks are named as a whole: `token`.
    pub changed: Vec<String>,
    /// Keys whose new value waits for a restart, sorted; `database` stands for all of those blocks.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// The result of reading `new` while this configuration is in force.
    ///
    /// Errors: [`ConfigError::Halfway`] where what would take effect does not go with what stays as it is.
    pub fn reload(&self, new: &Config) -> Result<Reload, ConfigError> {
        let config = self.with_what_may_change(new);
        if let Some((key, message)) = check::check(&config).into_iter().next() {
            return Err(ConfigError::Halfway { key, message });
        }
        let (changed, needs_restart) = (differences(self, &config), differences(&config, new));
        Ok(Reload { config, changed, needs_restart })
    }

    /// This configuration with all of `new` that may change while the daemon runs: the one list of it.
    fn with_what_may_change(&self, new: &Config) -> Config {
        let (old_tls, new_tls) = (&self.http.tls, &new.http.tls);
        let tls = if old_tls.is_on() && new_tls.is_on() { new_tls } else { old_tls };
        Config {
            http: Http {
                tls: tls.clone(),
                cors_origin: new.http.cors_origin.clone(),
                open_metrics: new.http.open_metrics,
                ..self.http.clone()
            },
            cardinality: new.cardinality.clone(),
            query: Query {
                concurrency: self.query.concurrency,
                queue_timeout: self.query.queue_timeout,
                ..new.query.clone()
            },
            log: Log { level: new.log.level.clone(), ..self.log.clone() },
            naming: new.naming.clone(),
            database: self.database.iter().map(|rules| with_naming(rules, new)).collect(),
            token: new.token.clone(),
            ..self.clone()
        }
    }

    /// A number that differs, as far as numbers go, where what is shown of two configurations differs. Hashes of tokens
    /// are not shown, so that nobody can try guesses at a token against it. 48 bits: a float holds them exactly.
    pub fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.to_toml().as_bytes()) >> 16
    }
}

/// The rules of a database with the naming that `new` has for it.
fn with_naming(rules: &DatabaseRules, new: &Config) -> DatabaseRules {
    match new.database.iter().find(|block| block.name == rules.name) {
        Some(block) => DatabaseRules { naming: block.naming.clone(), ..rules.clone() },
        None => rules.clone(),
    }
}

/// The keys that differ, sorted; those of blocks by the name of the block.
fn differences(one: &Config, other: &Config) -> Vec<String> {
    let (of_one, of_other): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (one.flat().into_iter().collect(), other.flat().into_iter().collect());
    let keys: BTreeSet<&String> = of_one.keys().chain(of_other.keys()).collect();
    let differing = keys.into_iter().filter(|key| of_one.get(*key) != of_other.get(*key));
    let mut names: BTreeSet<&str> = differing.filter_map(|key| key.split('[').next()).collect();
    if one.token != other.token {
        names.insert("token"); // hashes show alike
    }
    names.into_iter().map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Right, Tls, Token};
    use std::time::Duration;

    fn token(name: &str) -> Token {
        Token::fresh(name, &[Right::Read], &[]).expect("there are random bits").1
    }

    fn listen(text: &str) -> Address {
        text.parse().expect("an address")
    }

    #[test]
    fn each_key_takes_effect_or_waits_for_a_restart_and_is_named() {
        type Change = fn(&mut Config);
        let rows: [(&str, Change, bool); 14] = [
            ("cardinality.max_series", |config| config.cardinality.max_series = 7, true),
            ("cardinality.max_databases", |config| config.cardinality.max_databases = 7, true),
            ("query.timeout", |config| config.query.timeout = Duration::from_secs(7), true),
            ("query.max_samples", |config| config.query.max_samples = 7, true),
            ("log.level", |config| config.log.level = "debug".into(), true),
            ("http.open_metrics", |config| config.http.open_metrics = true, true),
            ("naming.template", |config| config.naming.template = "{field}".into(), true),
            ("token", |config| config.token.push(token("x")), true),
            ("http.tls.cert", |config| config.http.tls.cert = "other".into(), true),
            ("query.concurrency", |config| config.query.concurrency = 7, false),
            ("http.listen", |config| config.http.listen = listen("127.0.0.1:7"), false),
            ("memory.limit", |config| config.memory.limit = "50%".parse().expect("a share"), false),
            ("data_dir", |config| config.data_dir = "elsewhere".into(), false),
            (
                "database",
                |config| {
                    let (retention, naming) = (config.retention.clone(), config.naming.clone());
                    config.database.push(DatabaseRules { name: "a".into(), retention, naming });
                },
                false,
            ),
        ];
        for (key, change, at_once) in rows {
            let mut old = Config::default();
            old.http.tls = Tls { cert: "cert".into(), key: "key".into() };
            let mut new = old.clone();
            change(&mut new);
            let reload = old.reload(&new).unwrap_or_else(|error| panic!("{key}: {error}"));
            let (named, silent) = match at_once {
                true => (&reload.changed, &reload.needs_restart),
                false => (&reload.needs_restart, &reload.changed),
            };
            assert_eq!((named, silent), (&vec![key.to_string()], &Vec::new()), "{key}");
            assert_eq!(reload.config == new, at_once, "{key}");
            assert_eq!(reload.config == old, !at_once, "{key}");
        }
    }

    #[test]
    fn tls_goes_on_and_off_with_a_restart_only() {
        let off = Config::default();
        let mut on = off.clone();
        on.http.tls = Tls { cert: "cert".into(), key: "key".into() };
        for (old, new) in [(&off, &on), (&on, &off)] {
            let reload = old.reload(new).expect("it is right");
            assert_eq!(
                (reload.needs_restart, &reload.config),
                (vec!["http.tls.cert".into(), "http.tls.key".into()], old)
            );
        }
    }

    #[test]
    fn a_token_that_differs_in_its_hash_alone_differs() {
        let old = Config { token: vec![token("x")], ..Config::default() };
        let new = Config { token: vec![token("x")], ..Config::default() };
        assert_eq!(old.reload(&new).expect("it is right").changed, ["token"]);
        assert_eq!(old.hash(), new.hash(), "what nobody may see is not in the hash");
        assert_ne!(old.hash(), Config::default().hash());
        assert!(old.hash() < 1 << 48);
    }

    #[test]
    fn what_is_right_in_itself_but_not_beside_what_stays_is_refused() {
        let mut old = Config { token: vec![token("x")], ..Config::default() };
        old.http.listen = listen("0.0.0.0:8086");
        // The last token goes, and the address with it; but the address stays until a restart.
        let error = old.reload(&Config::default()).unwrap_err().to_string();
        let want = "some of the new configuration needs a restart, and the rest cannot be applied without it: \
                    http.listen: got 0.0.0.0:8086";
        assert!(error.starts_with(want), "{error}");
    }
}

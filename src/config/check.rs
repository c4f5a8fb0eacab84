//! Which values make sense, alone and together. Every fault is found, not only the first.

use super::{Config, DatabaseRules, MemoryLimit, Naming, Retention, Right, Token, WalSync, duration, size};
use sealine_model::split_policy;
use std::fmt::Display;
use std::time::Duration;

/// Lookback, timeouts and intervals beyond this are slips of a unit.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// A wrong value: its key, and a sentence with what was got and what is wanted.
pub(super) type Wrong = (String, String);

/// What is wrong with values that were each read well.
pub(super) fn check(config: &Config) -> Vec<Wrong> {
    let mut found = Found::default();
    found.numbers(config);
    found.durations(config);
    found.texts(config);
    found.relations(config);
    found.retention("retention", &config.retention);
    found.naming("naming", &config.naming);
    for (at, policy) in config.database.iter().enumerate() {
        found.database(at, policy, &config.database[..at]);
    }
    found.strangers(config);
    for (at, token) in config.token.iter().enumerate() {
        found.token(at, token, &config.token[..at]);
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Wrong>);

impl Found {
    fn unless(&mut self, right: bool, key: &str, sentence: impl FnOnce() -> String) {
        if !right {
            self.0.push((key.to_string(), sentence()));
        }
    }

    fn within<T: PartialOrd>(&mut self, key: &str, value: T, least: T, most: T, print: impl Fn(&T) -> String) {
        self.unless(least <= value && value <= most, key, || {
            format!("got {}, want {} to {}", print(&value), print(&least), print(&most))
        });
    }

    fn numbers(&mut self, config: &Config) {
        let Config { http, tcp, ingest, merge, query, .. } = config;
        let steps = query.max_regex_steps;
        self.unless(steps >= 1000, "query.max_regex_steps", || format!("got {steps}, want at least 1000"));
        for (key, value, most) in [
            ("http.max_connections", http.max_connections, 1_000_000),
            ("tcp.max_connections", tcp.max_connections, 1_000_000),
            ("ingest.max_tags", ingest.max_tags, 1_000),
            ("ingest.max_fields", ingest.max_fields, 65_535),
            ("query.max_series", query.max_series, usize::MAX),
            ("query.max_points", query.max_points, 10_000_000),
            ("query.max_subquery_points", query.max_subquery_points, 10_000_000),
        ] {
            match most {
                usize::MAX => self.unless(value >= 1, key, || format!("got {value}, want at least 1")),
                _ => self.within(key, value, 1, most, usize::to_string),
            }
        }
        self.unless(query.max_samples >= 1, "query.max_samples", || "got 0, want at least 1".to_string());
        self.within("http.max_connections_per_ip", http.max_connections_per_ip, 0, 1_000_000, usize::to_string);
        self.within("ingest.max_errors_listed", ingest.max_errors_listed, 0, 10_000, usize::to_string);
        self.within("query.concurrency", query.concurrency, 0, 10_000, usize::to_string);
        self.within("query.threads", query.threads, 0, 1_024, usize::to_string);
        self.within("merge.fan_in", merge.fan_in, 2, 64, usize::to_string);
    }

    fn durations(&mut self, config: &Config) {
        let (millisecond, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let Config { http, query, seal, .. } = config;
        for (key, value, least) in [
            ("http.header_timeout", http.header_timeout, millisecond),
            ("http.body_timeout", http.body_timeout, millisecond),
            ("http.idle_timeout", http.idle_timeout, millisecond),
            ("http.drain_timeout", http.drain_timeout, Duration::ZERO),
            ("query.lookback", query.lookback, millisecond),
            ("query.timeout", query.timeout, millisecond),
            ("query.labels_timeout", query.labels_timeout, millisecond),
            ("query.slow", query.slow, Duration::ZERO),
            ("query.queue_timeout", query.queue_timeout, Duration::ZERO),
            ("seal.interval", seal.interval, second),
        ] {
            self.within(key, value, least, LONG, |value| duration::format(*value));
        }
        let store_interval = config.telemetry.store_interval;
        self.unless(
            store_interval.is_zero() || (second..=LONG).contains(&store_interval),
            "telemetry.store_interval",
            || {
                format!(
                    "got {}, want 0 (off) or {} to {}",
                    duration::format(store_interval),
                    duration::format(second),
                    duration::format(LONG)
                )
            },
        );
        if let WalSync::Interval(interval) = config.wal.sync {
            let most = Duration::from_secs(60);
            self.within("wal.sync", interval, millisecond, most, |value| WalSync::Interval(*value).to_string());
        }
    }

    fn texts(&mut self, config: &Config) {
        self.unless(!config.data_dir.as_os_str().is_empty(), "data_dir", || "got \"\", want a folder".to_string());
        self.database_name("udp.database", &config.udp.database);
        self.database_name("tcp.database", &config.tcp.database);
        let origin = &config.http.cors_origin;
        self.unless(origin.bytes().all(|byte| byte.is_ascii_graphic()), "http.cors_origin", || {
            format!("got {origin:?}, want \"*\", an origin such as \"https://grafana.example\", or \"\" for off")
        });
        let level = &config.log.level;
        self.unless(is_log_filter(level), "log.level", || {
            format!(
                "got `{level}`, want off, error, warn, info, debug or trace, \
                 also by part: `info,sealine_store::wal=debug`"
            )
        });
        let tls = &config.http.tls;
        for (key, value, other, other_value) in [
            ("http.tls.cert", &tls.cert, "http.tls.key", &tls.key),
            ("http.tls.key", &tls.key, "http.tls.cert", &tls.cert),
        ] {
            self.unless(value.as_os_str().is_empty() || !other_value.as_os_str().is_empty(), key, || {
                format!("got {}, but no {other}: want both files or neither", value.display())
            });
        }
        if let MemoryLimit::Bytes(bytes) = config.memory.limit {
            let least = 32 << 20;
            self.unless(bytes >= least, "memory.limit", || {
                format!("got {}, want at least {}", size::format(bytes), size::format(least))
            });
        }
    }

    fn relations(&mut self, config: &Config) {
        let Config { http, udp, ingest, wal, seal, query, .. } = config;
        for (key, value, least) in [
            ("http.max_body_bytes", http.max_body_bytes, 1 << 10),
            ("http.max_compressed_bytes", http.max_compressed_bytes, 1 << 10),
            ("udp.receive_buffer_bytes", udp.receive_buffer_bytes, 64 << 10),
            ("udp.queue_bytes", udp.queue_bytes, 64 << 10),
            ("ingest.max_line_bytes", ingest.max_line_bytes, 64),
            ("ingest.max_name_bytes", ingest.max_name_bytes, 1),
            ("ingest.max_value_bytes", ingest.max_value_bytes, 1),
            ("wal.segment_bytes", wal.segment_bytes, 64 << 10),
            ("query.max_text_bytes", query.max_text_bytes, 64),
        ] {
            self.unless(value >= least, key, || {
                format!("got {}, want at least {}", size::format(value), size::format(least))
            });
        }
        // Lengths inside a body are held in 32 bits.
        self.unless(http.max_body_bytes <= 1 << 30, "http.max_body_bytes", || {
            format!("got {}, want at most 1GiB", size::format(http.max_body_bytes))
        });
        let memory_bytes_least = 1 << 20;
        let right = query.max_memory == 0 || query.max_memory >= memory_bytes_least;
        self.unless(right, "query.max_memory", || {
            let (got, least) = (size::format(query.max_memory), size::format(memory_bytes_least));
            format!("got {got}, want 0 (a share of memory.limit) or at least {least}")
        });
        for (key, value, bound, bound_value) in [
            ("ingest.max_line_bytes", ingest.max_line_bytes, "http.max_body_bytes", http.max_body_bytes),
            ("ingest.max_key_bytes", ingest.max_key_bytes, "ingest.max_line_bytes", ingest.max_line_bytes),
            ("ingest.max_name_bytes", ingest.max_name_bytes, "ingest.max_key_bytes", ingest.max_key_bytes),
            ("ingest.max_value_bytes", ingest.max_value_bytes, "ingest.max_key_bytes", ingest.max_key_bytes),
            ("wal.segment_bytes", wal.segment_bytes, "seal.wal_bytes", seal.wal_bytes),
            ("seal.wal_bytes", seal.wal_bytes, "wal.max_bytes", wal.max_bytes),
        ] {
            self.unless(value <= bound_value, key, || {
                format!("got {}, want at most {bound}, which is {}", size::format(value), size::format(bound_value))
            });
        }
    }

    fn retention(&mut self, section: &str, retention: &Retention) {
        let Retention { memory, disk } = *retention;
        self.unless(disk.is_zero() || disk >= memory, &format!("{section}.disk"), || {
            format!(
                "got {}, want 0 (for ever) or at least {section}.memory, which is {}",
                duration::format(disk),
                duration::format(memory)
            )
        });
    }

    fn naming(&mut self, section: &str, naming: &Naming) {
        let rest = naming.template.replace("{measurement}", "").replace("{field}", "");
        let right = naming.template.contains("{field}") && !rest.contains(['{', '}']);
        self.unless(right, &format!("{section}.template"), || {
            format!("got `{}`, want a text with {{field}} and optionally {{measurement}}", naming.template)
        });
        for pattern in &naming.string_fields {
            let right = pattern.split_once('.').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
            self.unless(right, &format!("{section}.string_fields"), || {
                format!("got `{pattern}`, want measurement.field, such as `system.os` or `*.version`")
            });
        }
    }

    fn database(&mut self, at: usize, policy: &DatabaseRules, before: &[DatabaseRules]) {
        let section = format!("database[{at}]");
        self.database_name(&format!("{section}.name"), &policy.name);
        self.unless(before.iter().all(|other| other.name != policy.name), &format!("{section}.name"), || {
            format!("got `{}` a second time, want one block a database", policy.name)
        });
        if let (database, Some("autogen" | "default")) = split_policy(&policy.name) {
            self.unless(false, &format!("{section}.name"), || {
                format!("got `{}`, which is the database itself, want `{database}`", policy.name)
            });
        }
        self.retention(&format!("{section}.retention"), &policy.retention);
        self.naming(&format!("{section}.naming"), &policy.naming);
    }

    /// No listener is open to strangers unless the configuration says so explicitly.
    fn strangers(&mut self, config: &Config) {
        let Config { http, udp, tcp, token, .. } = config;
        for (section, listen, guarded, way_out) in [
            (
                "http",
                Some(&http.listen),
                http.open || !token.is_empty(),
                "a [[token]] (`sealine token NAME --rights read,write` makes one), ",
            ),
            ("udp", udp.listen.0.as_ref(), udp.open, ""),
            ("tcp", tcp.listen.0.as_ref(), tcp.open, ""),
        ] {
            let Some(listen) = listen.filter(|listen| !guarded && listen.reaches_out()) else { continue };
            self.unless(false, &format!("{section}.listen"), || {
                format!(
                    "got {listen}, where whoever reaches it could write: want {way_out}an address of this machine \
                     alone such as 127.0.0.1:8086 or localhost:8086, or `open = true` in [{section}]"
                )
            });
        }
    }

    fn token(&mut self, at: usize, token: &Token, before: &[Token]) {
        let key = |name: &str| format!("token[{at}].{name}");
        let Token { name, hash, rights, databases } = token;
        self.unless((1..=100).contains(&name.len()) && !name.contains(char::is_control), &key("name"), || {
            format!("got {name:?}, want a name of 1 to 100 bytes without control characters")
        });
        self.unless(before.iter().all(|other| other.name != *name), &key("name"), || {
            format!("got `{name}` a second time, want one block a token")
        });
        self.unless(!hash.is_empty(), &key("hash"), || {
            "got \"\", want the hash that `sealine token NAME --rights read` prints".to_string()
        });
        self.unless(!before.iter().any(|other| other.hash.fits(hash)), &key("hash"), || {
            "got a hash that another block has, want a token of its own".to_string()
        });
        self.unless(!rights.is_empty(), &key("rights"), || {
            "got none, want some of \"read\", \"write\" and \"admin\"".to_string()
        });
        self.unless(databases.is_empty() || !token.has(Right::Admin), &key("databases"), || {
            "got a list, want none with the right \"admin\": what it does is done to all databases".to_string()
        });
        for database in databases {
            self.database_name(&key("databases"), database);
        }
    }

    fn database_name(&mut self, key: &str, name: &impl Display) {
        let name = name.to_string();
        self.unless((1..=255).contains(&name.len()) && !name.contains(char::is_control), key, || {
            format!("got {name:?}, want a name of 1 to 255 bytes without control characters")
        });
    }
}

/// Whether `text` is a list of levels and of `part=level`, with commas between.
fn is_log_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    text.split(',').all(|directive| {
        let (part, level) = directive.split_once('=').unwrap_or(("sealine", directive));
        LEVELS.contains(&level)
            && !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
    })
}

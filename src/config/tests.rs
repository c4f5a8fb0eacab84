//! The layers, the wording of faults, and the promise that conf/sealine.toml is the reference.

use super::*;
use std::ffi::OsString;
use std::path::Path;

const HOUR: Duration = Duration::from_secs(3600);
const REFERENCE: &str = include_str!("../../conf/sealine.toml");

/// Loads `text` as the file `test.toml` in a folder of its own; faults name that file without its folder.
fn load(text: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("test.toml");
    write(&path, text);
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let folder = format!("{}/", folder.path().display());
    Config::load(Some(&path), environment, flags).map_err(|error| error.to_string().replace(&folder, ""))
}

#[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the test's file is written");
}

#[test]
fn the_reference_file_has_every_key_with_its_default() {
    assert_eq!(load(REFERENCE, &[], &Flags::default()), Ok(Config::default()));
    let written: Vec<String> = REFERENCE
        .lines()
        .scan(String::new(), |section, line| {
            if let Some(name) = line.strip_prefix('[') {
                *section = format!("{}.", name.trim_end_matches(']'));
            }
            let key =
                line.split_once(" = ").filter(|_| !line.starts_with('#')).map(|(key, _)| format!("{section}{key}"));
            Some(key)
        })
        .flatten()
        .collect();
    let mut sorted = written.clone();
    sorted.sort();
    let keys: Vec<String> = Config::default()
        .flat()
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| !tree::BLOCKS.contains(&&**key))
        .collect();
    assert_eq!(sorted, keys, "every key of the structs once, uncommented");
}

#[test]
fn the_example_block_of_the_reference_file_loads() {
    let at = REFERENCE.find("# [[database]]").expect("the reference shows a block");
    let block: String =
        REFERENCE[at..].lines().map(|line| format!("{}\n", line.trim_start_matches(['#', ' ']))).collect();
    let config = load(&block, &[], &Flags::default()).expect("the example is right");
    let telegraf = config.database("telegraf");
    assert_eq!(telegraf.retention, Retention { memory: 6 * HOUR, disk: 90 * 24 * HOUR });
    assert_eq!(telegraf.naming.string_fields, ["system.os", "*.version"]);
    assert!(!telegraf.naming.db_label);
    assert_eq!(telegraf.naming.template, Config::default().naming.template, "what the block leaves out");
    let hourly = config.database("telegraf/hourly");
    assert_eq!(hourly.retention, Retention { memory: 6 * HOUR, disk: 365 * 24 * HOUR });
    assert_eq!(hourly.naming, telegraf.naming, "what the policy's block leaves out");
    assert_eq!(config.database("other").retention, config.retention, "what has no block");
}

#[test]
fn a_policy_is_filled_in_from_its_database_wherever_that_stands() {
    let text = "[retention]\nmemory = '1h'\n\
                [[database]]\nname = 't/hourly'\nretention.disk = '365d'\n\
                [[database]]\nname = 't'\nretention.disk = '30d'\nretention.memory = '3h'\nnaming.db_label = false\n\
                [[database]]\nname = 'other/raw'\nretention.disk = '7d'";
    let config = load(text, &[], &Flags::default()).expect("all of it is right");
    let rules = |name: &str| {
        let rules = config.database(name);
        (rules.retention.disk / (24 * 3600), rules.retention.memory / 3600, rules.naming.db_label)
    };
    let seconds = Duration::from_secs;
    for (name, want) in [
        ("t", (seconds(30), seconds(3), false)),
        ("t/hourly", (seconds(365), seconds(3), false)),
        ("t/not_named", (seconds(30), seconds(3), false)),
        ("other/raw", (seconds(7), seconds(1), true)),
        ("other", (seconds(0), seconds(1), true)),
        ("/t", (seconds(0), seconds(1), true)),
    ] {
        assert_eq!(rules(name), want, "{name}");
    }
}

#[test]
fn the_later_layer_wins() {
    let file = "data_dir = 'f'\n[http]\nlisten = '127.0.0.1:1'\nmax_connections = 7\n[udp]\nlisten = '127.0.0.1:1'";
    let environment = [
        ("SEALINE__HTTP__LISTEN", "127.0.0.1:2"),
        ("SEALINE__UDP__LISTEN", "127.0.0.1:2"),
        ("SEALINE__MERGE__ENABLED", "false"),
        ("SEALINE__INGEST__MAX_TAGS", "12"),
        ("SEALINE__NAMING__STRING_FIELDS", "a.b, c.*"),
        ("SEALINE__RETENTION__DISK", "1w"),
        ("SEALINE__WAL__SYNC", "interval:50ms"),
        ("SEALINE_PORT", "tcp://10.0.0.1:8086"),
        ("PATH", "/bin"),
    ];
    let flags = Flags { udp: Some(String::new()), ..Flags::default() };
    let config = load(file, &environment, &flags).expect("all of it is right");
    assert_eq!(config.data_dir, Path::new("f"));
    assert_eq!(config.http.max_connections, 7);
    assert_eq!(config.http.listen, "127.0.0.1:2".parse().expect("an address"));
    assert_eq!(config.udp.listen, Listen(None));
    assert!(!config.merge.enabled);
    assert_eq!(config.ingest.max_tags, 12);
    assert_eq!(config.naming.string_fields, ["a.b", "c.*"]);
    assert_eq!(config.retention.disk, 7 * 24 * HOUR);
    assert_eq!(config.wal.sync, WalSync::Interval(Duration::from_millis(50)));
}

#[test]
fn each_fault_names_its_place_its_key_and_what_is_wanted() {
    for (name, text, want) in [
        (
            "key",
            "[http]\nlisten = '127.0.0.1:1'\nlisen = ''",
            "test.toml:3: http.lisen: there is no such key; did you mean http.listen?",
        ),
        ("section", "[htttp]\nlisten = ''", "test.toml:1: htttp: there is no such key; did you mean http?"),
        ("top", "datadir = 'x'", "test.toml:1: datadir: there is no such key; did you mean data_dir?"),
        ("far", "zzz = 1", "test.toml:1: zzz: there is no such key"),
        ("not_a_section", "http = 1", "test.toml:1: http: want a section: [http]"),
        (
            "number",
            "[query]\nmax_series = 'many'",
            "test.toml:2: query.max_series: got `many`, want a whole number, 0 or more",
        ),
        (
            "fraction",
            "[query]\nmax_series = 1.5",
            "test.toml:2: query.max_series: got `1.5`, want a whole number, 0 or more",
        ),
        ("negative", "[query]\nthreads = -1", "test.toml:2: query.threads: got `-1`, want a whole number, 0 or more"),
        ("bool", "[merge]\nenabled = 'yes'", "test.toml:2: merge.enabled: got `yes`, want true or false"),
        ("bool_by_number", "[merge]\nenabled = 1", "test.toml:2: merge.enabled: got `1`, want true or false"),
        ("table", "[merge.enabled]\nx = 1", "test.toml:1: merge.enabled: got a table, want a single value"),
        ("list", "[retention]\ndisk = ['7d']", "test.toml:2: retention.disk: got a list, want a single value"),
        (
            "no_list",
            "[naming]\nstring_fields = 5",
            "test.toml:2: naming.string_fields: got integer `5`, want a list of texts",
        ),
        (
            "inner",
            "[naming]\nstring_fields = [[]]",
            "test.toml:2: naming.string_fields: got a list, want a single value",
        ),
        ("string", "[udp]\ndatabase = ['a']", "test.toml:2: udp.database: got sequence, want a string"),
        (
            "duration",
            "[seal]\ninterval = 30",
            "test.toml:2: seal.interval: got `30`, want a duration such as 100ms, 30s, 5m, 1h30m or 7d",
        ),
        (
            "size",
            "[seal]\nwal_bytes = '1GB'",
            "test.toml:2: seal.wal_bytes: got `1GB`, want a size such as 4096, 256KiB, 32MiB or 1GiB",
        ),
        ("choice", "[log]\nformat = 'xml'", "test.toml:2: log.format: got `xml`, want \"text\" or \"json\""),
        ("range", "[merge]\nfan_in = 1", "test.toml:2: merge.fan_in: got 1, want 2 to 64"),
        ("time_range", "[seal]\ninterval = '7d'", "test.toml:2: seal.interval: got 7d, want 1s to 1d"),
        ("zero", "[query]\ntimeout = '0'", "test.toml:2: query.timeout: got 0, want 1ms to 1d"),
        (
            "tls_halfway",
            "[http.tls]\ncert = 'a.pem'",
            "test.toml:2: http.tls.cert: got a.pem, but no http.tls.key: want both files or neither",
        ),
        (
            "sync_range",
            "[wal]\nsync = 'interval:1h'",
            "test.toml:2: wal.sync: got interval:1h, want interval:1ms to interval:1m",
        ),
        (
            "relation",
            "[wal]\nsegment_bytes = '2GiB'",
            "test.toml:2: wal.segment_bytes: got 2GiB, want at most seal.wal_bytes, which is 512MiB",
        ),
        (
            "default_breaks",
            "[seal]\nwal_bytes = '1MiB'",
            "default: wal.segment_bytes: got 64MiB, want at most seal.wal_bytes, which is 1MiB",
        ),
        (
            "retention",
            "[retention]\ndisk = '1h'",
            "test.toml:2: retention.disk: got 1h, want 0 (for ever) or at least retention.memory, which is 2h",
        ),
        (
            "http_off",
            "[http]\nlisten = ''",
            "test.toml:2: http.listen: got \"\", want a host and a port such as 127.0.0.1:8086, localhost:8086 or [::1]:8086, or :8086 for all interfaces",
        ),
        (
            "udp_without_port",
            "[udp]\nlisten = 'localhost'",
            "test.toml:2: udp.listen: got `localhost` without a port, want a host and a port such as 127.0.0.1:8086, localhost:8086 or [::1]:8086, or :8086 for all interfaces, or \"\" for off",
        ),
        (
            "template",
            "[naming]\ntemplate = '{measurment}_{field}'",
            "test.toml:2: naming.template: got `{measurment}_{field}`, want a text with {field} and optionally {measurement}",
        ),
        (
            "pattern",
            "[naming]\nstring_fields = ['os']",
            "test.toml:2: naming.string_fields: got `os`, want measurement.field, such as `system.os` or `*.version`",
        ),
        (
            "level",
            "[log]\nlevel = 'loud'",
            "test.toml:2: log.level: got `loud`, want off, error, warn, info, debug or trace, also by part: `info,sealine_store::wal=debug`",
        ),
        ("memory", "[memory]\nlimit = '1MiB'", "test.toml:2: memory.limit: got 1MiB, want at least 32MiB"),
        (
            "origin",
            "[http]\ncors_origin = \"a\\nb\"",
            "test.toml:2: http.cors_origin: got \"a\\nb\", want \"*\", an origin such as \"https://grafana.example\", or \"\" for off",
        ),
        (
            "http_for_strangers",
            "[http]\nlisten = '0.0.0.0:8086'",
            "test.toml:2: http.listen: got 0.0.0.0:8086, where whoever reaches it could write: want a [[token]] (`sealine token NAME --rights read,write` makes one), an address of this machine alone such as 127.0.0.1:8086 or localhost:8086, or `open = true` in [http]",
        ),
        (
            "udp_for_strangers",
            "[udp]\nlisten = '[::]:8089'",
            "test.toml:2: udp.listen: got [::]:8089, where whoever reaches it could write: want an address of this machine alone such as 127.0.0.1:8086 or localhost:8086, or `open = true` in [udp]",
        ),
        (
            "tcp_for_strangers",
            "http.open = true\n[tcp]\nlisten = '10.0.0.1:1'",
            "test.toml:3: tcp.listen: got 10.0.0.1:1, where whoever reaches it could write: want an address of this machine alone such as 127.0.0.1:8086 or localhost:8086, or `open = true` in [tcp]",
        ),
        ("token", "token = 'sesame'", "test.toml:1: token: want blocks that start with [[token]]"),
        ("block", "database = 1", "test.toml:1: database: want blocks that start with [[database]]"),
        ("block_of_numbers", "database = [1]", "test.toml: database[0]: want a block that starts with [[database]]"),
        (
            "block_name",
            "[[database]]\n[database.retention]\ndisk = '1d'",
            "test.toml:1: database[0].name: got \"\", want a name of 1 to 255 bytes without control characters",
        ),
        (
            "block_key",
            "[[database]]\nname = 'a'\n[[database]]\nname = 'b'\n[database.retention]\ndsk = 1",
            "test.toml:6: database[1].retention.dsk: there is no such key; did you mean retention.disk?",
        ),
        (
            "block_value",
            "[[database]]\nname = 'a'\nretention.disk = '1x'",
            "test.toml:3: database[0].retention.disk: got `1x`, want a duration such as 100ms, 30s, 5m, 1h30m or 7d",
        ),
        (
            "block_twice",
            "[[database]]\nname = 'a'\n[[database]]\nname = 'a'",
            "test.toml:4: database[1].name: got `a` a second time, want one block a database",
        ),
        (
            "block_relation",
            "[retention]\ndisk = '7d'\n[[database]]\nname = 'a'\n[database.retention]\nmemory = '30d'",
            "test.toml:5: database[0].retention.disk: got 7d, want 0 (for ever) or at least database[0].retention.memory, which is 30d",
        ),
        (
            "policy_of_a_wrong_database",
            "[[database]]\nname = 'a/b'\nretention.disk = '8d'\n[[database]]\nname = 'a'\nnaming.template = 'x'",
            "test.toml:6: database[1].naming.template: got `x`, want a text with {field} and optionally {measurement}",
        ),
        (
            "policy_that_is_none",
            "[[database]]\nname = 'a/autogen'",
            "test.toml:2: database[0].name: got `a/autogen`, which is the database itself, want `a`",
        ),
        (
            "fault_of_the_general_section",
            "[retention]\ndisk = '7x'\n[[database]]\nname = 'a'",
            "test.toml:2: retention.disk: got `7x`, want a duration such as 100ms, 30s, 5m, 1h30m or 7d",
        ),
        (
            "wrong_value_of_the_general_section",
            "[naming]\ntemplate = 'x'\n[[database]]\nname = 'a'",
            "test.toml:2: naming.template: got `x`, want a text with {field} and optionally {measurement}",
        ),
    ] {
        let got = load(text, &[], &Flags::default()).expect_err(name);
        assert_eq!(got, format!("the configuration has 1 fault:\n  {want}"), "{name}");
    }
}

#[test]
fn faults_of_the_environment_and_of_flags_name_the_variable_and_the_flag() {
    for (variable, value, want) in [
        ("SEALINE__HTTP__LISEN", "x", "http.lisen: there is no such key; did you mean http.listen?"),
        ("SEALINE__HTTP", "x", "http: there is no such key"),
        ("SEALINE__DATABASE__NAME", "x", "database.name: databases are described in the file only"),
        ("SEALINE__MERGE__FAN_IN", "x", "merge.fan_in: got `x`, want a whole number, 0 or more"),
        ("SEALINE__MERGE__FAN_IN", "65", "merge.fan_in: got 65, want 2 to 64"),
        ("SEALINE__MERGE__ENABLED", "1", "merge.enabled: got `1`, want true or false"),
    ] {
        let got = load("", &[(variable, value)], &Flags::default()).expect_err(variable);
        assert_eq!(got, format!("the configuration has 1 fault:\n  environment variable {variable}: {want}"));
    }
    let flags = Flags { http: Some("here".to_string()), ..Flags::default() };
    let got = load("", &[], &flags).expect_err("here is no address");
    assert!(got.contains("\n  flag --http: http.listen: got `here` without a port, want a host and a port"), "{got}");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_their_places() {
    let text =
        "nme = 1\n[http]\nlisten = 'x'\n[merge]\nfan_in = 0\n[seal]\ninterval = 'soon'\n[retention]\ndisk = '1m'";
    let got = load(text, &[("SEALINE__QUERY__THREADS", "-2")], &Flags::default()).expect_err("five faults and one");
    let places: Vec<&str> = got.lines().map(|line| line.trim().split(": ").next().unwrap_or("")).collect();
    let want = [
        "the configuration has 6 faults:",
        "test.toml:1",
        "test.toml:3",
        "test.toml:5",
        "test.toml:7",
        "test.toml:9",
        "environment variable SEALINE__QUERY__THREADS",
    ];
    assert_eq!(places, want, "{got}");
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_named() {
    let missing = Config::load(Some(Path::new("not/there.toml")), [], &Flags::default()).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read the configuration file not/there.toml");
    assert!(std::error::Error::source(&missing).is_some(), "the cause travels");
    let got = load("[http\nlisten = 1", &[], &Flags::default()).unwrap_err();
    assert_eq!(got, "the configuration file test.toml is not TOML");
}

#[test]
fn what_is_shown_loads_back_and_hides_the_hashes() {
    let (_, token) = Token::fresh("grafana", &[Right::Read], &[]).expect("there are random bits");
    let text = "[[database]]\nname = 'a \"b\" \\ \u{e9}'\n[database.naming]\nstring_fields = ['a.b']";
    let config = load(&format!("{}{text}", token.to_block()), &[], &Flags::default()).expect("it is right");
    assert_eq!(config.token, std::slice::from_ref(&token));
    let shown = config.to_toml();
    assert!(!shown.contains("sha256:") && shown.contains("hash = \"<hidden>\""), "{shown}");
    let told = load(&shown, &[], &Flags::default()).expect_err("a hidden hash is none");
    assert!(told.contains("token[0].hash: got something else, want \"sha256:\" and 64"), "{told}");
    let (before, _) = shown.split_once("\n[[token]]").expect("tokens are shown last");
    let back = load(before, &[], &Flags::default()).expect("the rest of what is shown can be read");
    assert_eq!(back, Config { token: Vec::new(), ..config.clone() });
    let flat = config.flat();
    for (key, value) in [
        ("http.listen", "127.0.0.1:8086"),
        ("http.max_connections", "1024"),
        ("retention.memory", "2h"),
        ("database[0].naming.string_fields", "a.b"),
        ("token[0].hash", "<hidden>"),
        ("token[0].rights", "read"),
    ] {
        assert!(flat.contains(&(key.to_string(), value.to_string())), "{key} = {value} in {flat:?}");
    }
}

#[test]
fn whatever_stands_at_a_key_is_taken_or_named() {
    let keys = Config::default().flat();
    for (key, _) in keys.iter().filter(|(key, _)| !tree::BLOCKS.contains(&&**key)) {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let header = if section.is_empty() { String::new() } else { format!("[{section}]") };
        for odd in [
            "[]",
            "[[1]]",
            "{}",
            "{ x = 1 }",
            "nan",
            "inf",
            "-1",
            "9223372036854775807",
            "1979-05-27",
            "true",
            "''",
            "\"\\u0000\"",
        ] {
            let Err(message) = load(&format!("{header}\n{name} = {odd}"), &[], &Flags::default()) else { continue };
            assert!(
                message.contains(&format!("test.toml:2: {key}: ")) || message.contains("\n  default: "),
                "{key} = {odd}: {message}"
            );
        }
        load(&format!("{header}\n{name} = {{ x = 1 }}"), &[], &Flags::default()).expect_err("a table is no value");
    }
}

#[test]
fn tokens_are_held_to_their_rules() {
    let hash = |text: &str| Token { hash: TokenHash::of(text), ..Token::default() }.to_block();
    let hash =
        |text: &str| hash(text).lines().find(|line| line.starts_with("hash")).map(str::to_string).unwrap_or_default();
    let (a, b) = (hash("a"), hash("b"));
    for (name, text, want) in [
        ("right", format!("[[token]]\nname = 'x'\n{a}\nrights = ['read', 'write']\ndatabases = ['d']"), None),
        (
            "another_key",
            format!("[[token]]\nname = 'x'\n{a}\nrights = ['read']\nright = 'read'"),
            Some("test.toml:5: token[0].right: there is no such key; did you mean rights?"),
        ),
        (
            "no_name",
            format!("[[token]]\n{a}\nrights = ['read']"),
            Some("token[0].name: got \"\", want a name of 1 to 100 bytes without control characters"),
        ),
        (
            "name_twice",
            format!("[[token]]\nname = 'x'\n{a}\nrights = ['read']\n[[token]]\nname = 'x'\n{b}\nrights = ['read']"),
            Some("token[1].name: got `x` a second time, want one block a token"),
        ),
        (
            "hash_twice",
            format!("[[token]]\nname = 'x'\n{a}\nrights = ['read']\n[[token]]\nname = 'y'\n{a}\nrights = ['read']"),
            Some("token[1].hash: got a hash that another block has, want a token of its own"),
        ),
        (
            "no_hash",
            "[[token]]\nname = 'x'\nrights = ['read']".to_string(),
            Some("token[0].hash: got \"\", want the hash that `sealine token NAME --rights read` prints"),
        ),
        (
            "the_token_itself",
            "[[token]]\nname = 'x'\nhash = 'sesame'\nrights = ['read']".to_string(),
            Some(
                "token[0].hash: got something else, want \"sha256:\" and 64 hexadecimal digits, as `sealine token NAME --rights read` prints them",
            ),
        ),
        (
            "no_rights",
            format!("[[token]]\nname = 'x'\n{a}"),
            Some("token[0].rights: got none, want some of \"read\", \"write\" and \"admin\""),
        ),
        (
            "unknown_right",
            format!("[[token]]\nname = 'x'\n{a}\nrights = ['all']"),
            Some("token[0].rights: got `all`, want \"read\" or \"write\" or \"admin\""),
        ),
        (
            "admin_of_one",
            format!("[[token]]\nname = 'x'\n{a}\nrights = ['admin']\ndatabases = ['d']"),
            Some(
                "token[0].databases: got a list, want none with the right \"admin\": what it does is done to all databases",
            ),
        ),
    ] {
        match (load(&text, &[], &Flags::default()), want) {
            (Ok(config), None) => assert!(config.token[0].covers("d") && !config.token[0].covers("e"), "{name}"),
            (got, want) => {
                let got = got.expect_err(name);
                assert!(want.is_some_and(|want| got.contains(want)), "{name}: {got}");
            }
        }
    }
}

#[test]
fn who_may_listen_where() {
    let (_, token) = Token::fresh("x", &[Right::Read], &[]).expect("there are random bits");
    let token = token.to_block();
    for (name, text, good) in [
        ("loopback", "http.listen = '127.0.0.1:0'\nudp.listen = '[::1]:0'\ntcp.listen = '127.1.2.3:0'", true),
        ("loopback in v6 clothes", "http.listen = '[::ffff:127.0.0.1]:0'", true),
        ("off", "udp.listen = ''", true),
        ("localhost", "http.listen = 'localhost:0'\nudp.listen = 'localhost:0'", true),
        ("everywhere", "http.listen = '[::]:0'", false),
        ("everywhere, in short", "http.listen = ':0'", false),
        ("everywhere, in short, in so many words", "http.listen = ':0'\nhttp.open = true", true),
        ("a name, which may be any address", "udp.listen = 'metrics.example:0'", false),
        ("a name, in so many words", "udp.listen = 'metrics.example:0'\nudp.open = true", true),
        ("everywhere, in so many words", "http.listen = '[::]:0'\nhttp.open = true", true),
        ("everywhere, with a token", &format!("http.listen = '[::]:0'\n{token}"), true),
        ("a token is nothing to a datagram", &format!("udp.listen = '[::]:0'\n{token}"), false),
        ("nor to a stream", &format!("tcp.listen = '[::]:0'\n{token}"), false),
        ("one word for one listener", "http.open = true\ntcp.listen = '[::]:0'", false),
        ("a word each", "udp.open = true\nudp.listen = '[::]:0'\ntcp.open = true\ntcp.listen = '[::]:0'", true),
    ] {
        assert_eq!(load(text, &[], &Flags::default()).is_ok(), good, "{name}");
    }
}

//! The InfluxQL statements that are answered, and how their text is read.

use crate::api::error::ApiError;
use std::iter::Peekable;
use std::time::Duration;

/// Statements that one request may carry.
const STATEMENTS_MAX: usize = 100;

/// Characters of a statement that is not answered which the refusal repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// One that is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `SHOW DATABASES`
    ShowDatabases,
    /// `CREATE DATABASE name [WITH …]`
    CreateDatabase { name: String, policy: Policy },
    /// `DROP DATABASE name`
    DropDatabase(String),
    /// `SHOW RETENTION POLICIES [ON database]`
    ShowRetentionPolicies(Option<String>),
    /// `CREATE` or `ALTER RETENTION POLICY name ON database …`; the policy has its name.
    SetRetentionPolicy { database: String, policy: Policy },
    /// `DROP RETENTION POLICY name ON database`
    DropRetentionPolicy { name: String, database: String },
    /// `SHOW MEASUREMENTS [ON database] [LIMIT n] [OFFSET n]`
    ShowMeasurements { database: Option<String>, limit: Option<usize>, offset: usize },
}

/// What a statement says of a retention policy; replication and the duration of shards have no meaning here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub name: Option<String>,
    /// Zero is forever.
    pub duration: Option<Duration>,
    /// Whether lines that name no policy should have this one.
    pub is_default: bool,
}

/// Reads the statements of a query.
pub fn parse(text: &str) -> Result<Vec<Statement>, ApiError> {
    let statements: Vec<&str> = split(text).into_iter().filter(|statement| !statement.is_empty()).collect();
    if statements.is_empty() {
        return Err(ApiError::bad_data("missing required parameter \"q\""));
    }
    if statements.len() > STATEMENTS_MAX {
        let what = format!("got {} statements, want {STATEMENTS_MAX} at most", statements.len());
        return Err(ApiError::bad_data(what));
    }
    statements.into_iter().map(parse_statement).collect()
}

/// The statements between semicolons, but for those in quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut statements, mut start) = (Vec::new(), 0);
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') => {
                statements.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    statements.push(text[start..].trim());
    statements
}

fn parse_statement(text: &str) -> Result<Statement, ApiError> {
    words(text).and_then(|words| Reader(words.into_iter().peekable()).statement()).ok_or_else(|| {
        let statement: String = text.chars().take(QUOTED_CHARS_MAX).collect();
        ApiError::bad_data(format!(
            "error parsing query: {statement:?} is not answered here: of InfluxQL, writers get CREATE, DROP and SHOW of \
             databases and retention policies, and SHOW MEASUREMENTS; data is read by PromQL at /api/v1/query"
        ))
    })
}

/// A word of a statement.
#[derive(Debug, PartialEq)]
enum Word {
    /// As it stands; a keyword or a name.
    Bare(String),
    /// What stood in double quotes; a name.
    Quoted(String),
}

/// The words of a statement; `None` where it has something else.
fn words(text: &str) -> Option<Vec<Word>> {
    let (mut words, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if c != '"' {
            word.push(c);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
            if word.contains(['"', '\'']) {
                return None;
            }
            words.push(Word::Bare(word));
            continue;
        }
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => word.push(chars.next()?),
                c => word.push(c),
            }
        }
        words.push(Word::Quoted(word));
    }
    Some(words)
}

/// Reads a statement word by word; `None` anywhere says that it is not one that is supported.
struct Reader<I: Iterator<Item = Word>>(Peekable<I>);

impl<I: Iterator<Item = Word>> Reader<I> {
    fn statement(mut self) -> Option<Statement> {
        let statement = match self.keyword()?.as_str() {
            "SHOW" => self.show()?,
            "CREATE" => match self.keyword()?.as_str() {
                "DATABASE" => Statement::CreateDatabase { name: self.name()?, policy: self.with_policy()? },
                "RETENTION" => self.set_policy()?,
                _ => return None,
            },
            "ALTER" if self.takes("RETENTION") => self.set_policy()?,
            "DROP" => match self.keyword()?.as_str() {
                "DATABASE" => Statement::DropDatabase(self.name()?),
                "RETENTION" => {
                    let (name, database) = self.policy_on()?;
                    Statement::DropRetentionPolicy { name, database }
                }
                _ => return None,
            },
            _ => return None,
        };
        self.0.next().is_none().then_some(statement)
    }

    fn show(&mut self) -> Option<Statement> {
        match self.keyword()?.as_str() {
            "DATABASES" => Some(Statement::ShowDatabases),
            "RETENTION" if self.takes("POLICIES") => Some(Statement::ShowRetentionPolicies(self.on()?)),
            "MEASUREMENTS" => {
                let database = self.on()?;
                let limit = if self.takes("LIMIT") { Some(self.number()?) } else { None };
                let offset = if self.takes("OFFSET") { self.number()? } else { 0 };
                // Zero sets no limit, as in InfluxDB.
                Some(Statement::ShowMeasurements { database, limit: limit.filter(|limit| *limit > 0), offset })
            }
            _ => None,
        }
    }

    /// `POLICY name ON database` and what it should be.
    fn set_policy(&mut self) -> Option<Statement> {
        let (name, database) = self.policy_on()?;
        let policy = Policy { name: Some(name), ..self.policy()? };
        Some(Statement::SetRetentionPolicy { database, policy })
    }

    fn policy_on(&mut self) -> Option<(String, String)> {
        let name = self.takes("POLICY").then(|| self.name())??;
        Some((name, self.on()??))
    }

    fn with_policy(&mut self) -> Option<Policy> {
        if self.takes("WITH") { self.policy() } else { Some(Policy::default()) }
    }

    /// One or more clauses of a policy, in any order.
    fn policy(&mut self) -> Option<Policy> {
        let mut policy = Policy::default();
        loop {
            match self.keyword()?.as_str() {
                "DURATION" => policy.duration = Some(self.duration()?),
                "SHARD" => drop(self.takes("DURATION").then(|| self.duration())??),
                "REPLICATION" => drop(self.number()?),
                "NAME" => (policy.name, policy.is_default) = (Some(self.name()?), true),
                "DEFAULT" => policy.is_default = true,
                _ => return None,
            }
            if self.0.peek().is_none() {
                return Some(policy);
            }
        }
    }

    /// A name behind `ON`; the inner `None` where there is no `ON`.
    fn on(&mut self) -> Option<Option<String>> {
        if self.takes("ON") { self.name().map(Some) } else { Some(None) }
    }

    /// The next word in capitals, if it is not in quotes.
    fn keyword(&mut self) -> Option<String> {
        match self.0.next()? {
            Word::Bare(word) => Some(word.to_ascii_uppercase()),
            Word::Quoted(_) => None,
        }
    }

    /// Takes the next word if it is this keyword.
    fn takes(&mut self, keyword: &str) -> bool {
        self.0.next_if(|word| matches!(word, Word::Bare(word) if word.eq_ignore_ascii_case(keyword))).is_some()
    }

    fn name(&mut self) -> Option<String> {
        match self.0.next()? {
            Word::Bare(name) | Word::Quoted(name) => (!name.is_empty()).then_some(name),
        }
    }

    fn number(&mut self) -> Option<usize> {
        self.keyword()?.parse().ok()
    }

    fn duration(&mut self) -> Option<Duration> {
        match self.0.next()? {
            Word::Bare(text) => parse_duration(&text),
            Word::Quoted(_) => None,
        }
    }
}

/// `INF` or zero, which are forever, or numbers with units: `90d`, `1h30m`.
fn parse_duration(text: &str) -> Option<Duration> {
    if text.eq_ignore_ascii_case("inf") {
        return Some(Duration::ZERO);
    }
    let (mut sum, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => Duration::from_nanos(1),
            "u" | "\u{b5}" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            "w" => Duration::from_secs(7 * 86_400),
            _ => return None,
        };
        sum = sum.checked_add(unit.checked_mul(number.try_into().ok()?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(name: &str) -> Statement {
        Statement::CreateDatabase { name: name.to_string(), policy: Policy::default() }
    }

    fn policy(name: Option<&str>, duration: Option<u64>, is_default: bool) -> Policy {
        Policy { name: name.map(str::to_string), duration: duration.map(Duration::from_secs), is_default }
    }

    #[test]
    fn the_statements_of_writers_are_understood() {
        let set = |database: &str, policy| Statement::SetRetentionPolicy { database: database.to_string(), policy };
        let measurements = |database: Option<&str>, limit, offset| Statement::ShowMeasurements {
            database: database.map(str::to_string),
            limit,
            offset,
        };
        for (text, want) in [
            ("SHOW DATABASES", vec![Statement::ShowDatabases]),
            ("show  databases ;", vec![Statement::ShowDatabases]),
            (r#"CREATE DATABASE "telegraf""#, vec![create("telegraf")]),
            ("create database k6", vec![create("k6")]),
            ("CREATE DATABASE a; SHOW DATABASES", vec![create("a"), Statement::ShowDatabases]),
            (r#"CREATE DATABASE "a;b""#, vec![create("a;b")]),
            (
                r#"CREATE DATABASE "a \"b" WITH DURATION 3d REPLICATION 1 SHARD DURATION 1h NAME "x""#,
                vec![Statement::CreateDatabase {
                    name: "a \"b".to_string(),
                    policy: policy(Some("x"), Some(3 * 86_400), true),
                }],
            ),
            ("DROP DATABASE a", vec![Statement::DropDatabase("a".to_string())]),
            ("SHOW RETENTION POLICIES", vec![Statement::ShowRetentionPolicies(None)]),
            (r#"SHOW RETENTION POLICIES ON "d""#, vec![Statement::ShowRetentionPolicies(Some("d".to_string()))]),
            (
                r#"CREATE RETENTION POLICY "w" ON "d" DURATION 1w REPLICATION 1 DEFAULT"#,
                vec![set("d", policy(Some("w"), Some(7 * 86_400), true))],
            ),
            ("ALTER RETENTION POLICY w ON d DURATION INF", vec![set("d", policy(Some("w"), Some(0), false))]),
            (
                "DROP RETENTION POLICY w ON d",
                vec![Statement::DropRetentionPolicy { name: "w".to_string(), database: "d".to_string() }],
            ),
            ("SHOW MEASUREMENTS", vec![measurements(None, None, 0)]),
            ("SHOW MEASUREMENTS ON d LIMIT 10 OFFSET 5", vec![measurements(Some("d"), Some(10), 5)]),
            ("SHOW MEASUREMENTS LIMIT 0", vec![measurements(None, None, 0)]),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_statements_are_refused_with_a_way_out() {
        for text in [
            "SELECT * FROM cpu",
            "SHOW DATABASES LIKE x",
            "SHOW MEASUREMENTS WITH MEASUREMENT = cpu",
            "SHOW MEASUREMENTS LIMIT many",
            "CREATE DATABASE",
            r#"CREATE DATABASE "open"#,
            r#"CREATE DATABASE """#,
            "CREATE DATABASE 'a'",
            "CREATE DATABASE a b",
            "CREATE DATABASE a WITH",
            "CREATE DATABASE a WITH DURATION soon",
            "CREATE RETENTION POLICY w DURATION 1d REPLICATION 1",
            "CREATE RETENTION POLICY w ON d",
            "DROP MEASUREMENT a",
            "SHOW DATABASES; DROP MEASUREMENT a",
            "\"SHOW\" DATABASES",
        ] {
            let error = parse(text).unwrap_err().message;
            assert!(error.contains("is not answered here: of InfluxQL,"), "{text}: {error}");
        }
        assert_eq!(parse(" ; ").unwrap_err().message, "missing required parameter \"q\"");
        assert_eq!(parse(&"SHOW DATABASES;".repeat(101)).unwrap_err().message, "got 101 statements, want 100 at most");
    }

    #[test]
    fn durations_are_read_as_influxdb_reads_them() {
        let second = Duration::from_secs;
        for (text, want) in [
            ("INF", Some(Duration::ZERO)),
            ("inf", Some(Duration::ZERO)),
            ("0s", Some(Duration::ZERO)),
            ("1h30m", Some(second(5400))),
            ("2w", Some(second(14 * 86_400))),
            ("1500ms", Some(Duration::from_millis(1500))),
            ("10µ", Some(Duration::from_micros(10))),
            ("", None),
            ("10", None),
            ("d", None),
            ("1y", None),
            ("99999999999999999999w", None),
            ("9999999999w", None),
        ] {
            assert_eq!(parse_duration(text), want, "{text}");
        }
    }
}

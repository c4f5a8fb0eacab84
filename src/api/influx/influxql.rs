//! `/query`: the statements by which writers make sure of their database. Data is read by PromQL.

use super::dialect::Dialect;
use super::statement::{Policy, Statement, parse};
use super::write::with_policy;
use crate::api::answer::Cancel;
use crate::api::args::TIME_MS_MAX;
use crate::api::auth::Grant;
use crate::api::backend::Scope;
use crate::api::error::ApiError;
use crate::api::reply::Reply;
use crate::api::time_limit::TimeLimit;
use crate::api::{Api, Backend, Call};
use crate::config::duration;
use hyper::StatusCode;
use sealine_model::METRIC_NAME;
use serde_json::{Value, json};
use std::time::Duration;

/// The policy that a database has by itself. Another one is a database of its own, `database/policy`.
const POLICY: &str = "autogen";

/// Partitions hold a day, whatever a statement says.
const SHARD: Duration = Duration::from_secs(86_400);

/// `/query`
pub async fn query(call: Call) -> Reply {
    let answer = async {
        let grant = call.grant.clone();
        let (api, params) = call.params().await?;
        let statements = parse(params.first("q"))?;
        let database = params.given("db").map(str::to_string);
        let results = api.page(move |api| run(api, &grant, statements, database.as_deref())).await?;
        Ok(Reply::json_value(StatusCode::OK, &json!({ "results": results })))
    };
    answer.await.unwrap_or_else(|error: ApiError| Dialect::V1.refuse(error.kind.status(), &error.message))
}

/// Runs statements in order, up to the first that may not be run. What InfluxDB would find out only when it runs a
/// statement is told in that statement's result, as it does.
fn run(api: &Api, grant: &Grant, statements: Vec<Statement>, database: Option<&str>) -> Result<Vec<Value>, ApiError> {
    let asking = Asking { api, backend: &*api.backend, grant, database };
    let results = statements.into_iter().enumerate().map(|(id, statement)| {
        let mut result = match asking.run(statement)? {
            Outcome::Done => json!({}),
            Outcome::Rows { name, columns, values } => {
                // InfluxDB leaves out what is empty.
                let mut series = json!({ "columns": columns });
                if !name.is_empty() {
                    series["name"] = name.into();
                }
                if !values.is_empty() {
                    series["values"] = values.into();
                }
                json!({ "series": [series] })
            }
            Outcome::Warning(text) => json!({ "messages": [{ "level": "warning", "text": text }] }),
            Outcome::Error(what) => json!({ "error": what }),
        };
        result["statement_id"] = id.into();
        Ok(result)
    });
    results.collect()
}

/// What a statement comes to.
enum Outcome {
    Done,
    Rows {
        name: &'static str,
        columns: &'static [&'static str],
        values: Vec<Value>,
    },
    /// It was taken, but not all that it says holds.
    Warning(String),
    /// It was not done.
    Error(String),
}

/// Who asks, of what.
struct Asking<'a> {
    api: &'a Api,
    backend: &'a dyn Backend,
    grant: &'a Grant,
    /// The parameter `db`.
    database: Option<&'a str>,
}

impl Asking<'_> {
    fn run(&self, statement: Statement) -> Result<Outcome, ApiError> {
        match statement {
            Statement::ShowDatabases => {
                let names = self.backend.databases().into_iter().filter(|name| self.grant.sees(name));
                let values = names.map(|name| json!([name])).collect();
                Ok(Outcome::Rows { name: "databases", columns: &["name"], values })
            }
            Statement::CreateDatabase { name, policy } => {
                self.grant.write(&name)?;
                if let Some(wanted) = policy.duration.filter(|wanted| *wanted != self.backend.retention(&name)) {
                    return Err(ApiError::bad_data(format!(
                        "error parsing query: a database cannot be made WITH DURATION {} yet: {}; leave DURATION out",
                        in_words(wanted),
                        self.kept(&name)
                    )));
                }
                self.backend.create_database(&name)?;
                self.set_policy(&name, &Policy { duration: None, ..policy })
            }
            Statement::DropDatabase(name) => {
                self.grant.write(&name)?;
                if !self.exists(&name) {
                    return Ok(Outcome::Done);
                }
                Ok(Outcome::Error(format!(
                    "database {name:?} is not dropped: that cannot be done yet; retention.disk in a [[database]] block of \
                     the configuration lets old samples go"
                )))
            }
            Statement::ShowRetentionPolicies(database) => {
                let Some(database) = database.as_deref().or(self.database) else { return Ok(database_required()) };
                if !self.exists(database) || !self.grant.sees(database) {
                    return Ok(not_found(database));
                }
                let row = |policy: &str, of: &str| {
                    let keeps = go_duration(self.backend.retention(of));
                    json!([policy, keeps, go_duration(SHARD), 1, of == database])
                };
                let mut values = vec![row(POLICY, database)];
                for name in self.backend.databases().iter().filter(|name| self.grant.sees(name)) {
                    let policy = name.strip_prefix(database).and_then(|rest| rest.strip_prefix('/'));
                    values.extend(policy.map(|policy| row(policy, name)));
                }
                let columns = &["name", "duration", "shardGroupDuration", "replicaN", "default"];
                Ok(Outcome::Rows { name: "", columns, values })
            }
            Statement::SetRetentionPolicy { database, policy } => {
                self.grant.write(&database)?;
                if !self.exists(&database) {
                    return Ok(not_found(&database));
                }
                self.set_policy(&database, &policy)
            }
            Statement::DropRetentionPolicy { name, database } => {
                let place = with_policy(&database, &name);
                self.grant.write(&place)?;
                if !self.exists(&database) {
                    return Ok(not_found(&database));
                }
                match self.exists(&place) {
                    true => {
                        Ok(Outcome::Error(format!("retention policy {name:?} is not dropped: that cannot be done yet")))
                    }
                    false => Ok(Outcome::Done),
                }
            }
            Statement::ShowMeasurements { database, limit, offset } => {
                let Some(database) = database.as_deref().or(self.database) else { return Ok(database_required()) };
                let databases = self.grant.databases(Some(database))?;
                let names = self.backend.label_values(METRIC_NAME, &self.everything(databases))?.results;
                let names = names.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX));
                let values: Vec<Value> = names.map(|name| json!([name])).collect();
                if values.is_empty() {
                    return Ok(Outcome::Done);
                }
                Ok(Outcome::Rows { name: "measurements", columns: &["name"], values })
            }
        }
    }

    fn exists(&self, database: &str) -> bool {
        self.backend.databases().iter().any(|name| name == database)
    }

    fn everything(&self, databases: Option<Vec<String>>) -> Scope {
        Scope {
            selectors: Vec::new(),
            start_ms: -TIME_MS_MAX,
            end_ms: TIME_MS_MAX,
            limit: None,
            databases,
            deadline: TimeLimit::of_look_up(self.api.rules().options.labels_timeout).deadline().into_std(),
            cancel: Cancel::default(),
        }
    }

    /// Makes the database that a policy of `database` is, and says what of the policy does not hold.
    fn set_policy(&self, database: &str, policy: &Policy) -> Result<Outcome, ApiError> {
        let name = policy.name.as_deref().unwrap_or(POLICY);
        let place = with_policy(database, name);
        self.grant.write(&place)?;
        self.backend.create_database(&place)?;
        let mut not_held = Vec::new();
        if let Some(wanted) = policy.duration.filter(|wanted| *wanted != self.backend.retention(&place)) {
            not_held.push(format!("its duration, {}, does not hold yet: {}", in_words(wanted), self.kept(&place)));
        }
        if policy.is_default && place != database {
            not_held.push(format!("it is not the default: lines that name no policy go to the database {database:?}"));
        }
        if not_held.is_empty() {
            return Ok(Outcome::Done);
        }
        Ok(Outcome::Warning(format!("retention policy {name:?} is the database {place:?}; {}", not_held.join("; "))))
    }

    fn kept(&self, database: &str) -> String {
        let kept = in_words(self.backend.retention(database));
        format!("how long samples stay is retention.disk in the configuration, which is {kept}")
    }
}

fn not_found(database: &str) -> Outcome {
    Outcome::Error(format!("database not found: {database}"))
}

fn database_required() -> Outcome {
    Outcome::Error("database name required".to_string())
}

fn in_words(duration: Duration) -> String {
    if duration.is_zero() { "for ever".to_string() } else { duration::format(duration) }
}

/// As Go writes whole seconds, and InfluxDB with it.
fn go_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "0s".to_string(),
        seconds => format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

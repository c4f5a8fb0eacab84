//! What clients of InfluxDB 2 ask before they write. A bucket is a database. There are no organizations: any name and any
//! number is taken for one that exists.

use super::dialect::Dialect;
use crate::api::auth::Grant;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::api::reply::Reply;
use crate::api::{Backend, Call};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use xxhash_rust::xxh64::xxh64;

/// What an organization is called that a client knows by its number alone.
const ORGANIZATION: &str = "sealine";

/// Partitions hold a day.
const SHARD_S: u64 = 86_400;

/// `GET /api/v2/orgs`
pub async fn organizations(call: Call) -> Reply {
    let params = call.address;
    let orgs = json!([Organization::of(&params).json()]);
    Reply::json_value(StatusCode::OK, &json!({ "links": { "self": "/api/v2/orgs" }, "orgs": orgs }))
}

/// `GET /api/v2/orgs/<id>`
pub async fn organization(call: Call) -> Reply {
    let org = Organization { id: call.wildcard, name: ORGANIZATION.to_string() };
    Reply::json_value(StatusCode::OK, &org.json())
}

/// `/api/v2/buckets`: lists by GET, makes one by POST.
pub async fn buckets(call: Call) -> Reply {
    if call.head.method == Method::POST { create_bucket(call).await } else { list_buckets(call).await }
}

async fn list_buckets(call: Call) -> Reply {
    let params = call.address;
    let grant = call.grant.clone();
    let found = call.api.page(move |api| list(&*api.backend, &grant, &params)).await;
    answer(StatusCode::OK, found.map(|buckets| json!({ "links": { "self": "/api/v2/buckets" }, "buckets": buckets })))
}

/// `GET /api/v2/buckets/<id>`
pub async fn bucket(call: Call) -> Reply {
    let (params, id, grant) = (call.address, call.wildcard, call.grant);
    let found = call.api.page(move |api| {
        let names = api.backend.databases().into_iter().filter(|name| grant.sees(name));
        let name = names.into_iter().find(|name| number(name) == id);
        let retention = |name: &String| api.backend.retention(name);
        Ok(name.map(|name| bucket_json(&name, &Organization::of(&params), retention(&name))))
    });
    match found.await {
        Ok(None) => Dialect::V2.refuse(StatusCode::NOT_FOUND, "bucket not found"),
        found => answer(StatusCode::OK, found.map(Option::unwrap_or_default)),
    }
}

/// What `POST /api/v2/buckets` brings; other members have no meaning here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewBucket {
    name: String,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    #[serde(default)]
    retention_rules: Vec<RetentionRule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionRule {
    #[serde(default)]
    every_seconds: u64,
}

async fn create_bucket(call: Call) -> Reply {
    let grant = call.grant.clone();
    let made = async {
        let (api, new) = call.json::<NewBucket>().await?;
        api.page(move |api| create(&*api.backend, &grant, &new)).await
    };
    match made.await {
        Ok(Some(bucket)) => Reply::json_value(StatusCode::CREATED, &bucket),
        Ok(None) => {
            let what = "a bucket with this name exists already";
            Dialect::V2.refuse_with(StatusCode::UNPROCESSABLE_ENTITY, what, json!({ "code": "conflict" }))
        }
        Err(error) => Dialect::V2.refuse(error.kind.status(), &error.message),
    }
}

/// `None` where there is one of this name.
fn create(backend: &dyn Backend, grant: &Grant, new: &NewBucket) -> Result<Option<Value>, ApiError> {
    grant.write(&new.name)?;
    if backend.databases().contains(&new.name) {
        return Ok(None);
    }
    let kept = backend.retention(&new.name);
    let wanted = Duration::from_secs(new.retention_rules.first().map_or(0, |rule| rule.every_seconds));
    if !wanted.is_zero() && wanted != kept {
        return Err(ApiError::bad_data(format!(
            "a bucket cannot be made with a retention of {} s yet: how long samples stay is retention.disk in the \
             configuration, which is {} s, where 0 is for ever; leave retentionRules empty",
            wanted.as_secs(),
            kept.as_secs()
        )));
    }
    backend.create_database(&new.name)?;
    let id = new.org_id.clone().unwrap_or_else(|| number(ORGANIZATION));
    Ok(Some(bucket_json(&new.name, &Organization { id, name: ORGANIZATION.to_string() }, kept)))
}

/// The buckets that the parameters ask for, by name. There is no limit unless the client sets one.
fn list(backend: &dyn Backend, grant: &Grant, params: &Params) -> Result<Vec<Value>, ApiError> {
    let count = |name: &str| match params.given(name) {
        None => Ok(None),
        Some(text) => {
            let count = text.parse::<usize>();
            count.map(Some).map_err(|_| ApiError::parameter(name, format!("got {text:?}, want a whole number")))
        }
    };
    let (limit, offset) = (count("limit")?, count("offset")?);
    let (name, id) = (params.given("name"), params.given("id"));
    let org = Organization::of(params);
    let mut names = backend.databases();
    names.retain(|database| {
        let fits = name.is_none_or(|name| name == database) && id.is_none_or(|id| id == number(database));
        fits && grant.sees(database)
    });
    // `after` is the bucket that the page before ended with.
    if let Some(after) = params.given("after")
        && let Some(last) = names.iter().position(|name| number(name) == after)
    {
        names.drain(..=last);
    }
    let names = names.iter().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX));
    Ok(names.map(|name| bucket_json(name, &org, backend.retention(name))).collect())
}

struct Organization {
    id: String,
    name: String,
}

impl Organization {
    /// The one that `org` or `orgID` ask for.
    fn of(params: &Params) -> Self {
        let name = params.given("org").unwrap_or(ORGANIZATION).to_string();
        let id = params.given("orgID").map_or_else(|| number(&name), str::to_string);
        Organization { id, name }
    }

    fn json(&self) -> Value {
        let Organization { id, name } = self;
        let links = json!({ "self": format!("/api/v2/orgs/{id}"), "buckets": format!("/api/v2/buckets?orgID={id}") });
        json!({ "links": links, "id": id, "name": name, "description": "any organization is taken for one that exists" })
    }
}

fn bucket_json(name: &str, org: &Organization, keeps: Duration) -> Value {
    let id = number(name);
    let rule = json!({
        "type": "expire", "everySeconds": keeps.as_secs(), "shardGroupDurationSeconds": SHARD_S,
    });
    json!({
        "links": { "self": format!("/api/v2/buckets/{id}"), "org": format!("/api/v2/orgs/{}", org.id) },
        "id": id,
        "orgID": org.id,
        "type": "user",
        "name": name,
        "retentionRules": [rule],
        "labels": [],
    })
}

/// The number of a bucket or an organization: always the same for a name.
fn number(name: &str) -> String {
    format!("{:016x}", xxh64(name.as_bytes(), 0))
}

fn answer(status: StatusCode, found: Result<Value, ApiError>) -> Reply {
    match found {
        Ok(value) => Reply::json_value(status, &value),
        Err(error) => Dialect::V2.refuse(error.kind.status(), &error.message),
    }
}

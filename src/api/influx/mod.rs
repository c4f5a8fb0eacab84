//! What clients of InfluxDB 1, 2 and 3 need: the doors through which they write, and what they ask before they do.
//! docs/influxdb.md says which of it is answered, and how.

mod buckets;
mod dialect;
mod influxql;
mod probes;
mod statement;
mod write;

pub use buckets::{bucket, buckets, organization, organizations};
pub use dialect::{Dialect, PREFIX};
pub use influxql::query;
pub use probes::{health, ping, ready};
pub use write::{WriteTarget, write_v1, write_v2, write_v3};

use super::reply::Reply;
use hyper::header::{HeaderName, HeaderValue};

/// The InfluxDB release whose write API this one follows. Clients decide by it what they may send.
const INFLUXDB_VERSION: &str = "1.8.10";

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-influxdb-version");
const BUILD_HEADER: HeaderName = HeaderName::from_static("x-influxdb-build");

/// The answer to any path of InfluxDB says which release to take this for.
pub fn with_version(reply: Reply) -> Reply {
    reply
        .with(VERSION_HEADER, HeaderValue::from_static(INFLUXDB_VERSION))
        .with(BUILD_HEADER, HeaderValue::from_static("OSS"))
}

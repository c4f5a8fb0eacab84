//! The HTTP side: what Telegraf, Grafana, promtool and people with curl talk to.
//!
//! The road of a request: `server` (sockets, limits) -> `requests` (heads, before hyper reads them) -> `routes` (the one
//! table) -> `auth` (who may) -> a handler in `query`, `labels`, `status`, `influx` or `admin` -> `gate` (so many at a time)
//! -> `backend` (the engine and the store, on threads that may block) -> `json` and `reply`. Queries and look-ups are on a
//! list (`active`) from their arrival to their end.

mod active;
mod admin;
mod answer;
mod args;
mod auth;
mod backend;
mod caller;
mod drain;
mod error;
mod framing;
mod gate;
mod handshake;
mod head;
pub mod influx;
mod json;
mod labels;
mod observe;
mod params;
mod query;
mod reply;
mod requests;
mod routes;
mod selector;
mod server;
mod slow;
mod stats;
mod status;
mod time_limit;
mod timed_socket;

#[cfg(test)]
mod tests;

// How the parameters of a request are read: all that comes before the backend is asked, for whoever wants to try it alone.
pub use args::{parse_duration, parse_limit, parse_time, unescape_label_name};
pub use params::{FormLimits, Params};
pub use query::parse_range;
pub use selector::selectors;

pub use answer::{Cancel, Point, QueryAnswer, QueryRequest, QueryStats, Series, TimeRange, Value};
pub use backend::{Backend, Found, Metadata, NamedCount, Readiness, RuntimeInfo, Scope, TsdbStatus};
pub use error::{ApiError, ErrorKind};
pub use observe::{Observer, Stage, Unobserved};
pub use reply::Reply;
pub use server::{Server, ServerLimits};

use crate::config::Token;
use crate::inlet::HttpInlet;
use active::{Active, ActiveQueries, Asked};
use arc_swap::ArcSwap;
use auth::{Grant, Tokens};
use caller::Caller;
use drain::Lent;
use gate::Gate;
use hyper::http::request::Parts;
use sealine_base::clock::SystemClock;
use sealine_base::pools::{Pool, Pools};
use sealine_telemetry::notices::Notices;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A body of JSON may have this many bytes: those that are taken name an organisation or a bucket.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Status pages that may be made at once, so that queries cannot keep them waiting, nor they the queries.
const PAGES_MAX: usize = 4;

/// Admin actions run one after the other.
const ACTIONS_MAX: usize = 1;

/// How the API behaves. All of it may change while it runs, but for the places at the gate: `query_concurrency` and
/// `queue_timeout` are those of the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest that a query may take; a request's `timeout` only shortens it.
    pub query_timeout: Duration,
    /// The longest that a look-up of series, labels or values may take.
    pub labels_timeout: Duration,
    /// The most results of such a look-up, whatever its `limit` says; zero sets no limit.
    pub look_up_results_max: usize,
    /// Bytes that the text of a query may have, and the selectors of a look-up together.
    pub text_bytes_max: usize,
    /// Steps of automata that the regular expressions of a selector may need.
    pub regex_steps_max: u64,
    /// Queries and look-ups that take at least this long are logged; zero logs none.
    pub slow: Duration,
    /// Queries and label look-ups that run at once.
    pub query_concurrency: usize,
    /// The longest that one of them waits for its turn.
    pub queue_timeout: Duration,
    /// Points that a range query may have per series.
    pub points_max: u32,
    /// The longest that the body of a form may take to arrive.
    pub body_timeout: Duration,
    /// Who may do what. Without any, everybody may read and write, and clients on this machine may use /admin.
    pub tokens: Vec<Token>,
    /// Whether `/metrics` needs no token where there are some.
    pub open_metrics: bool,
    /// The origin whose pages may read answers: `*` for all, empty for none.
    pub cors_origin: String,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: fn() -> i64,
}

/// What [`Options`] come to.
struct Rules {
    options: Options,
    tokens: Tokens,
}

impl Rules {
    fn new(mut options: Options) -> Self {
        Rules { tokens: Tokens::new(std::mem::take(&mut options.tokens)), options }
    }
}

/// The state that all requests share.
pub struct Api {
    backend: Arc<dyn Backend>,
    observer: Arc<dyn Observer>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    inlet: Option<HttpInlet>,
    /// Logs requests that are refused.
    notices: Notices,
    /// Where what forms hold is counted.
    pools: Arc<Pools>,
    /// What requests go by: each looks once for each thing that it needs.
    rules: ArcSwap<Rules>,
    now_ms: fn() -> i64,
    started_ms: i64,
    active: Arc<ActiveQueries>,
    queries: Gate,
    pages: Gate,
    actions: Gate,
}

impl Api {
    /// An API in front of `backend`; `metrics` gives the text behind /metrics.
    pub fn new(
        backend: Arc<dyn Backend>,
        observer: Arc<dyn Observer>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
        options: Options,
    ) -> Self {
        let queue = options.queue_timeout;
        Api {
            active: ActiveQueries::new(Arc::clone(&observer)),
            backend,
            observer,
            metrics: Box::new(metrics),
            inlet: None,
            notices: Notices::new(SystemClock::shared()),
            pools: Arc::default(),
            now_ms: options.now_ms,
            started_ms: (options.now_ms)(),
            queries: Gate::new("query", options.query_concurrency, queue).set_by("query.concurrency"),
            pages: Gate::new("page", PAGES_MAX, queue),
            actions: Gate::new("action", ACTIONS_MAX, queue),
            rules: ArcSwap::from_pointee(Rules::new(options)),
        }
    }

    /// With a place for the lines of `/write` to go: without one, they are refused.
    pub fn with_inlet(self, inlet: HttpInlet) -> Self {
        Api { notices: inlet.notices().clone(), inlet: Some(inlet), ..self }
    }

    /// Has what forms hold counted in these pools, and large ones refused where they are full.
    pub fn with_pools(self, pools: Arc<Pools>) -> Self {
        Api { pools, ..self }
    }

    /// With threads of their own for queries and look-ups.
    pub fn with_query_threads(self, threads: Handle) -> Self {
        Api { queries: self.queries.on(threads), ..self }
    }

    /// The queries and look-ups that have run for at least so long, a JSON object a line.
    pub fn long_running(&self, least: Duration) -> String {
        self.active.long_running(least)
    }

    /// Goes by these options from now on; requests under way may end by those before.
    pub fn set_options(&self, options: Options) {
        self.rules.store(Arc::new(Rules::new(options)));
    }

    /// What requests go by.
    fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Makes a status page on a thread where that may block.
    async fn page<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let api = Arc::clone(self);
        self.pages.run(None, Cancel::default(), move |_| work(&api)).await
    }

    /// Runs an admin action, after those before it, on a thread where it may block.
    async fn action<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let api = Arc::clone(self);
        self.actions.run(None, Cancel::default(), move |_| work(&api)).await
    }
}

/// A request on its way to its handler.
pub struct Call {
    /// The state that all requests share.
    pub api: Arc<Api>,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// What it may do.
    pub grant: Grant,
    /// Method, address, headers.
    pub head: Parts,
    /// The parameters of the address.
    pub address: Params,
    /// The body, not read yet.
    pub body: Lent,
    /// The route in the table.
    pub route: &'static str,
    /// What stands in the address where the route has its `*`, still percent-encoded.
    pub wildcard: String,
}

impl Call {
    /// The state and the parameters: those of a form in the body first, those of the address after them.
    async fn params(self) -> Result<(Arc<Api>, Params), ApiError> {
        let params = match self.head.method {
            hyper::Method::POST => {
                let options = &self.api.rules().options;
                let limits = FormLimits::for_texts(options.text_bytes_max, options.body_timeout);
                Params::of_form(&self.head.headers, self.body, limits, &self.api.pools).await?.and(self.address)
            }
            _ => self.address,
        };
        Ok((self.api, params))
    }

    /// The state and the JSON in the body. The content type is not looked at.
    async fn json<T: DeserializeOwned>(self) -> Result<(Arc<Api>, T), ApiError> {
        let limits = FormLimits { bytes_max: JSON_BYTES_MAX, time_max: self.api.rules().options.body_timeout };
        let mut held = self.api.pools.lease(Pool::Buffers);
        let body = params::read_body(self.body, "JSON", limits, &mut held).await?;
        let value = serde_json::from_slice(&body);
        let value = value.map_err(|error| ApiError::bad_data(format!("the body is not the expected JSON: {error}")))?;
        Ok((self.api, value))
    }

    /// As [`Call::params`], of a query: narrows it to the databases that it asks for and may read, and puts it on the
    /// list of those under way.
    async fn query(self) -> Result<Inquiry, ApiError> {
        let caller = Caller::new(self.peer, &self.head.headers);
        let (route, path) = (self.route, self.head.uri.path().to_string());
        let grant = self.grant.clone();
        let (api, params) = self.params().await?;
        let databases = grant.databases(params.given("db"))?;
        let text = match params.given("query") {
            Some(text) => text.to_string(),
            None => params.all("match[]").collect::<Vec<_>>().join(" or "),
        };
        let given = |name| params.given(name).map(|time| (name, time.to_string()));
        let times = ["time", "start", "end", "step"].into_iter().filter_map(given).collect();
        let (asked, slow) = (Asked { route, path, text, times }, api.rules().options.slow);
        let active = api.active.arrived(asked, caller, (api.now_ms)(), slow);
        Ok(Inquiry { api, params, active, databases })
    }
}

/// A query or look-up that was let in.
struct Inquiry {
    api: Arc<Api>,
    params: Params,
    active: Arc<Active>,
    /// What it reads; `None` stands for all.
    databases: Option<Vec<String>>,
}

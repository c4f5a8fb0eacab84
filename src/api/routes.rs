//! The one table of routes, and the way from a request to its handler and back.

use super::auth::Need;
use super::drain::{CLIENT_BYTES_MAX, Lent, STRANGER_BYTES_MAX, lend};
use super::error::{ApiError, ErrorKind};
use super::head::BadHead;
use super::influx::Dialect;
use super::params::Params;
use super::reply::{Reply, accepts_gzip};
use super::{Api, Call, admin, influx, labels, query, status};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use sealine_telemetry::notices::{Notice, NoticeKind, excerpt};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// The page that `http.open_metrics` opens.
const METRICS: &str = "/metrics";

/// Bytes of a method that a message repeats.
const METHOD_BYTES_MAX: usize = 20;

/// The API that a path belongs to; decides the form of errors and what is asked of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Prometheus,
    Influx,
    Admin,
    Page,
}

/// The methods that a route takes. HEAD goes with GET; OPTIONS is answered for all but admin routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Methods {
    Get,
    Post,
    GetPost,
}

impl Methods {
    fn take(self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => self != Methods::Post,
            Method::POST => self != Methods::Get,
            _ => false,
        }
    }

    /// What `Allow` says.
    fn list(self) -> &'static str {
        match self {
            Methods::Get => "GET, HEAD, OPTIONS",
            Methods::Post => "OPTIONS, POST",
            Methods::GetPost => "GET, HEAD, OPTIONS, POST",
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;

struct Route {
    methods: Methods,
    /// One segment may be `*`: any text that is not empty.
    path: &'static str,
    family: Family,
    need: Need,
    handler: fn(Call) -> Answering,
}

/// Rows of the table: methods, path, whose it is, what it needs of a token, handler.
macro_rules! routes {
    ($($methods:ident $path:literal $family:ident $need:ident $handler:path;)*) => {
        &[$(Route {
            methods: Methods::$methods,
            path: $path,
            family: Family::$family,
            need: Need::$need,
            handler: |call| Box::pin(async { Reply::from($handler(call).await) }),
        }),*]
    };
}

/// The most frequent first: the table is searched from the top.
static ROUTES: &[Route] = routes! {
    Post    "/write"                        Influx     Write   influx::write_v1;
    Post    "/api/v2/write"                 Influx     Write   influx::write_v2;
    Post    "/api/v3/write_lp"              Influx     Write   influx::write_v3;
    GetPost "/api/v1/query"                 Prometheus Read    query::instant;
    GetPost "/api/v1/query_range"           Prometheus Read    query::range;
    GetPost "/api/v1/series"                Prometheus Read    labels::series;
    GetPost "/api/v1/labels"                Prometheus Read    labels::names;
    Get     "/api/v1/label/*/values"        Prometheus Read    labels::values;
    GetPost "/api/v1/format_query"          Prometheus Read    query::format;
    GetPost "/api/v1/query_exemplars"       Prometheus Read    status::nothing;
    Get     "/api/v1/metadata"              Prometheus ReadAll status::metadata;
    Get     "/api/v1/rules"                 Prometheus Read    status::rules;
    Get     "/api/v1/alerts"                Prometheus Read    status::alerts;
    Get     "/api/v1/targets"               Prometheus Read    status::targets;
    Get     "/api/v1/targets/metadata"      Prometheus Read    status::nothing;
    Get     "/api/v1/alertmanagers"         Prometheus Read    status::alertmanagers;
    Get     "/api/v1/status/buildinfo"      Prometheus Read    status::build_info;
    Get     "/api/v1/status/runtimeinfo"    Prometheus ReadAll status::runtime_info;
    Get     "/api/v1/status/tsdb"           Prometheus ReadAll status::tsdb;
    Get     "/api/v1/status/flags"          Prometheus ReadAll status::flags;
    Get     "/api/v1/status/config"         Prometheus ReadAll status::config;
    Get     "/api/v1/status/walreplay"      Prometheus Read    status::wal_replay;
    Get     "/api/v1/status/active_queries" Prometheus ReadAll status::active_queries;
    Get     "/-/healthy"                    Page       Nothing status::healthy;
    Get     "/-/ready"                      Page       Nothing status::ready;
    Get     "/metrics"                      Page       ReadAll status::metrics;
    Get     "/ping"                         Influx     Nothing influx::ping;
    Get     "/health"                       Influx     Nothing influx::health;
    Get     "/ready"                        Influx     Nothing influx::ready;
    GetPost "/query"                        Influx     Token   influx::query;
    Get     "/api/v2/orgs"                  Influx     Token   influx::organizations;
    Get     "/api/v2/orgs/*"                Influx     Token   influx::organization;
    GetPost "/api/v2/buckets"               Influx     Token   influx::buckets;
    Get     "/api/v2/buckets/*"             Influx     Token   influx::bucket;
    Post    "/admin/seal"                   Admin      Admin   admin::seal;
    Post    "/admin/archive"                Admin      Admin   admin::archive;
    Get     "/admin/status"                 Admin      Admin   admin::status;
    Post    "/-/reload"                     Admin      Admin   admin::reload;
    Get     "/"                             Page       Nothing index;
};

/// The route for a path, and what stands for its `*`.
fn find(path: &str) -> Option<(&'static Route, &str)> {
    let plain = ROUTES.iter().find_map(|route| Some((route, capture(route.path, path)?)));
    plain.or_else(|| {
        let below = path.strip_prefix(influx::PREFIX)?;
        let of_influx = ROUTES.iter().filter(|route| route.family == Family::Influx);
        of_influx.filter_map(|route| Some((route, capture(route.path, below)?))).next()
    })
}

/// What stands for the `*` of `pattern` in `path`; `""` where it has none, `None` where the path does not fit.
fn capture<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == path).then_some(""),
        Some((before, after)) => {
            let segment = path.strip_prefix(before)?.strip_suffix(after)?;
            (!segment.is_empty() && !segment.contains('/')).then_some(segment)
        }
    }
}

/// Answers a request.
pub async fn answer(api: Arc<Api>, peer: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let (body, lender) = lend(&head, body);
    let found = find(head.uri.path());
    let mut seen = Seen::new(&api, found.map_or("unknown", |(route, _)| route.path));
    let gzip = accepts_gzip(&head.headers);
    let family = found.map(|(route, _)| route.family);
    let origin = head.headers.get(header::ORIGIN).filter(|_| family != Some(Family::Admin)).cloned();
    let method = head.method.clone();
    let mut reply = match found {
        None => {
            drop(body);
            nothing_here(head.uri.path())
        }
        Some((route, wildcard)) => {
            let wildcard = wildcard.to_string();
            go(route, wildcard, Arc::clone(&api), peer, head, body).await
        }
    };
    let was_let_in = family.is_some() && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&reply.status);
    lender.read_away(if was_let_in { CLIENT_BYTES_MAX } else { STRANGER_BYTES_MAX }).await;
    if let Some(origin) = origin {
        allow_origin(&mut reply, &api.rules().options.cors_origin, origin);
    }
    tell_of_refusal(&api, peer, &method, seen.route, &reply);
    if reply.status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(route = seen.route, %peer, "cannot answer: {}", String::from_utf8_lossy(&reply.body));
    }
    seen.status = Some(reply.status.as_u16());
    reply.into_response(gzip).await
}

/// Answers a request whose head is refused, in the shape of errors that its path has.
pub async fn refuse_head(api: &Api, peer: SocketAddr, bad: BadHead) -> Response<Full<Bytes>> {
    let found = find(&bad.path).map(|(route, _)| route);
    let mut seen = Seen::new(api, found.map_or("unknown", |route| route.path));
    let family = found.map_or(Family::Prometheus, |route| route.family);
    let mut reply = refuse(family, &bad.path, ApiError::bad_data(bad.what));
    reply.status = bad.status;
    tell_of_refusal(api, peer, &Method::POST, seen.route, &reply); // of writes alone
    seen.status = Some(bad.status.as_u16());
    reply.into_response(false).await
}

/// Checks admission and method, then calls the handler. A browser's OPTIONS carries no token and gets nothing.
async fn go(route: &Route, wildcard: String, api: Arc<Api>, peer: SocketAddr, head: Parts, body: Lent) -> Reply {
    let reply = if head.method == Method::OPTIONS && route.family != Family::Admin {
        Reply::empty(StatusCode::NO_CONTENT).with(header::ALLOW, HeaderValue::from_static(route.methods.list()))
    } else {
        let rules = api.rules();
        let need = if route.path == METRICS && rules.options.open_metrics { Need::Nothing } else { route.need };
        let admit =
            |address: &Params| rules.tokens.admit(need, peer.ip(), &head.headers, address).map_err(ApiError::from);
        match Params::of_uri(&head.uri).and_then(|address| Ok((admit(&address)?, address))) {
            Err(error) => refuse(route.family, route.path, error),
            Ok(_) if !route.methods.take(&head.method) => wrong_method(route, &head.method),
            Ok((grant, address)) => {
                let route_path = route.path;
                (route.handler)(Call { api, peer, grant, head, address, body, route: route_path, wildcard }).await
            }
        }
    };
    if route.family == Family::Influx { influx::with_version(reply) } else { reply }
}

/// Tells the log of a request without the right to what it asks for, and of a write that was refused as a whole; of the
/// lines of one that was refused in part, who stores them tells.
fn tell_of_refusal(api: &Api, peer: SocketAddr, method: &Method, route: &'static str, reply: &Reply) {
    if reply.is_told {
        return;
    }
    let is_write = ROUTES.iter().any(|known| known.path == route && known.need == Need::Write);
    let reason = match reply.status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::PAYLOAD_TOO_LARGE if is_write => "body_too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE if is_write => "encoding",
        StatusCode::SERVICE_UNAVAILABLE if is_write => "unavailable",
        status if is_write && status.is_client_error() => "bad_request",
        _ => return,
    };
    let (first, message) = (format!("{method} {route}"), excerpt(&reply.body));
    api.notices.of_client(peer.ip(), "http", Notice { kind: NoticeKind::Refusal, reason, count: 1, first, message });
}

fn wrong_method(route: &Route, method: &Method) -> Reply {
    let allowed = route.methods.list();
    let method = sealine_base::excerpt::excerpt(method.as_str(), METHOD_BYTES_MAX);
    let what = format!("{} does not take the method {method}: want one of {allowed}", route.path);
    let error = ApiError::new(ErrorKind::WrongMethod, what);
    let reply = match route.family {
        Family::Influx => Dialect::of(route.path).refuse(error.kind.status(), &error.message),
        _ => Reply::from(error),
    };
    reply.with(header::ALLOW, HeaderValue::from_static(allowed))
}

fn nothing_here(path: &str) -> Reply {
    let shown: String = path.chars().take(200).collect();
    let error = ApiError::new(ErrorKind::NotFound, format!("there is nothing at {shown}: GET / lists what there is"));
    match Dialect::of(path) {
        Dialect::V1 => error.into(),
        dialect => dialect.refuse(error.kind.status(), &error.message),
    }
}

fn refuse(family: Family, path: &str, error: ApiError) -> Reply {
    let status = error.kind.status();
    let reply = match family {
        Family::Influx => Dialect::of(path).refuse(status, &error.message),
        Family::Prometheus => Reply::from(error),
        Family::Admin | Family::Page => Reply::text(status, format!("{error}\n")),
    };
    match status {
        StatusCode::UNAUTHORIZED => reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        _ => reply,
    }
}

/// Tells a browser whether the page from `origin` may read the answer: `allowed` is one origin, `*` or empty.
fn allow_origin(reply: &mut Reply, allowed: &str, origin: HeaderValue) {
    if allowed.is_empty() {
        return;
    }
    let headers = &mut reply.headers;
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin");
    set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date");
    set(header::VARY, "Origin");
    if allowed == "*" {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else if origin == allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// `/`: what there is.
async fn index(_: Call) -> Reply {
    let rows = ROUTES.iter().map(|route| format!("{:<25} {}\n", route.methods.list(), route.path));
    let rows: String = rows.collect();
    Reply::text(StatusCode::OK, format!("Sealine {}\n\n{rows}", env!("CARGO_PKG_VERSION")))
}

/// Tells the observer of a request, also where its client leaves before the answer.
struct Seen<'a> {
    api: &'a Api,
    route: &'static str,
    status: Option<u16>,
}

impl<'a> Seen<'a> {
    fn new(api: &'a Api, route: &'static str) -> Self {
        api.observer.request_started();
        Seen { api, route, status: None }
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        self.api.observer.request_ended(self.route, self.status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_route() {
        for (path, want) in [
            ("/write", Some(("/write", ""))),
            ("/influx/write", Some(("/write", ""))),
            ("/influx/api/v2/write", Some(("/api/v2/write", ""))),
            ("/influx/api/v2/buckets/1f", Some(("/api/v2/buckets/*", "1f"))),
            ("/influx/api/v1/label/job/values", None),
            ("/api/v1/label/job/values", Some(("/api/v1/label/*/values", "job"))),
            ("/api/v1/label/a%2Fb/values", Some(("/api/v1/label/*/values", "a%2Fb"))),
            ("/", Some(("/", ""))),
            ("/influx", None),
            ("/influx/", None),
            ("/influx/admin/seal", None),
            ("/influx/influx/write", None),
            ("/api/v1/label//values", None),
            ("/api/v1/label/values", None),
            ("/api/v1/label/a/b/values", None),
            ("/write/", None),
            ("", None),
        ] {
            assert_eq!(find(path).map(|(route, wildcard)| (route.path, wildcard)), want, "{path}");
        }
    }

    #[test]
    fn no_path_is_listed_twice() {
        let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
        paths.sort_unstable();
        let before = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), before);
    }

    #[test]
    fn every_route_needs_what_its_kind_needs() {
        for route in ROUTES {
            let writes = route.path.ends_with("/write") || route.path.ends_with("/write_lp");
            assert_eq!(route.need == Need::Write, writes, "{}", route.path);
            assert_eq!(route.need == Need::Admin, route.family == Family::Admin, "{}", route.path);
            if route.family == Family::Prometheus {
                assert!(matches!(route.need, Need::Read | Need::ReadAll), "{}", route.path);
            }
        }
        let open: Vec<_> = ROUTES.iter().filter(|route| route.need == Need::Nothing).map(|route| route.path).collect();
        assert_eq!(open, ["/-/healthy", "/-/ready", "/ping", "/health", "/ready", "/"]);
        assert!(ROUTES.iter().any(|route| route.path == METRICS && route.need == Need::ReadAll));
    }
}

//! Who asks: the other end of the connection, and what Grafana's headers say of the panel or the rule behind a query.

use hyper::HeaderMap;
use sealine_base::excerpt::excerpt;
use std::net::SocketAddr;

/// Bytes that are kept of a header: titles are written by people.
const VALUE_BYTES_MAX: usize = 200;

/// Headers that are kept, and what we call them. Grafana sends those of dashboard and panel with what a panel asks for,
/// those of rules with what an alert asks for; the titles only if it is set up to.
const HEADERS: [(&str, &str); 9] = [
    ("user-agent", "userAgent"),
    ("x-grafana-org-id", "orgId"),
    ("x-dashboard-uid", "dashboardUid"),
    ("x-dashboard-title", "dashboardTitle"),
    ("x-panel-id", "panelId"),
    ("x-panel-title", "panelTitle"),
    ("x-rule-uid", "ruleUid"),
    ("x-rule-name", "ruleName"),
    ("x-query-tags", "queryTags"),
];

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection; a proxy's where there is one.
    pub client: SocketAddr,
    told: Vec<(&'static str, String)>,
}

impl Caller {
    /// The caller at `client` who sent these headers.
    pub fn new(client: SocketAddr, headers: &HeaderMap) -> Self {
        let value = |header| Some(String::from_utf8_lossy(headers.get(header)?.as_bytes()).into_owned());
        let told = |(header, name)| value(header).map(|value| (name, excerpt(&value, VALUE_BYTES_MAX)));
        Caller { client, told: HEADERS.into_iter().filter_map(told).collect() }
    }

    /// What the caller said about itself, under Sealine's names.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.told.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// One of [`Self::told`].
    pub fn get(&self, name: &str) -> Option<&str> {
        self.told().find(|(told, _)| *told == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    #[test]
    fn headers_are_kept_by_name_and_not_longer_than_they_may_be() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-dashboard-uid", "abc"), ("x-panel-id", "7"), ("cookie", "secret")] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let long = "ä".repeat(VALUE_BYTES_MAX);
        headers.insert("x-panel-title", HeaderValue::from_bytes(long.as_bytes()).unwrap());
        let caller = Caller::new(SocketAddr::from(([127, 0, 0, 1], 9)), &headers);
        assert_eq!(
            (caller.get("dashboardUid"), caller.get("panelId"), caller.get("ruleUid")),
            (Some("abc"), Some("7"), None)
        );
        assert_eq!(caller.get("panelTitle"), Some(format!("{}…", "ä".repeat(VALUE_BYTES_MAX / 2)).as_str()));
        assert_eq!(caller.told().count(), 3, "and nothing else");
    }
}

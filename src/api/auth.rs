//! Who may use /admin: whoever knows the token or, where none is set, whoever sits at this machine.

use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, ORIGIN};
use std::net::IpAddr;

/// Headers by which a proxy on this machine gives away that the client is somewhere else.
const PROXY_HEADERS: [&str; 3] = ["x-forwarded-for", "x-real-ip", "via"];

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: a token is set, and the request has another one or none.
    #[error("the admin endpoints want the header `Authorization: Bearer <admin.token>`")]
    WrongToken,
    /// 403: no token is set, and the client is on another machine.
    #[error("without an admin.token in the configuration, the admin endpoints answer only to clients on this machine")]
    NotLocal,
    /// 403: no token is set, and a browser sends the request for some web page.
    #[error("without an admin.token in the configuration, the admin endpoints do not answer to web pages")]
    CrossSite,
}

/// Decides by the configured token (`None`: there is none), the client's address and the headers.
pub fn admit(token: Option<&str>, peer: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        let proxied = headers.contains_key(FORWARDED) || PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
        if !peer.to_canonical().is_loopback() || proxied {
            return Err(Refusal::NotLocal);
        }
        // A page may also have its own name resolve to this machine: then there is no Origin, but the name is in Host.
        if headers.contains_key(ORIGIN) || cross_site(headers) || !host_is_this_machine(headers) {
            return Err(Refusal::CrossSite);
        }
        return Ok(());
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| text.split_once(' '));
    match given {
        Some((scheme, given))
            if (scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("Token"))
                && same(given.trim(), token) =>
        {
            Ok(())
        }
        _ => Err(Refusal::WrongToken),
    }
}

/// Whether a browser says that another site is behind the request.
fn cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// Whether the request was sent to an address or to `localhost`, not to a name that somebody else may own.
fn host_is_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let host = host.to_str().unwrap_or("?");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Compares in a time that depends on the lengths alone, so that a token cannot be guessed byte by byte.
fn same(given: &str, wanted: &str) -> bool {
    let differences = given.bytes().zip(wanted.bytes()).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    given.len() == wanted.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn decide(token: Option<&str>, peer: &str, headers: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        admit(token, peer.parse().unwrap(), &headers.iter().map(pair).collect())
    }

    #[test]
    fn without_a_token_only_this_machine_may() {
        for (name, peer, headers, want) in [
            ("loopback", "127.0.0.1", &[][..], Ok(())),
            ("loopback by address", "127.9.9.9", &[("host", "127.0.0.1:8086")], Ok(())),
            ("loopback by name", "::1", &[("host", "LocalHost:8086")], Ok(())),
            ("loopback by v6 address", "::1", &[("host", "[::1]:8086")], Ok(())),
            ("loopback in v6 clothes", "::ffff:127.0.0.1", &[("host", "localhost")], Ok(())),
            ("another machine", "10.0.0.7", &[], Err(Refusal::NotLocal)),
            ("another machine with a token", "10.0.0.7", &[("authorization", "Bearer x")], Err(Refusal::NotLocal)),
            ("a proxy here", "127.0.0.1", &[("x-forwarded-for", "10.0.0.7")], Err(Refusal::NotLocal)),
            ("another proxy here", "127.0.0.1", &[("forwarded", "for=10.0.0.7")], Err(Refusal::NotLocal)),
            ("a web page", "127.0.0.1", &[("origin", "http://evil.example")], Err(Refusal::CrossSite)),
            ("a page of ours", "127.0.0.1", &[("origin", "http://localhost:8086")], Err(Refusal::CrossSite)),
            ("an image in a page", "127.0.0.1", &[("sec-fetch-site", "cross-site")], Err(Refusal::CrossSite)),
            ("typed into a browser", "127.0.0.1", &[("sec-fetch-site", "none")], Ok(())),
            ("a name that rebinds", "127.0.0.1", &[("host", "evil.example:8086")], Err(Refusal::CrossSite)),
        ] {
            assert_eq!(decide(None, peer, headers), want, "{name}");
        }
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        for (name, headers, want) in [
            ("bearer", &[("authorization", "Bearer s3cret")][..], Ok(())),
            ("token", &[("authorization", "token s3cret")], Ok(())),
            ("with a page's origin", &[("authorization", "Bearer s3cret"), ("origin", "http://x")], Ok(())),
            ("none", &[], Err(Refusal::WrongToken)),
            ("wrong", &[("authorization", "Bearer s3creT")], Err(Refusal::WrongToken)),
            ("shorter", &[("authorization", "Bearer s3cre")], Err(Refusal::WrongToken)),
            ("longer", &[("authorization", "Bearer s3crets")], Err(Refusal::WrongToken)),
            ("empty", &[("authorization", "Bearer ")], Err(Refusal::WrongToken)),
            ("no scheme", &[("authorization", "s3cret")], Err(Refusal::WrongToken)),
            ("another scheme", &[("authorization", "Basic s3cret")], Err(Refusal::WrongToken)),
        ] {
            for peer in ["127.0.0.1", "10.0.0.7"] {
                assert_eq!(decide(Some("s3cret"), peer, headers), want, "{name} from {peer}");
            }
        }
    }
}

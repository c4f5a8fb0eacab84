//! Who may do what: tokens with rights and databases or, where the configuration has no token, whoever comes; but
//! `/admin` is then for whoever sits at this machine.
//!
//! A token arrives as `Authorization: Bearer …` or `Token …` (also `Token name:…`, as clients of both InfluxDBs send it),
//! as the password of `Basic`, or as the parameter `p` of the address, as InfluxDB 1 has it. User names are not looked at.

use super::params::Params;
use crate::config::{Right, Token, TokenHash};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, ORIGIN};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Headers by which a proxy on this machine gives away that the client is somewhere else.
const PROXY_HEADERS: [&str; 3] = ["x-forwarded-for", "x-real-ip", "via"];

/// Tokens of ours have 43 characters; what is longer than this is none, and is not hashed.
const TOKEN_BYTES_MAX: usize = 1024;

/// What a route asks of the token that comes with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Not even that there is one.
    Nothing,
    /// That it is one of the configuration's; the handler looks at the rest.
    Token,
    /// That it reads; the handler narrows what is read to its databases ([`Grant::databases`]).
    Read,
    /// That it reads all databases.
    ReadAll,
    /// That it writes; the handler asks for the database ([`Grant::write`]).
    Write,
    /// That it administrates.
    Admin,
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: there is no token where one is needed.
    #[error(
        "a token is needed: send it as `Authorization: Bearer <token>`, as the password of Basic, or as the parameter p"
    )]
    NoToken,
    /// 401: it is not a token of this daemon.
    #[error("the token is not one of those in the configuration")]
    WrongToken,
    /// 403: it is a token of this daemon, and lacks this right.
    #[error("the token `{token}` does not have the right `{right}`: want it among `rights` in its [[token]] block")]
    Right {
        /// Its name.
        token: String,
        /// What was asked for.
        right: Right,
    },
    /// 403: it has this right on other databases.
    #[error(
        "the token `{token}` has the right `{right}`, but not on the database `{database}`: want it among `databases` in \
         its [[token]] block"
    )]
    Database {
        /// Its name.
        token: String,
        /// What was asked for.
        right: Right,
        /// And where.
        database: String,
    },
    /// 403: it reads some databases, and the answer covers all of them.
    #[error("the token `{token}` has the right `read` on some databases only, and this page covers all of them")]
    NotAll {
        /// Its name.
        token: String,
    },
    /// 403: no token is configured, and the client is on another machine.
    #[error("without a [[token]] in the configuration, the admin endpoints answer only to clients on this machine")]
    NotLocal,
    /// 403: no token is configured, and a browser sends the request for some web page.
    #[error("without a [[token]] in the configuration, the admin endpoints do not answer to web pages")]
    CrossSite,
}

impl Refusal {
    /// Whether another token may help: 401, and else 403.
    pub fn is_about_identity(&self) -> bool {
        matches!(self, Refusal::NoToken | Refusal::WrongToken)
    }
}

/// What a request that was let in may do.
#[derive(Debug, Clone)]
pub enum Grant {
    /// Everything that the route does.
    Everything,
    /// What its token allows.
    Token(Arc<Token>),
}

impl Grant {
    /// Whether lines may be written to `database`, and the database be made.
    pub fn write(&self, database: &str) -> Result<(), Refusal> {
        self.allows(Right::Write, database)
    }

    /// The databases to read where the request asks for one or for none in particular; `None` stands for all.
    pub fn databases(&self, asked: Option<&str>) -> Result<Option<Vec<String>>, Refusal> {
        match (self, asked) {
            (_, Some(database)) => {
                self.allows(Right::Read, database)?;
                Ok(Some(vec![database.to_string()]))
            }
            (Grant::Token(token), None) if !token.databases.is_empty() => Ok(Some(token.databases.clone())),
            (_, None) => Ok(None),
        }
    }

    /// Whether the name of `database` may be shown.
    pub fn sees(&self, database: &str) -> bool {
        match self {
            Grant::Everything => true,
            Grant::Token(token) => token.covers(database),
        }
    }

    fn allows(&self, right: Right, database: &str) -> Result<(), Refusal> {
        let Grant::Token(token) = self else { return Ok(()) };
        let name = || token.name.clone();
        match (token.has(right), token.covers(database)) {
            (false, _) => Err(Refusal::Right { token: name(), right }),
            (true, false) => Err(Refusal::Database { token: name(), right, database: database.to_string() }),
            (true, true) => Ok(()),
        }
    }
}

/// The tokens of the configuration.
#[derive(Debug)]
pub struct Tokens(Vec<Arc<Token>>);

impl Tokens {
    /// These tokens; with none, there are no strangers.
    pub fn new(tokens: Vec<Token>) -> Self {
        Tokens(tokens.into_iter().map(Arc::new).collect())
    }

    /// Decides by what the route needs, where the client is, and the headers and the address of its request. The body is
    /// not touched.
    pub fn admit(&self, need: Need, peer: IpAddr, headers: &HeaderMap, address: &Params) -> Result<Grant, Refusal> {
        if need == Need::Nothing {
            return Ok(Grant::Everything);
        }
        if self.0.is_empty() {
            return if need == Need::Admin { local(peer, headers) } else { Ok(()) }.map(|()| Grant::Everything);
        }
        let given = given(headers, address).ok_or(Refusal::NoToken)?;
        let token = self.find(&given).ok_or(Refusal::WrongToken)?;
        let right = match need {
            Need::Nothing | Need::Token => None,
            Need::Read | Need::ReadAll => Some(Right::Read),
            Need::Write => Some(Right::Write),
            Need::Admin => Some(Right::Admin),
        };
        if let Some(right) = right.filter(|right| !token.has(*right)) {
            return Err(Refusal::Right { token: token.name.clone(), right });
        }
        if need == Need::ReadAll && !token.databases.is_empty() {
            return Err(Refusal::NotAll { token: token.name.clone() });
        }
        Ok(Grant::Token(Arc::clone(token)))
    }

    /// Compares with every token, so that the time does not reveal which one it is.
    fn find(&self, given: &str) -> Option<&Arc<Token>> {
        if given.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let hash = TokenHash::of(given);
        self.0.iter().fold(None, |found, token| if token.hash.fits(&hash) { Some(token) } else { found })
    }
}

/// The token that a request brings; a header goes before the address.
fn given<'a>(headers: &'a HeaderMap, address: &'a Params) -> Option<Cow<'a, str>> {
    match headers.get(AUTHORIZATION) {
        Some(value) => of_header(value.to_str().ok()?),
        None => address.all("p").next().map(Cow::from),
    }
}

fn of_header(value: &str) -> Option<Cow<'_, str>> {
    let (scheme, given) = value.trim().split_once(' ')?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("Bearer") {
        return Some(given.into());
    }
    if scheme.eq_ignore_ascii_case("Token") {
        return Some(given.split_once(':').map_or(given, |(_, password)| password).into());
    }
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(given).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_string().into())
}

/// Without any token, administrators are recognised by their address.
fn local(peer: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let proxied = headers.contains_key(FORWARDED) || PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
    if !peer.to_canonical().is_loopback() || proxied {
        return Err(Refusal::NotLocal);
    }
    // A page may also have its own name resolve to this machine: then there is no Origin, but the name is in Host.
    if headers.contains_key(ORIGIN) || cross_site(headers) || !host_is_this_machine(headers) {
        return Err(Refusal::CrossSite);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use Right::{Admin, Read, Write};
    use hyper::Request;
    use hyper::http::request::Parts;

    fn token(name: &str, rights: &[Right], databases: &[&str]) -> Token {
        // Its text is its name behind `secret-`.
        Token {
            name: name.to_string(),
            hash: TokenHash::of(&format!("secret-{name}")),
            rights: rights.to_vec(),
            databases: databases.iter().map(|name| name.to_string()).collect(),
        }
    }

    fn tokens() -> Tokens {
        Tokens::new(vec![
            token("reader", &[Read], &[]),
            token("writer", &[Write], &["a", "b"]),
            token("both", &[Read, Write], &["a", "b"]),
            token("admin", &[Admin], &[]),
        ])
    }

    fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("the test's request is well formed").into_parts().0
    }

    fn decide(
        tokens: &Tokens,
        need: Need,
        peer: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Grant, Refusal> {
        let head = head(target, headers);
        let address = Params::of_uri(&head.uri).expect("the test's address is well formed");
        tokens.admit(need, peer.parse().expect("an address"), &head.headers, &address)
    }

    /// The refusal, or nothing.
    fn refusal<T>(result: Result<T, Refusal>) -> Option<Refusal> {
        result.err()
    }

    #[test]
    fn without_any_token_only_this_machine_may_administrate() {
        for (name, peer, headers, want) in [
            ("loopback", "127.0.0.1", &[][..], None),
            ("loopback by address", "127.9.9.9", &[("host", "127.0.0.1:8086")], None),
            ("loopback by name", "::1", &[("host", "LocalHost:8086")], None),
            ("loopback by v6 address", "::1", &[("host", "[::1]:8086")], None),
            ("loopback in v6 clothes", "::ffff:127.0.0.1", &[("host", "localhost")], None),
            ("another machine", "10.0.0.7", &[], Some(Refusal::NotLocal)),
            ("another machine with a token", "10.0.0.7", &[("authorization", "Bearer x")], Some(Refusal::NotLocal)),
            ("a proxy here", "127.0.0.1", &[("x-forwarded-for", "10.0.0.7")], Some(Refusal::NotLocal)),
            ("another proxy here", "127.0.0.1", &[("forwarded", "for=10.0.0.7")], Some(Refusal::NotLocal)),
            ("a web page", "127.0.0.1", &[("origin", "http://evil.example")], Some(Refusal::CrossSite)),
            ("a page of ours", "127.0.0.1", &[("origin", "http://localhost:8086")], Some(Refusal::CrossSite)),
            ("an image in a page", "127.0.0.1", &[("sec-fetch-site", "cross-site")], Some(Refusal::CrossSite)),
            ("typed into a browser", "127.0.0.1", &[("sec-fetch-site", "none")], None),
            ("a name that rebinds", "127.0.0.1", &[("host", "evil.example:8086")], Some(Refusal::CrossSite)),
        ] {
            let none = Tokens::new(Vec::new());
            assert_eq!(refusal(decide(&none, Need::Admin, peer, "/", headers)), want, "{name}");
            for need in [Need::Nothing, Need::Token, Need::Read, Need::ReadAll, Need::Write] {
                assert_eq!(refusal(decide(&none, need, peer, "/", headers)), None, "{name} {need:?}");
            }
        }
    }

    #[test]
    fn a_token_may_come_in_many_clothes() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let (right, wrong, none) = (None, Some(Refusal::WrongToken), Some(Refusal::NoToken));
        for (name, target, header, want) in [
            ("bearer", "/", "Bearer secret-reader".to_string(), &right),
            ("bearer in small letters", "/", "bearer secret-reader".to_string(), &right),
            ("token", "/", "Token secret-reader".to_string(), &right),
            ("token with a user", "/", "Token me:secret-reader".to_string(), &right),
            ("basic", "/", basic("me:secret-reader"), &right),
            ("basic without a user", "/", basic(":secret-reader"), &right),
            ("parameters", "/?u=me&p=secret-reader&db=x", String::new(), &right),
            ("parameters, encoded", "/?p=secret%2Dreader", String::new(), &right),
            ("the header goes first", "/?p=secret-reader", "Bearer x".to_string(), &wrong),
            ("wrong", "/", "Bearer secret-readeR".to_string(), &wrong),
            ("shorter", "/", "Bearer secret-reade".to_string(), &wrong),
            ("longer", "/", "Bearer secret-readerr".to_string(), &wrong),
            ("the hash itself", "/", format!("Bearer sha256:{}", "0".repeat(64)), &wrong),
            ("much too long", "/", format!("Bearer {}", "x".repeat(5000)), &wrong),
            ("empty", "/", "Bearer ".to_string(), &none),
            ("an empty parameter", "/?p=", String::new(), &wrong),
            ("the user alone", "/?u=secret-reader", String::new(), &none),
            ("no scheme", "/", "secret-reader".to_string(), &none),
            ("another scheme", "/", "Digest secret-reader".to_string(), &none),
            ("basic that is not base64", "/", "Basic secret-reader".to_string(), &none),
            ("basic without a password", "/", basic("secret-reader"), &none),
            ("nothing", "/", String::new(), &none),
        ] {
            let headers: &[(&str, &str)] = if header.is_empty() { &[] } else { &[("authorization", &header)] };
            for peer in ["127.0.0.1", "10.0.0.7"] {
                let got = decide(&tokens(), Need::Read, peer, target, headers);
                assert_eq!(&refusal(got), want, "{name} from {peer}");
            }
        }
    }

    #[test]
    fn rights_do_not_stand_for_one_another() {
        let no = |token: &str, right| Some(Refusal::Right { token: token.to_string(), right });
        for (name, need, want) in [
            ("reader", Need::Read, None),
            ("reader", Need::ReadAll, None),
            ("reader", Need::Write, no("reader", Write)),
            ("reader", Need::Admin, no("reader", Admin)),
            ("writer", Need::Write, None),
            ("writer", Need::Read, no("writer", Read)),
            ("writer", Need::Token, None),
            ("both", Need::Read, None),
            ("both", Need::ReadAll, Some(Refusal::NotAll { token: "both".to_string() })),
            ("admin", Need::Admin, None),
            ("admin", Need::Read, no("admin", Read)),
            ("admin", Need::Nothing, None),
        ] {
            let got = decide(&tokens(), need, "10.0.0.7", "/", &[("authorization", &format!("Bearer secret-{name}"))]);
            assert_eq!(refusal(got), want, "{name} {need:?}");
        }
    }

    #[test]
    fn a_grant_is_for_its_databases() {
        let grant = |name: &str| {
            let header = format!("Bearer secret-{name}");
            decide(&tokens(), Need::Token, "10.0.0.7", "/", &[("authorization", &header)])
                .expect("it is a token of ours")
        };
        let list = |names: &[&str]| Ok(Some(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()));
        let elsewhere = |right| Refusal::Database { token: "both".to_string(), right, database: "c".to_string() };
        for (name, asked, want) in [
            ("reader", None, Ok(None)),
            ("reader", Some("c"), list(&["c"])),
            ("both", None, list(&["a", "b"])),
            ("both", Some("b"), list(&["b"])),
            ("both", Some("c"), Err(elsewhere(Read))),
        ] {
            assert_eq!(grant(name).databases(asked), want, "{name} {asked:?}");
        }
        assert_eq!((grant("both").write("a"), grant("both").write("c")), (Ok(()), Err(elsewhere(Write))));
        assert!(grant("reader").write("a").is_err());
        assert!(grant("both").sees("a") && !grant("both").sees("c") && grant("reader").sees("c"));
    }

    #[test]
    fn a_refusal_names_the_token_and_what_it_wants() {
        let refusal = Refusal::Database { token: "both".to_string(), right: Write, database: "c".to_string() };
        let want = "the token `both` has the right `write`, but not on the database `c`: want it among `databases` in its \
                    [[token]] block";
        assert_eq!(refusal.to_string(), want);
    }
}

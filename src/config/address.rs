//! Where to listen: `127.0.0.1:8086`, `localhost:8086`, `[::1]:8086`, or `:8086` for all interfaces.
//!
//! Reading an address asks nobody, so that `check-config` gives the same answer on every machine. Whoever listens or
//! connects resolves it, and takes the first of the socket addresses that this machine can use, those of IPv4 first, as
//! servers written in Go do.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// DNS allows no longer name, and no longer part between two dots.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// What an address looks like, for errors.
pub(super) const WANTED: &str =
    "want a host and a port such as 127.0.0.1:8086, localhost:8086 or [::1]:8086, or :8086 for all interfaces";

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// All interfaces, of IPv6 and IPv4.
    All,
    Ip(SocketAddr),
    Name(String),
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver has no address for it.
    #[error("cannot resolve the name `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// `localhost` was taken for this machine alone, and is not.
    #[error(
        "`{name}` resolves to {ip}, which other machines may reach: write the address itself, or correct /etc/hosts"
    )]
    NotLocal {
        /// The name.
        name: String,
        /// What it resolves to.
        ip: IpAddr,
    },
}

impl Address {
    /// Whether other machines can reach it, as far as that is known without resolving it: a name other than `localhost`
    /// may stand for any address.
    pub fn reaches_out(&self) -> bool {
        match &self.host {
            Host::All => true,
            Host::Ip(address) => !is_local(address.ip()),
            Host::Name(name) => !is_localhost(name),
        }
    }

    /// The socket addresses that it stands for, in the order in which to try them. Asks the system's resolver about a
    /// name, and blocks meanwhile.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let name = match &self.host {
            // A socket of IPv6 takes IPv4 as well. A kernel without IPv6 refuses the first.
            Host::All => {
                let ips: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
                return Ok(ips.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
            }
            Host::Ip(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let unknown = |source| ResolveError::Unknown { name: name.clone(), source };
        let mut addresses: Vec<SocketAddr> = (name.as_str(), self.port).to_socket_addrs().map_err(unknown)?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        match addresses.iter().find(|address| is_localhost(name) && !is_local(address.ip())) {
            Some(address) => Err(ResolveError::NotLocal { name: name.clone(), ip: address.ip() }),
            None if addresses.is_empty() => Err(unknown(io::Error::other("it has no address"))),
            None => Ok(addresses),
        }
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// RFC 6761 keeps these names for the loopback address.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether DNS, or a hosts file, may have it. One whose last part is a number is an IPv4 address that went wrong, and
/// some resolvers would read it as another one.
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or(text);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    text.len() <= NAME_BYTES_MAX && text.split('.').all(label) && !is_number
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(format!("got \"\", {WANTED}"));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Address { host: Host::Ip(address), port: address.port() });
        }
        let wrong = |what: &str| format!("got `{text}`{what}, {WANTED}");
        let Some((host, port)) = text.rsplit_once(':') else { return Err(wrong(" without a port")) };
        if [host, text].iter().any(|part| part.parse::<Ipv6Addr>().is_ok()) {
            return Err(wrong(", an IPv6 address without brackets"));
        }
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let Some(port) = digits.then(|| port.parse().ok()).flatten() else {
            return Err(wrong(", whose port is not a number of 0 to 65535"));
        };
        let host = match host {
            "" => Host::All,
            name if is_name(name) => Host::Name(name.to_string()),
            _ => return Err(wrong("")),
        };
        Ok(Address { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::All => write!(f, ":{}", self.port),
            Host::Ip(address) => write!(f, "{address}"),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address { host: Host::Ip(address), port: address.port() }
    }
}

/// An address to listen at, or none: "" is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen(pub Option<Address>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Listen(None));
        }
        text.parse().map(|address| Listen(Some(address))).map_err(|wrong: String| format!("{wrong}, or \"\" for off"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |address| write!(f, "{address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn addresses_print_as_they_are_read() {
        for text in [
            "127.0.0.1:8086",
            "[::]:8086",
            "[::1]:0",
            "[fe80::1%2]:8086",
            ":8086",
            ":0",
            "localhost:8086",
            "node-1.metrics.example:8086",
            "my_host:1",
            "host.:1",
            "3com.example:1",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("".parse::<Listen>(), Ok(Listen(None)));
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (text, why) in [
            ("localhost", " without a port"),
            ("8086", " without a port"),
            ("localhost:", ", whose port is not a number of 0 to 65535"),
            ("localhost:http", ", whose port is not a number of 0 to 65535"),
            (":65536", ", whose port is not a number of 0 to 65535"),
            (":+1", ", whose port is not a number of 0 to 65535"),
            ("::1", ", an IPv6 address without brackets"),
            ("::1:8086", ", an IPv6 address without brackets"),
            (":::8086", ", an IPv6 address without brackets"),
            ("http://localhost:8086", ""),
            ("[localhost]:8086", ""),
            ("300.0.0.1:8086", ""),
            ("127.1:8086", ""),
            ("0:8086", ""),
            ("0x7f000001:8086", ""),
            ("a..b:8086", ""),
            ("-a:8086", ""),
            ("a b:8086", ""),
            ("grün:8086", ""),
            (" localhost:8086", ""),
            ("*:8086", ""),
        ] {
            assert_eq!(read(text), Err(format!("got `{text}`{why}, {WANTED}")));
            let want = format!("got `{text}`{why}, {WANTED}, or \"\" for off");
            assert_eq!(text.parse::<Listen>(), Err(want));
        }
        assert_eq!(read(""), Err(format!("got \"\", {WANTED}")));
        assert!(read(&format!("{}:1", "a.".repeat(128))).is_err());
        assert!(read(&format!("{}:1", "a".repeat(64))).is_err());
    }

    #[test]
    fn only_loopback_and_localhost_are_this_machine_alone() {
        for (text, want) in [
            ("127.0.0.1:1", false),
            ("127.1.2.3:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("localhost:1", false),
            ("LocalHost.:1", false),
            ("a.localhost:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            (":1", true),
            ("10.0.0.1:1", true),
            ("localhost.example:1", true),
            ("notlocalhost:1", true),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.reaches_out()), Ok(want), "{text}");
        }
    }

    #[test]
    fn names_resolve_to_ipv4_first_and_all_interfaces_to_both() {
        let resolved = |text: &str| text.parse::<Address>().expect(text).resolve().map(|all| all[0].to_string());
        assert_eq!(resolved("127.0.0.1:7").expect("it is an address"), "127.0.0.1:7");
        assert_eq!(resolved(":7").expect("it is an address"), "[::]:7");
        assert_eq!(resolved("localhost:7").expect("every machine has it"), "127.0.0.1:7");
        let error = resolved("no-such-host.invalid:7").expect_err("RFC 6761 keeps the name free");
        assert_eq!(error.to_string(), "cannot resolve the name `no-such-host.invalid`");
    }
}

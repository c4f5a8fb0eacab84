//! Limits on open connections: in all, and from one address.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Bits of an IPv6 address that name a network: whoever has one address of it has them all.
const NETWORK_BITS: u32 = 64;

/// The limits, and the connections that count against them.
#[derive(Debug)]
pub struct ConnectionLimits {
    section: &'static str,
    all_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is refused. `section` is the one of the configuration that has the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyConnections {
    /// As many are open as may be.
    #[error("as many connections are open as {section}.max_connections allows: {max}")]
    All { section: &'static str, max: usize },
    /// As many are open from this address as may be.
    #[error("as many connections from your address are open as {section}.max_connections_per_ip allows: {max}")]
    Address { section: &'static str, max: usize },
}

impl ConnectionLimits {
    /// At most `all_max` connections, and `per_address_max` of them from one address, where zero sets no limit, as a
    /// section of the configuration says.
    pub fn new(section: &'static str, all_max: usize, per_address_max: usize) -> Arc<Self> {
        let per_address_max = if per_address_max == 0 { usize::MAX } else { per_address_max };
        Arc::new(ConnectionLimits { section, all_max, per_address_max, open: Mutex::default() })
    }

    /// Counts a connection from `ip` until the permit is dropped.
    pub fn acquire(self: &Arc<Self>, ip: IpAddr) -> Result<ConnectionPermit, TooManyConnections> {
        let (section, address) = (self.section, one_client(ip));
        let mut open = self.open.lock();
        if open.all >= self.all_max {
            return Err(TooManyConnections::All { section, max: self.all_max });
        }
        let own = open.by_address.entry(address).or_default();
        if *own >= self.per_address_max {
            return Err(TooManyConnections::Address { section, max: self.per_address_max });
        }
        *own += 1;
        open.all += 1;
        Ok(ConnectionPermit { limits: Arc::clone(self), address })
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network.
fn one_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> NETWORK_BITS << NETWORK_BITS).into(),
        ip => ip,
    }
}

/// One connection, counted against the limits.
#[derive(Debug)]
pub struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        open.all -= 1;
        if let Some(own) = open.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let limits = ConnectionLimits::new("http", 3, 2);
        let first = limits.acquire(ip("10.0.0.1")).unwrap();
        let _second = limits.acquire(ip("::ffff:10.0.0.1")).unwrap();
        let refused = limits.acquire(ip("10.0.0.1")).unwrap_err();
        assert_eq!(refused, TooManyConnections::Address { section: "http", max: 2 });
        assert!(refused.to_string().ends_with("http.max_connections_per_ip allows: 2"), "{refused}");
        let third = limits.acquire(ip("10.0.0.2")).unwrap();
        assert_eq!(limits.acquire(ip("10.0.0.3")).unwrap_err(), TooManyConnections::All { section: "http", max: 3 });
        drop(first);
        let _again = limits.acquire(ip("10.0.0.1")).unwrap();
        drop(third);
        assert_eq!(limits.open.lock().by_address.len(), 1, "an address without connections is forgotten");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let limits = ConnectionLimits::new("http", 10, 1);
        let _one = limits.acquire(ip("2001:db8::1")).unwrap();
        assert_eq!(
            limits.acquire(ip("2001:db8::2")).unwrap_err(),
            TooManyConnections::Address { section: "http", max: 1 }
        );
        limits.acquire(ip("2001:db8:0:1::2")).unwrap();
    }

    #[test]
    fn zero_sets_no_limit_by_address() {
        let limits = ConnectionLimits::new("http", 3, 0);
        let _all: Vec<ConnectionPermit> = (0..3).map(|_| limits.acquire(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(limits.acquire(ip("10.0.0.1")).unwrap_err(), TooManyConnections::All { section: "http", max: 3 });
    }
}

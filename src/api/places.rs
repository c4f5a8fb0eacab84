//! Who may connect: so many connections in all, and so many from one address.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Bits of a version 6 address that name a network: whoever has one address of it has them all.
const NETWORK_BITS: u32 = 64;

/// The places that there are, and who has them.
#[derive(Debug)]
pub(super) struct Places {
    all_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    /// Others have them all.
    #[error("as many connections are open as http.max_connections allows: {0}")]
    All(usize),
    /// This address has its own.
    #[error("as many connections from your address are open as http.max_connections_per_ip allows: {0}")]
    Address(usize),
}

impl Places {
    /// `all_max` places, of which one address may have `per_address_max`; there zero sets no limit.
    pub(super) fn new(all_max: usize, per_address_max: usize) -> Arc<Self> {
        let per_address_max = if per_address_max == 0 { usize::MAX } else { per_address_max };
        Arc::new(Places { all_max, per_address_max, taken: Mutex::default() })
    }

    /// Takes a place for a client at `ip`, until it is dropped.
    pub(super) fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, NoPlace> {
        let address = one_client(ip);
        let mut taken = self.taken.lock();
        if taken.all >= self.all_max {
            return Err(NoPlace::All(self.all_max));
        }
        let own = taken.by_address.entry(address).or_default();
        if *own >= self.per_address_max {
            return Err(NoPlace::Address(self.per_address_max));
        }
        *own += 1;
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }
}

/// What stands for one client: an address, or a network of version 6.
fn one_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> NETWORK_BITS << NETWORK_BITS).into(),
        ip => ip,
    }
}

/// One of the places.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&self.address);
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
    fn an_address_has_its_share_and_all_have_theirs() {
        let places = Places::new(3, 2);
        let first = places.take(ip("10.0.0.1")).unwrap();
        let _second = places.take(ip("::ffff:10.0.0.1")).unwrap();
        let refused = places.take(ip("10.0.0.1")).unwrap_err();
        assert_eq!(refused, NoPlace::Address(2));
        assert!(refused.to_string().ends_with("http.max_connections_per_ip allows: 2"), "{refused}");
        let third = places.take(ip("10.0.0.2")).unwrap();
        assert_eq!(places.take(ip("10.0.0.3")).unwrap_err(), NoPlace::All(3));
        drop(first);
        let _again = places.take(ip("10.0.0.1")).unwrap();
        drop(third);
        assert_eq!(places.taken.lock().by_address.len(), 1, "who left is forgotten");
    }

    #[test]
    fn a_network_of_version_6_counts_as_one() {
        let places = Places::new(10, 1);
        let _one = places.take(ip("2001:db8::1")).unwrap();
        assert_eq!(places.take(ip("2001:db8::2")).unwrap_err(), NoPlace::Address(1));
        places.take(ip("2001:db8:0:1::2")).unwrap();
    }

    #[test]
    fn zero_is_no_limit_an_address() {
        let places = Places::new(3, 0);
        let _all: Vec<Place> = (0..3).map(|_| places.take(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(places.take(ip("10.0.0.1")).unwrap_err(), NoPlace::All(3));
    }
}

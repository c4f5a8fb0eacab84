//! Sockets that listen, at the first of several addresses that this machine has; connections and the limits on them.
//!
//! Where the family of one is not there, or no interface has it, the next is tried. Any other error, such as a port that
//! is taken, is final: nobody should find the daemon at another address than where it was asked for.

mod connection_limits;
mod listener;

pub use connection_limits::{ConnectionLimits, TooManyConnections};
pub use listener::{ListenError, Listener};

use nix::errno::Errno;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The address that was tried last, and what was wrong with it.
pub type NotBound = (SocketAddr, io::Error);

/// A socket for connections. Inside a runtime.
fn listen(addresses: &[SocketAddr]) -> Result<TcpListener, NotBound> {
    first_usable(addresses, |address| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    })
}

/// A socket for datagrams.
pub fn bind_datagrams(addresses: &[SocketAddr]) -> Result<UdpSocket, NotBound> {
    first_usable(addresses, UdpSocket::bind)
}

fn first_usable<T>(addresses: &[SocketAddr], mut bind: impl FnMut(SocketAddr) -> io::Result<T>) -> Result<T, NotBound> {
    let (last, others) = addresses.split_last().expect("BUG: there is an address to listen at");
    for address in others {
        match bind(*address) {
            Err(error) if is_absent(&error) => {}
            bound => return bound.map_err(|error| (*address, error)),
        }
    }
    bind(*last).map_err(|error| (*last, error))
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn the_next_is_tried_only_where_this_machine_has_not_the_first() {
        let both = addresses(&["[::]:7", "0.0.0.0:7"]);
        let bind = |fault: Option<io::Error>| {
            let mut fault = fault;
            first_usable(&both, |address| fault.take().map_or(Ok(address), Err))
        };
        assert_eq!(bind(None).expect("the first is there"), both[0]);
        assert_eq!(bind(Some(Errno::EAFNOSUPPORT.into())).expect("the second is there"), both[1]);
        let (at, taken) = bind(Some(io::ErrorKind::AddrInUse.into())).expect_err("a port that is taken is no other");
        assert_eq!((at, taken.kind()), (both[0], io::ErrorKind::AddrInUse));
        // TEST-NET-1, which no interface has.
        let socket = bind_datagrams(&addresses(&["192.0.2.1:0", "127.0.0.1:0"])).expect("the second is there");
        assert_eq!(socket.local_addr().expect("it is bound").ip().to_string(), "127.0.0.1");
    }
}

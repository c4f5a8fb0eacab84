//! What the kernel dropped of a socket's datagrams, to the last one.
//!
//! The kernel keeps one count a socket. Each datagram brings what it was when the datagram came (`SO_RXQ_OVFL`), so what is
//! dropped behind the last datagram is told by none: for that its table of sockets is read, once nothing comes any more.

use rustix::fs::fstat;
use sealine_base::machine;
use sealine_telemetry::Telemetry;
use std::net::UdpSocket;

/// Counts what was dropped since the socket was made.
pub(super) struct Drops {
    telemetry: Telemetry,
    /// By this the kernel's table knows the socket; `None` where the kernel does not tell.
    inode: Option<u64>,
    /// The kernel's count, which wraps, as it was last seen.
    seen: u32,
    /// Whether a datagram came since the table was read.
    is_stale: bool,
}

impl Drops {
    pub(super) fn new(socket: &UdpSocket, telemetry: Telemetry) -> Self {
        let inode = fstat(socket).ok().map(|stat| stat.st_ino);
        Drops { telemetry, inode, seen: 0, is_stale: false }
    }

    /// Datagrams were received: more may have been dropped behind them.
    pub(super) fn received(&mut self) {
        self.is_stale = true;
    }

    /// A datagram says how many had been dropped when it came. One that comes before the first drop says nothing.
    pub(super) fn told(&mut self, total: u32) {
        let more = total.wrapping_sub(self.seen);
        // A datagram may have come before the table was read, and be received behind that.
        if more <= i32::MAX as u32 {
            self.telemetry.udp.kernel_drops.inc_by(u64::from(more));
            self.seen = total;
        }
    }

    /// Nothing comes at the moment: looks what was dropped behind the last datagram.
    pub(super) fn look(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let Some(inode) = self.inode else { return };
        let tables = ["/proc/net/udp", "/proc/net/udp6"];
        let total = tables.iter().find_map(|table| in_table(&machine::kernel_text(table)?, inode));
        if let Some(total) = total {
            self.told(total);
        }
    }
}

/// The last column of the socket's line; its inode is the tenth.
fn in_table(table: &str, inode: u64) -> Option<u32> {
    let mut lines = table.lines().skip(1).map(|line| line.split_whitespace());
    lines.find_map(|mut columns| {
        let is_it = columns.nth(9)?.parse() == Ok(inode);
        columns.next_back().filter(|_| is_it)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref \
                         pointer drops\n 1146: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     \
                         0        0 41 2 0000000000000000 4294967295\n 2146: 00000000:1F91 00000000:0000 07 \
                         00000000:00000000 00:00000000 00000000     0        0 4107 2 0000000000000000 7\nnonsense\n";

    #[test]
    fn a_socket_is_found_by_its_inode() {
        for (inode, want) in [(41, Some(u32::MAX)), (4107, Some(7)), (7, None), (2, None)] {
            assert_eq!(in_table(TABLE, inode), want, "{inode}");
        }
    }

    #[test]
    fn what_nobody_receives_is_counted_once_whoever_tells_of_it() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let telemetry = Telemetry::new();
        let mut drops = Drops::new(&socket, telemetry.clone());
        let counted = || telemetry.udp.kernel_drops.get();
        for _ in 0..100 {
            sender.send_to(&[b'x'; 1000], socket.local_addr().unwrap()).unwrap();
        }
        drops.look();
        assert_eq!(counted(), 0, "nothing was received: nobody looks");
        drops.received();
        drops.look();
        let dropped = counted();
        assert!((1..100).contains(&dropped), "{dropped}");
        drops.told(dropped as u32 - 1); // by a datagram that came before
        drops.told(dropped as u32);
        assert_eq!(counted(), dropped);
        drops.told(dropped as u32 + 5);
        assert_eq!(counted(), dropped + 5);
    }
}

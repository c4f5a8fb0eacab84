//! Line protocol over UDP. One thread empties the socket and does nothing else, many datagrams a system call; another
//! one parses and stores. Between them is a queue with a bound in bytes. While it is full nothing is received: what comes
//! then waits in the socket, and what finds that full is dropped and counted by the kernel, which costs less than if we did
//! it. Both threads give way to requests: nobody waits for an answer to a datagram, and who sends a request does.

use super::Intake;
use super::drops::Drops;
use crate::config::Udp;
use crate::sockets;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use parking_lot::{Condvar, Mutex};
use sealine_base::clock;
use sealine_base::cores;
use sealine_base::pools::{Lease, Pool};
use sealine_lineproto::Precision;
use sealine_store::Unit;
use sealine_telemetry::Telemetry;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Datagrams that one system call takes.
const DATAGRAMS: usize = 64;

/// The largest datagram there is, and a byte more.
const DATAGRAM_BYTES: usize = 64 << 10;

/// How long the receiver sleeps at most before it looks whether it should stop.
const WAKE: Duration = Duration::from_millis(100);

/// Bytes of datagrams that become one batch at most: bounds what is staged at a time, and how long a request waits behind
/// it in the log.
const BLOCK_BYTES: usize = 1 << 20;

/// For each so many of its bytes a block has room for one datagram; it ends early where they are smaller.
const BYTES_PER_DATAGRAM: usize = 256;

/// Stands for a sender that the kernel does not name.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Why the inlet could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for datagrams at {address} (udp.listen): cannot {what}")]
pub struct UdpError {
    address: SocketAddr,
    what: &'static str,
    source: io::Error,
}

/// Datagrams one behind another, which become one batch. It never grows.
struct Block {
    bytes: Vec<u8>,
    /// Where each one ends, and who sent it.
    ends: Vec<(usize, IpAddr)>,
}

impl Block {
    fn new(bytes: usize) -> Block {
        Block { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(bytes / BYTES_PER_DATAGRAM) }
    }

    /// What one of this many bytes takes, the ends included.
    fn heap_bytes(bytes: usize) -> usize {
        bytes + bytes / BYTES_PER_DATAGRAM * size_of::<(usize, IpAddr)>()
    }

    fn has_room(&self, datagram: usize) -> bool {
        self.bytes.len() + datagram <= self.bytes.capacity() && self.ends.len() < self.ends.capacity()
    }
}

/// What was received and is not stored yet, in blocks. Their number has a bound, and one that is stored is freed: so what a
/// burst has taken is given back when it is over.
struct Queue {
    blocks: VecDeque<Block>,
    block_bytes: usize,
    blocks_max: usize,
    /// Whether there is one more block, which is being stored.
    storing: bool,
    lease: Lease,
    closed: bool,
}

impl Queue {
    /// One that takes no more than `bytes_max`, or than two of the largest datagrams.
    fn new(bytes_max: usize, lease: Lease) -> Queue {
        let block_bytes = (bytes_max / 3).clamp(DATAGRAM_BYTES, BLOCK_BYTES);
        let blocks_max = (bytes_max / Block::heap_bytes(block_bytes)).max(2);
        Queue { blocks: VecDeque::new(), block_bytes, blocks_max, storing: false, lease, closed: false }
    }

    fn blocks(&self) -> usize {
        self.blocks.len() + usize::from(self.storing)
    }

    /// How many datagrams there is room for, however large they are.
    fn room(&self) -> usize {
        self.blocks_max.saturating_sub(self.blocks()) * (self.block_bytes / DATAGRAM_BYTES)
    }

    fn push(&mut self, datagram: &[u8], sender: IpAddr) {
        if !self.blocks.back().is_some_and(|block| block.has_room(datagram.len())) {
            self.blocks.push_back(Block::new(self.block_bytes));
            self.account();
        }
        if let Some(block) = self.blocks.back_mut() {
            block.bytes.extend_from_slice(datagram);
            block.ends.push((block.bytes.len(), sender));
        }
    }

    /// The block that came first; [`Self::stored`] says that it is gone.
    fn take(&mut self) -> Option<Block> {
        let block = self.blocks.pop_front()?;
        self.storing = true;
        Some(block)
    }

    fn stored(&mut self) {
        self.storing = false;
        self.account();
    }

    fn account(&mut self) {
        self.lease.set(self.blocks() * Block::heap_bytes(self.block_bytes));
    }
}

/// The two threads. [`UdpInlet::stop`] ends them.
pub struct UdpInlet {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl UdpInlet {
    /// Binds the first of the addresses that there is and starts to take datagrams.
    pub fn start(addresses: &[SocketAddr], config: &Udp, intake: Intake) -> Result<Self, UdpError> {
        let not_bound = |(address, source)| UdpError { address, what: "bind it", source };
        let socket = sockets::bind_datagrams(addresses).map_err(not_bound)?;
        let address = socket.local_addr().unwrap_or(addresses[0]);
        let failed = |what| move |source| UdpError { address, what, source };
        set_receive_buffer(&socket, config.receive_buffer_bytes as usize).map_err(failed("size its buffer"))?;
        let option = |done: nix::Result<()>| done.map_err(io::Error::from);
        option(setsockopt(&socket, sockopt::RxqOvfl, &1)).map_err(failed("have its drops counted"))?;
        option(setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(WAKE.as_millis() as i64)))
            .map_err(failed("set its time-out"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let queue_bytes = config.queue_bytes.min(intake.store.pools().limit() / 8) as usize;
        let queue = Queue::new(queue_bytes, intake.store.pools().lease(Pool::Buffers));
        let shared = Arc::new((Mutex::new(queue), Condvar::new()));
        let mut threads = Vec::new();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(run).map_err(failed("start a thread"))
        };
        {
            let (shared, stop, telemetry) = (shared.clone(), stop.clone(), intake.telemetry.clone());
            let receive = move || receive(&socket, &shared, &stop, &telemetry);
            threads.push(spawn("udp-receive", Box::new(receive))?);
        }
        let (database, precision) = (config.database.clone(), config.precision);
        threads.push(spawn("udp-store", Box::new(move || store(&shared, &intake, &database, precision)))?);
        Ok(UdpInlet { address, stop, threads })
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops receiving, stores what waits, and returns when that is done. Blocks.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the UDP inlet panicked; this is a bug");
            }
        }
    }
}

/// Asks for a receive buffer, beyond the system's limit where we may. Warns where it came out smaller.
fn set_receive_buffer(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &bytes)?;
    }
    // The kernel doubles what it is asked for, for its own use.
    let got = nix::sys::socket::getsockopt(socket, sockopt::RcvBuf)? / 2;
    if got < bytes {
        tracing::warn!(
            asked = bytes,
            got,
            "the kernel gives the UDP socket a smaller receive buffer than udp.receive_buffer_bytes: raise \
             net.core.rmem_max, or grant CAP_NET_ADMIN"
        );
    }
    Ok(())
}

/// Who sent a datagram.
fn sender(address: SockaddrStorage) -> IpAddr {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(four), _) => four.ip().into(),
        (_, Some(six)) => six.ip().into(),
        _ => NOBODY,
    }
}

/// Runs on the receive thread: only copies.
fn receive(socket: &UdpSocket, shared: &(Mutex<Queue>, Condvar), stop: &AtomicBool, telemetry: &Telemetry) {
    let (queue, changed) = shared;
    let mut memory = vec![0u8; DATAGRAMS * DATAGRAM_BYTES];
    let mut drops = Drops::new(socket, telemetry.clone());
    let mut taken: Vec<(usize, IpAddr)> = Vec::with_capacity(DATAGRAMS);
    while !stop.load(Ordering::Relaxed) {
        let room = {
            let mut queue = queue.lock();
            let room = queue.room();
            if room == 0 {
                changed.wait_for(&mut queue, WAKE);
                continue;
            }
            room.min(DATAGRAMS)
        };
        taken.clear();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS, Some(nix::cmsg_space!(u32)));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            memory.chunks_mut(DATAGRAM_BYTES).take(room).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(received) => {
                drops.received();
                for message in received {
                    taken.push((message.bytes, message.address.map_or(NOBODY, sender)));
                    for control in message.cmsgs().into_iter().flatten() {
                        if let ControlMessageOwned::RxqOvfl(total) = control {
                            drops.told(total);
                        }
                    }
                }
            }
            Err(Errno::EAGAIN) => {
                drops.look();
                continue;
            }
            Err(Errno::EINTR) => continue,
            Err(error) => {
                tracing::error!(%error, "datagrams cannot be received");
                std::thread::sleep(WAKE);
                continue;
            }
        }
        telemetry.udp.datagrams.inc_by(taken.len() as u64);
        let mut queue = queue.lock();
        for (datagram, (bytes, sender)) in memory.chunks(DATAGRAM_BYTES).zip(&taken) {
            queue.push(&datagram[..*bytes], *sender);
        }
        drop(queue);
        changed.notify_one();
        cores::give_way(clock::instant());
    }
    drops.look();
    queue.lock().closed = true;
    changed.notify_one();
}

/// Runs on the store thread until the receiver has ended and the queue is empty.
fn store(shared: &(Mutex<Queue>, Condvar), intake: &Intake, database: &str, precision: Precision) {
    let (queue, changed) = shared;
    loop {
        let block = {
            let mut queue = queue.lock();
            loop {
                match queue.take() {
                    Some(block) => break block,
                    None if queue.closed => return,
                    None => changed.wait(&mut queue),
                }
            }
        };
        intake.metrics().bytes.inc_by(block.bytes.len() as u64);
        let opened = intake.open(database, precision, Unit::Setting("udp.precision"));
        let Ok(mut delivery) = opened else { return }; // the configuration has a good name
        let admitted = delivery.admit(0);
        let (mut start, mut last) = (0, NOBODY);
        for &(end, sender) in &block.ends {
            // Each datagram is parsed separately: one that is cut off cannot spoil the next. A batch that is refused is
            // parsed as well: nobody sends it again, and the lines that are lost are counted.
            delivery.add(&block.bytes[start..end], 1);
            delivery.tell(sender);
            cores::give_way(clock::instant());
            (start, last) = (end, sender);
        }
        let stored = match admitted {
            Ok(()) => delivery.store_blocking(last),
            Err(why) => delivery.lose(last, why),
        };
        drop(stored); // what was not stored is counted and told
        drop(block);
        queue.lock().stored();
        changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealine_base::pools::Pools;

    #[test]
    fn a_burst_takes_no_more_than_the_setting_and_is_given_back() {
        for (setting, datagram) in
            [(64 << 20, 1400), (64 << 20, 1), (4 << 20, DATAGRAM_BYTES - 29), (512 << 10, 40_000)]
        {
            let pools = Arc::new(Pools::new(u64::MAX));
            let mut queue = Queue::new(setting, pools.lease(Pool::Buffers));
            let datagram = vec![b'x'; datagram];
            let (mut most, mut pushed, mut stored) = (0, 0, 0);
            let mut storing = None;
            for round in 0..200 {
                for _ in 0..queue.room().min(DATAGRAMS) {
                    queue.push(&datagram, NOBODY);
                    pushed += 1;
                }
                most = most.max(pools.bytes(Pool::Buffers));
                if round % 50 == 0 {
                    if let Some(block) = storing.take() {
                        let _: Block = block;
                        queue.stored();
                    }
                    storing = queue.take();
                    stored += storing.as_ref().map_or(0, |block: &Block| block.ends.len());
                }
            }
            assert!(most <= setting as u64, "{most} of {setting}");
            queue.stored();
            while let Some(block) = queue.take() {
                stored += block.ends.len();
                assert_eq!(block.bytes.len(), block.ends.len() * datagram.len());
                queue.stored();
            }
            assert_eq!((pushed, pools.total()), (stored, 0));
        }
    }
}

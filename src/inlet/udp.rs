//! Line protocol over UDP. One thread empties the socket and does nothing else, many datagrams a system call; another
//! one parses and stores. Between them is a queue with a bound in bytes. While it is full nothing is received: what comes
//! then waits in the socket, and what finds that full is dropped and counted by the kernel, which costs less than if we did
//! it. Both threads give way to others: nobody waits for an answer to a datagram, and who sends a request does.

use super::Intake;
use super::drops::Drops;
use crate::clock;
use crate::config::Udp;
use crate::lineproto::Precision;
use crate::machine;
use crate::pools::{Lease, Pool};
use crate::sockets;
use crate::store::{Stage, Unit, check_database};
use crate::telemetry::{Protocol, Telemetry};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use parking_lot::{Condvar, Mutex};
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

/// Bytes that are parsed into one batch at most: bounds what is staged at a time, and how long a request waits behind it in
/// the log.
const BATCH_BYTES: usize = 1 << 20;

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

/// Datagrams one behind another.
#[derive(Default)]
struct Datagrams {
    bytes: Vec<u8>,
    /// Where each one ends, and who sent it.
    ends: Vec<(usize, IpAddr)>,
}

#[derive(Default)]
struct Queue {
    waiting: Datagrams,
    closed: bool,
}

impl Queue {
    /// Whether one more system call could bring more than there is room for.
    fn is_full(&self, bytes_max: usize) -> bool {
        let waiting = self.waiting.bytes.len();
        waiting > 0 && waiting + DATAGRAMS * DATAGRAM_BYTES > bytes_max
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
        check_database(&config.database).map_err(io::Error::other).map_err(failed("use udp.database"))?;
        set_receive_buffer(&socket, config.receive_buffer_bytes as usize).map_err(failed("size its buffer"))?;
        let option = |done: nix::Result<()>| done.map_err(io::Error::from);
        option(setsockopt(&socket, sockopt::RxqOvfl, &1)).map_err(failed("have its drops counted"))?;
        option(setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(WAKE.as_millis() as i64)))
            .map_err(failed("set its time-out"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let mut threads = Vec::new();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(run).map_err(failed("start a thread"))
        };
        {
            let (shared, stop, telemetry) = (shared.clone(), stop.clone(), intake.telemetry.clone());
            let queue_bytes = config.queue_bytes.min(intake.store.pools().limit() / 8) as usize;
            let lease = intake.store.pools().lease(Pool::Buffers);
            let receive = move || receive(&socket, &shared, queue_bytes, lease, &stop, &telemetry);
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
fn receive(
    socket: &UdpSocket,
    shared: &(Mutex<Queue>, Condvar),
    queue_bytes: usize,
    mut lease: Lease,
    stop: &AtomicBool,
    telemetry: &Telemetry,
) {
    let (queue, changed) = shared;
    let mut memory = vec![0u8; DATAGRAMS * DATAGRAM_BYTES];
    let mut drops = Drops::new(socket, telemetry.clone());
    let mut taken: Vec<(usize, IpAddr)> = Vec::with_capacity(DATAGRAMS);
    while !stop.load(Ordering::Relaxed) {
        {
            let mut queue = queue.lock();
            if queue.is_full(queue_bytes) {
                changed.wait_for(&mut queue, WAKE);
                continue;
            }
        }
        taken.clear();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS, Some(nix::cmsg_space!(u32)));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            memory.chunks_mut(DATAGRAM_BYTES).map(|chunk| [IoSliceMut::new(chunk)]).collect();
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
            queue.waiting.bytes.extend_from_slice(&datagram[..*bytes]);
            let end = queue.waiting.bytes.len();
            queue.waiting.ends.push((end, *sender));
        }
        lease.set(queue.waiting.bytes.capacity());
        drop(queue);
        changed.notify_one();
        machine::give_way(clock::instant());
    }
    drops.look();
    queue.lock().closed = true;
    changed.notify_one();
}

/// Runs on the store thread until the receiver has ended and the queue is empty.
fn store(shared: &(Mutex<Queue>, Condvar), intake: &Intake, database: &str, precision: Precision) {
    let (queue, changed) = shared;
    let mut datagrams = Datagrams::default();
    loop {
        {
            let mut queue = queue.lock();
            while queue.waiting.ends.is_empty() {
                if queue.closed {
                    return;
                }
                changed.wait(&mut queue);
            }
            datagrams.bytes.clear();
            datagrams.ends.clear();
            std::mem::swap(&mut queue.waiting, &mut datagrams);
        }
        changed.notify_one();
        intake.telemetry.inlet(Protocol::Udp).bytes.inc_by(datagrams.bytes.len() as u64);
        let (mut start, mut batch_start, mut last) = (0, 0, NOBODY);
        let begin =
            || intake.store.stage(database, precision).map(|stage| stage.with_unit(Unit::Setting("udp.precision")));
        let Ok(mut stage) = begin() else { return }; // its name was checked at the start
        for &(end, sender) in &datagrams.ends {
            // Each datagram by itself: one that is cut cannot spoil the next.
            stage.add(&datagrams.bytes[start..end], 1);
            intake.tell(Protocol::Udp, sender, stage.take_notices());
            machine::give_way(clock::instant());
            (start, last) = (end, sender);
            if end - batch_start >= BATCH_BYTES
                && let Ok(next) = begin()
            {
                append(intake, database, sender, std::mem::replace(&mut stage, next));
                batch_start = end;
            }
        }
        append(intake, database, last, stage);
    }
}

/// Stores a batch. `sender` is one of those whose lines are in it, the last.
fn append(intake: &Intake, database: &str, sender: IpAddr, stage: Stage) {
    let (batch, mut report) = stage.finish();
    let stored = match intake.store.admit_write(0) {
        Ok(()) => intake.store.append_blocking(batch).map_err(|error| error.to_string()),
        Err(why) => {
            intake.telemetry.inlet(Protocol::Udp).refused(why.shortage()).inc();
            Err(why.to_string())
        }
    };
    if let Err(error) = &stored {
        let message = format!("not stored: {error}");
        intake.refuse(Protocol::Udp, sender, ("unavailable", report.lines), &message);
    }
    intake.count(Protocol::Udp, database, &mut report, stored.is_ok());
    intake.tell(Protocol::Udp, sender, report.notices);
}

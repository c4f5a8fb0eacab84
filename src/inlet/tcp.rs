//! Line protocol over TCP: for agents that keep a connection and write lines to it. There is no answer, so what is
//! refused is counted and logged.

use super::Intake;
use crate::config::Tcp;
use crate::sockets;
use sealine_base::causes;
use sealine_base::clock::Seldom;
use sealine_base::pools::Pool;
use sealine_lineproto::{Precision, Splitter};
use sealine_store::{Unit, check_database};
use sealine_telemetry::Protocol;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Bytes that are read at a time; a line may be cut between two reads.
const READ_BYTES: usize = 64 << 10;

/// How long to wait when a connection cannot be taken, so that a lack of file descriptors does not become a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Failed accepts are logged this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// How long a connection is left alone while there is no memory for more: its agent's writes block meanwhile.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Why the inlet could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for TCP lines at {address} (tcp.listen)")]
pub struct TcpError {
    address: SocketAddr,
    source: io::Error,
}

/// Listens for lines.
pub struct TcpInlet {
    listener: TcpListener,
    intake: Intake,
    database: Arc<str>,
    precision: Precision,
    connections: Arc<Semaphore>,
}

impl TcpInlet {
    /// Binds the first of the addresses that there is. Inside a runtime.
    pub fn bind(addresses: &[SocketAddr], config: &Tcp, intake: Intake) -> Result<Self, TcpError> {
        let failed = |(address, source)| TcpError { address, source };
        check_database(&config.database).map_err(|error| failed((addresses[0], io::Error::other(error))))?;
        let listener = sockets::listen(addresses).map_err(failed)?;
        Ok(TcpInlet {
            listener,
            intake,
            database: config.database.as_str().into(),
            precision: config.precision,
            connections: Arc::new(Semaphore::new(config.max_connections)),
        })
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true; then every connection stores the whole lines that it has, and ends.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let (mut connections, mut complain) = (tokio::task::JoinSet::new(), Seldom::every(COMPLAIN_EVERY));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if complain.is_due() {
                        tracing::warn!(%error, "TCP connections cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Beyond tcp.max_connections the connection is closed at once: the agent sees it and tries again.
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                let message = "as many connections are open as tcp.max_connections allows";
                self.intake.refuse(Protocol::Tcp, peer.ip(), ("too_many_connections", 1), message);
                continue;
            };
            let (intake, database, stop) = (self.intake.clone(), self.database.clone(), stop.clone());
            let precision = self.precision;
            connections.spawn(async move {
                let open = intake.telemetry.tcp.connections.clone();
                open.inc();
                read_lines(&intake, &database, precision, stream, peer.ip(), stop).await;
                open.dec();
                drop(permit);
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

/// Stores the lines of one connection until it ends.
async fn read_lines(
    intake: &Intake,
    database: &str,
    precision: Precision,
    stream: TcpStream,
    client: IpAddr,
    mut stop: watch::Receiver<bool>,
) {
    let mut splitter = Splitter::new(&intake.store.limits());
    let pools = intake.store.pools();
    let (mut buffer, mut lease): (Vec<u8>, _) = (Vec::new(), pools.lease(Pool::Buffers));
    loop {
        while intake.store.admit_write(0).is_err() && !*stop.borrow() {
            tokio::time::sleep(FULL_PAUSE).await;
        }
        // A connection that rests holds no more than the line that it is in.
        buffer.shrink_to_fit();
        lease.set(buffer.capacity());
        let comes = tokio::select! {
            comes = stream.readable() => comes.is_ok(),
            _ = stop.wait_for(|stop| *stop) => false,
        };
        buffer.reserve(READ_BYTES);
        let read = match comes.then(|| stream.try_read_buf(&mut buffer)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read.and_then(Result::ok).unwrap_or(0),
        };
        intake.telemetry.inlet(Protocol::Tcp).bytes.inc_by(read as u64);
        lease.set(buffer.capacity());
        let last = read == 0;
        let Ok(mut stage) = intake.store.stage(database, precision) else { return }; // its name was checked at the start
        let split = splitter.split(&buffer, last);
        stage = stage.with_unit(Unit::Setting("tcp.precision"));
        stage.add(split.lines, split.number);
        let rest = split.rest.len();
        buffer.drain(..buffer.len() - rest);
        let (batch, mut report) = stage.finish();
        let stored = intake.store.append(batch).await;
        if let Err(error) = &stored {
            let message = format!("not stored: {}", causes::sentence(error));
            intake.refuse(Protocol::Tcp, client, ("unavailable", report.lines), &message);
        }
        intake.count(Protocol::Tcp, database, &mut report, stored.is_ok());
        intake.tell(Protocol::Tcp, client, report.notices);
        if last {
            return;
        }
    }
}

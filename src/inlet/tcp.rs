//! Line protocol over TCP: for agents that keep a connection and write lines to it. There is no answer, so what is
//! refused is counted and logged.

use super::Intake;
use super::line_buffer::LineBuffer;
use crate::config::Tcp;
use crate::sockets::{ConnectionLimits, ListenError, Listener};
use sealine_lineproto::Precision;
use sealine_store::Unit;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Bytes that are read at a time; a line may be cut between two reads.
const READ_BYTES: usize = 64 << 10;

/// How long a connection is left alone while there is no memory for more: its agent's writes block meanwhile.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Listens for lines.
pub struct TcpInlet {
    listener: Listener,
    intake: Intake,
    database: Arc<str>,
    precision: Precision,
    connections_max: usize,
}

impl TcpInlet {
    /// Binds the first of the addresses that there is. Inside a runtime.
    pub fn bind(addresses: &[SocketAddr], config: &Tcp, intake: Intake) -> Result<Self, ListenError> {
        Ok(TcpInlet {
            listener: Listener::bind(intake.protocol, addresses)?,
            intake,
            database: config.database.as_str().into(),
            precision: config.precision,
            connections_max: config.max_connections,
        })
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true; then every connection stores the whole lines that it has, and ends.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let TcpInlet { listener, intake, database, precision, connections_max } = self;
        let limits = ConnectionLimits::new("tcp", connections_max, 0);
        let welcome = |stream, peer: SocketAddr| {
            let (intake, database, stop) = (intake.clone(), database.clone(), stop.clone());
            async move {
                let open = &intake.telemetry.tcp.connections;
                open.inc();
                read_lines(&intake, &database, precision, stream, peer.ip(), stop).await;
                open.dec();
            }
        };
        // Closed at once: the agent sees it and tries again.
        let refuse = |stream, _| drop::<TcpStream>(stream);
        listener.serve(limits, &intake.notices, stop.clone(), welcome, refuse).await.ended().await;
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
    let mut lines = LineBuffer::new(&intake.store);
    loop {
        while intake.store.admit_write(0).is_err() && !*stop.borrow() {
            tokio::time::sleep(FULL_PAUSE).await;
        }
        lines.shrink(); // a connection that rests holds no more than the line that it is in
        let comes = tokio::select! {
            comes = stream.readable() => comes.is_ok(),
            _ = stop.wait_for(|stop| *stop) => false,
        };
        lines.bytes.reserve(READ_BYTES);
        let read = match comes.then(|| stream.try_read_buf(&mut lines.bytes)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read.and_then(Result::ok).unwrap_or(0),
        };
        intake.metrics().bytes.inc_by(read as u64);
        let last = read == 0;
        let opened = intake.open(database, precision, Unit::Setting("tcp.precision"));
        let Ok(mut delivery) = opened else { return }; // the configuration has a good name
        lines.deliver(&mut delivery, last);
        drop(delivery.store(client).await); // what was not stored is counted and told
        if last {
            return;
        }
    }
}

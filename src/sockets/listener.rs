//! Accepts connections, so many at a time, until it is told to stop: the one loop of all protocols that have connections.

use super::connection_limits::{ConnectionLimits, TooManyConnections};
use super::listen;
use sealine_base::clock::Seldom;
use sealine_telemetry::Protocol;
use sealine_telemetry::notices::Notices;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// After a failed accept (too many open files, mostly) the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Failed accepts are logged this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Why a protocol has no listener.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address} ({section}.listen)")]
pub struct ListenError {
    section: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// A socket that listens for connections of one protocol.
pub struct Listener {
    protocol: Protocol,
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the first of the addresses that there is, inside a runtime. Connections queue up from here on, and are
    /// accepted by [`Listener::serve`].
    pub fn bind(protocol: Protocol, addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        let failed = |(address, source)| ListenError { section: protocol.as_str(), address, source };
        let socket = listen(addresses).map_err(failed)?;
        let address = socket.local_addr().map_err(|error| failed((addresses[0], error)))?;
        Ok(Listener { protocol, socket, address })
    }

    /// Where it listens; has the actual port if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop` turns true (or its sender is gone). A connection has what `welcome` makes of it for its task;
    /// one too many is told to the log and goes to `refuse`. Returns the connections that are still open.
    pub async fn serve<F: Future<Output = ()> + Send + 'static>(
        self,
        limits: Arc<ConnectionLimits>,
        notices: &Notices,
        mut stop: watch::Receiver<bool>,
        welcome: impl Fn(TcpStream, SocketAddr) -> F,
        refuse: impl Fn(TcpStream, TooManyConnections),
    ) -> Connections {
        let mut open = Connections(JoinSet::new());
        let mut stopped = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
        let mut complain = Seldom::every(COMPLAIN_EVERY);
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => return open,
                Some(ended) = open.0.join_next() => {
                    tell_of_panic(ended);
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            match accepted.map(|(socket, peer)| (socket, peer, limits.acquire(peer.ip()))) {
                Ok((socket, peer, Ok(permit))) => {
                    let served = welcome(socket, peer);
                    open.0.spawn(async move {
                        served.await;
                        drop(permit);
                    });
                }
                Ok((socket, peer, Err(why))) => {
                    notices.of_refusal(peer.ip(), self.protocol, ("too_many_connections", 1), why.to_string());
                    refuse(socket, why);
                }
                Err(error) => {
                    if complain.is_due() {
                        tracing::warn!("cannot accept connections at {}: {error}", self.address);
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Connections that were accepted and have not ended.
pub struct Connections(JoinSet<()>);

impl Connections {
    /// Waits until all have ended.
    pub async fn ended(&mut self) {
        while let Some(ended) = self.0.join_next().await {
            tell_of_panic(ended);
        }
    }

    /// Waits as long as that, and cuts off those that have not ended then.
    pub async fn ended_within(mut self, patience: Duration) {
        if timeout(patience, self.ended()).await.is_err() {
            tracing::warn!("cutting off {} connections that did not finish within {patience:?}", self.0.len());
            self.0.shutdown().await;
        }
    }
}

fn tell_of_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("BUG: a connection ended in a panic: {error}");
    }
}

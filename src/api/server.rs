//! Speaks HTTP/1.1 on each connection, inside TLS or not, until the client or the daemon stops.

use super::Api;
use super::handshake::shake;
use super::head::HeadLimits;
use super::requests::Requests;
use super::routes;
use super::timed_socket::{Busy, TimedSocket};
use crate::sockets::{ConnectionLimits, ListenError, Listener, TooManyConnections};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sealine_telemetry::Protocol;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// What a connection's read buffer may grow to: enough for a large write body to come in few reads.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// How many times as long a head may become whose address is percent-encoded.
const ENCODED: usize = 3;

/// How long a refused client has to take its answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What one client may ask of the server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections that may be open at once; one more is answered with 503.
    pub connections_max: usize,
    /// How many clients beyond that are answered with a refusal at a time; others are just cut off.
    pub refusals_max: usize,
    /// Those of one address, likewise; zero sets no limit.
    pub connections_per_ip_max: usize,
    /// The longest that the head of a request may take to arrive, and before it a TLS handshake.
    pub header_timeout: Duration,
    /// Bytes that the head of a request may have, its first line included.
    pub header_bytes_max: usize,
    /// Headers that a request may have.
    pub headers_max: usize,
    /// The longest that a connection may rest, between requests or in the middle of taking an answer.
    pub idle_timeout: Duration,
    /// The longest that requests under way may take to finish once the server is told to stop.
    pub drain_timeout: Duration,
}

/// A socket that listens.
pub struct Server {
    listener: Listener,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Takes the first of the addresses that there is, inside a runtime. Connections queue up from here on, and are
    /// served by [`Server::serve`].
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        Ok(Server { listener: Listener::bind(Protocol::Http, addresses)?, tls: None })
    }

    /// With TLS on every connection: then it speaks nothing else.
    pub fn with_tls(self, tls: Option<TlsAcceptor>) -> Self {
        Server { tls, ..self }
    }

    /// Where it listens; has the actual port if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` turns true (or its sender is gone). Then no connection is accepted, requests under way
    /// are finished, and what is not after `drain_timeout` is cut off.
    pub async fn serve(self, api: Arc<Api>, limits: ServerLimits, shutdown: watch::Receiver<bool>) {
        let Server { listener, tls } = self;
        let room = ConnectionLimits::new("http", limits.connections_max, limits.connections_per_ip_max);
        let refusals = Arc::new(Semaphore::new(limits.refusals_max));
        let welcome =
            |socket, peer| welcome(Arc::clone(&api), limits.clone(), tls.clone(), socket, peer, shutdown.clone());
        let refuse = |socket, why| {
            api.observer.connection_refused();
            // Where a handshake is expected, no words come before it.
            if tls.is_none()
                && let Ok(permit) = Arc::clone(&refusals).try_acquire_owned()
            {
                tokio::spawn(async move {
                    let _ = timeout(REFUSAL_TIMEOUT, refuse(socket, why)).await; // it may have left
                    drop(permit);
                });
            }
        };
        let open = listener.serve(room, &api.notices, shutdown.clone(), welcome, refuse).await;
        open.ended_within(limits.drain_timeout).await;
    }
}

/// Says that there are too many connections, and waits until the client has read it: closing at once would throw
/// away the answer together with the request that nobody reads.
async fn refuse(mut socket: TcpStream, why: TooManyConnections) -> io::Result<()> {
    let body = format!(r#"{{"status":"error","errorType":"unavailable","error":"{why}"}}"#);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n"
    );
    socket.write_all((head + &body).as_bytes()).await?;
    socket.shutdown().await?;
    let mut sink = [0; 1024];
    while socket.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Takes one connection, from its handshake on where there is one, until either side ends it.
async fn welcome(
    api: Arc<Api>,
    limits: ServerLimits,
    tls: Option<TlsAcceptor>,
    socket: TcpStream,
    peer: SocketAddr,
    mut shutdown: watch::Receiver<bool>,
) {
    let _open = Open::new(&api);
    if let Err(error) = socket.set_nodelay(true) {
        return tracing::debug!(%peer, "cannot set TCP_NODELAY: {error}");
    }
    let Some(tls) = tls else {
        return serve_connection(&api, limits, socket, peer, shutdown).await;
    };
    let shaken = tokio::select! {
        shaken = shake(&tls, socket, limits.header_timeout) => shaken,
        _ = shutdown.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(socket) => serve_connection(&api, limits, socket, peer, shutdown).await,
        Err(failure) => {
            api.observer.handshake_failed(failure.reason);
            tracing::debug!(%peer, reason = failure.reason.as_str(), "no TLS handshake: {}", failure.error);
        }
    }
}

/// Serves one connection until either side ends it.
async fn serve_connection(
    api: &Arc<Api>,
    limits: ServerLimits,
    socket: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    mut shutdown: watch::Receiver<bool>,
) {
    let busy = Busy::default();
    let socket = TimedSocket::new(socket, busy.clone(), limits.idle_timeout, limits.header_timeout);
    let heads = HeadLimits { bytes_max: limits.header_bytes_max, headers_max: limits.headers_max };
    let socket = TokioIo::new(Requests::new(socket, busy.clone(), heads));
    let service = service_fn(|request| {
        let (api, at_work) = (Arc::clone(api), busy.guard());
        let refusal = busy.refusal();
        async move {
            let response = match refusal {
                None => routes::answer(api, peer, request).await,
                Some(bad) => routes::refuse_head(&api, peer, bad).await,
            };
            drop(at_work);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX.max(ENCODED * limits.header_bytes_max))
        .max_header_size(ENCODED * limits.header_bytes_max)
        .max_headers(limits.headers_max)
        .serve_connection(socket, service);
    let mut connection = pin!(connection);
    let stopping = async move { drop(shutdown.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients come and go as they like; that is logged for debugging only.
        tracing::debug!(%peer, "the connection ended early: {error}");
    }
}

/// Tells the observer of a connection from its beginning to its end.
struct Open<'a>(&'a Api);

impl<'a> Open<'a> {
    fn new(api: &'a Api) -> Self {
        api.observer.connection_opened();
        Open(api)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.observer.connection_closed();
    }
}

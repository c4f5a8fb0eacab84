//! The TLS handshake of a connection, or why there was none.

use sealine_telemetry::HandshakeFailure;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{Error, InvalidMessage};
use tokio_rustls::server::TlsStream;

/// The answer to a client that speaks plain HTTP, as far as that can be recognised.
const NOT_TLS: &str = "this port speaks TLS: ask with https:// in place of http://\n";

/// Why a connection has no TLS.
#[derive(Debug)]
pub struct NoTls {
    /// For the counter.
    pub reason: HandshakeFailure,
    /// For the log.
    pub error: io::Error,
}

/// Shakes hands within `patience`. A client that begins with the first letter of an HTTP method is told that this is TLS.
pub async fn shake(tls: &TlsAcceptor, socket: TcpStream, patience: Duration) -> Result<TlsStream<TcpStream>, NoTls> {
    let late = || NoTls { reason: HandshakeFailure::Timeout, error: io::ErrorKind::TimedOut.into() };
    timeout(patience, shake_slowly(tls, socket)).await.unwrap_or_else(|_| Err(late()))
}

async fn shake_slowly(tls: &TlsAcceptor, mut socket: TcpStream) -> Result<TlsStream<TcpStream>, NoTls> {
    let mut first = [0];
    let length = socket.peek(&mut first).await.map_err(failed)?;
    if length == 1 && first[0].is_ascii_uppercase() {
        let length = NOT_TLS.len();
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = socket.write_all((head + NOT_TLS).as_bytes()).await; // it may have left
        super::drain::until_it_leaves(&mut socket).await;
        return Err(NoTls { reason: HandshakeFailure::PlainHttp, error: io::ErrorKind::InvalidData.into() });
    }
    tls.accept(socket).await.map_err(failed)
}

fn failed(error: io::Error) -> NoTls {
    let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None => HandshakeFailure::Closed,
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => HandshakeFailure::NotTls,
        Some(Error::AlertReceived(_)) => HandshakeFailure::Refused,
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => HandshakeFailure::Incompatible,
        Some(_) => HandshakeFailure::Malformed,
    };
    NoTls { reason, error }
}

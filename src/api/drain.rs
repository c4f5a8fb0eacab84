//! Reads away the beginning of a body that nobody wants, so that its sender gets to read why.
//!
//! Closing a connection on which bytes still arrive resets it, and the reset may overtake the answer.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What is read of such a body at most where its sender may be anybody: what agents send at once, mostly.
pub const STRANGER_BYTES_MAX: usize = 1 << 20;

/// What is read of it where the sender was let in: more than any body that makes sense.
pub const CLIENT_BYTES_MAX: usize = 64 << 20;

/// How long that may take at most.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Reads up to `bytes_max` of the body, for up to a second, and forgets it. One that is only announced (`Expect`) is left.
pub async fn drain(head: &Parts, mut body: Incoming, bytes_max: usize) {
    if !head.headers.contains_key(EXPECT) {
        read_away(&mut body, bytes_max).await;
    }
}

/// Reads up to `bytes_max` of a body, or of what is left of it, for up to a second, and forgets it.
pub async fn read_away(body: &mut (impl Body<Data = Bytes> + Unpin), bytes_max: usize) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len());
            if bytes > bytes_max {
                break;
            }
        }
    };
    // Whether it ended or was given up is all the same.
    let _ = tokio::time::timeout(TIMEOUT, reading).await;
}

/// Says that nothing more will be sent, and reads away what still comes until the other end has left, as [`drain`] does.
pub async fn until_it_leaves(socket: &mut TcpStream) {
    let reading = async {
        let _ = tokio::io::AsyncWriteExt::shutdown(socket).await; // where that fails, it has left
        let (mut sink, mut bytes) = ([0; 4096], 0);
        while let Ok(more @ 1..) = socket.read(&mut sink).await {
            bytes += more;
            if bytes > STRANGER_BYTES_MAX {
                break;
            }
        }
    };
    // Whether it ended or was given up is all the same.
    let _ = tokio::time::timeout(TIMEOUT, reading).await;
}

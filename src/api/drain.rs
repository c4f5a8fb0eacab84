//! Reads away the beginning of a body that nobody wants, so that its sender gets to read why.
//!
//! Closing a connection on which bytes still arrive resets it, and the reset may overtake the answer.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What is read of such a body at most: what agents send at once, mostly.
const BYTES_MAX: usize = 1 << 20;

/// How long that may take at most.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Reads up to 1 MiB of the body, for up to a second, and forgets it. One that is only announced (`Expect`) is left.
pub async fn drain(head: &Parts, mut body: Incoming) {
    if head.headers.contains_key(EXPECT) {
        return;
    }
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len());
            if bytes > BYTES_MAX {
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
            if bytes > BYTES_MAX {
                break;
            }
        }
    };
    // Whether it ended or was given up is all the same.
    let _ = tokio::time::timeout(TIMEOUT, reading).await;
}

//! Drains the beginning of a body that is refused, so that its sender can read why.
//!
//! Closing a connection on which bytes still arrive resets it, and the reset may overtake the answer.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// What is read of such a body at most where its sender may be anybody: what agents send at once, mostly.
pub const STRANGER_BYTES_MAX: usize = 1 << 20;

/// What is read of it where the sender was let in: more than any body that makes sense.
pub const CLIENT_BYTES_MAX: usize = 64 << 20;

/// How long that may take at most.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The body of a request. If its handler does not read it to the end, it goes back to its [`Lender`].
pub struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// A body that was lent to a handler.
pub struct Lender {
    back: oneshot::Receiver<Incoming>,
    is_announced: bool,
}

/// Lends a body to a handler; `head` is that of its request.
pub fn lend(head: &Parts, body: Incoming) -> (Lent, Lender) {
    let (give, back) = oneshot::channel();
    let is_announced = head.headers.contains_key(EXPECT);
    (Lent { body: Some(body), back: Some(give) }, Lender { back, is_announced })
}

impl Lender {
    /// Once the handler is done: reads up to `bytes_max` of what it left, for up to a second, and forgets it. A body that is
    /// only announced (`Expect`) is left.
    pub async fn read_away(mut self, bytes_max: usize) {
        if let Ok(mut body) = self.back.try_recv()
            && !self.is_announced
        {
            read_away(&mut body, bytes_max).await;
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (body, self.back.take()) {
            let _ = back.send(body); // where nobody waits for the answer, nobody wants it back
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
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

/// Says that nothing more will be sent, and reads away what still comes until the other end has left, as [`read_away`] does.
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

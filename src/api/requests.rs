//! The requests on a connection, between its socket and hyper: each head is read here first (`head`), so that it may be
//! mended, or refused with a sentence; and a client that ends its side is told from one that has left.
//!
//! Bodies pass through untouched. Where each ends is followed (`framing`), so that nothing of one is taken for a head.
//!
//! A client may end its side behind its last request and wait (`printf … | nc -N`): to the server, it looks like one that
//! has left. hyper takes it for that, so it is told of the end only once the answers are out. Whether somebody still waits
//! is found out by writing: each answer begins with `HTTP/1.`, so these bytes are sent ahead, one now and then. Where nobody
//! is there any more, the system says so upon the second one, and what is at work for the client is given up.

use super::drain::STRANGER_BYTES_MAX;
use super::framing::Framing;
use super::head::{self, BadHead, HeadLimits};
use super::timed_socket::Busy;
use bytes::{Buf, BytesMut};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What every answer begins with.
const ANSWER_BEGINS: &[u8] = b"HTTP/1.";

/// How long after a client ended its side the first byte is sent ahead; from then on, it takes twice as long each time.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// How long a client whose head was refused has to take the answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// What hyper is given in the place of a head that is refused: the handler knows it by its number.
const IN_ITS_PLACE: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// A socket whose requests are read along.
pub struct Requests<S> {
    socket: S,
    busy: Busy,
    limits: HeadLimits,
    /// What came and is not handed on: the beginning of a head, or what came along behind a body.
    came: BytesMut,
    /// Whether to look at what came once more: it may be a whole head now, or none.
    news: bool,
    /// A head that was mended, on its way to hyper.
    mended: BytesMut,
    /// What is still missing of the current body; after its end comes the next head.
    body: Framing,
    /// Heads that hyper was given.
    heads: usize,
    /// Whether one of them was refused: then it was the last.
    refused: bool,
    /// Whether bytes were written since the last flush.
    unflushed: bool,
    /// Whether the client has ended its side.
    ended: bool,
    look: Option<Box<Look>>,
    farewell: Option<Farewell>,
}

/// Looks, now and then, whether a client that ended its side is still there.
struct Look {
    timer: Pin<Box<Sleep>>,
    pause: Duration,
    /// How much of [`ANSWER_BEGINS`] is out.
    sent: usize,
}

/// The end of a connection on which a head was refused.
struct Farewell {
    until: Pin<Box<Sleep>>,
    /// Bytes that were read away.
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Requests<S> {
    /// Reads along on `socket`; `busy` shows handlers at work, and is shown heads that are refused.
    pub fn new(socket: S, busy: Busy, limits: HeadLimits) -> Self {
        Requests {
            socket,
            busy,
            limits,
            came: BytesMut::new(),
            news: false,
            mended: BytesMut::new(),
            body: Framing::Sized(0),
            heads: 0,
            refused: false,
            unflushed: false,
            ended: false,
            look: None,
            farewell: None,
        }
    }

    /// Reads what the socket has, behind what `buf` holds. Most of it is for hyper, and stays there: a whole head that is
    /// well, and a body. The rest is kept.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        let got = &buf.filled()[before..];
        self.ended |= got.is_empty();
        let mut own = 0;
        if self.body.is_over()
            && self.came.is_empty()
            && let Ok(Some(head)) = head::read(got, &self.limits)
            && head.address.is_none()
        {
            (own, self.body) = (head.length, head.body);
            self.heads += 1;
        }
        own += self.body.advance(&got[own..]);
        let rest = &got[own..];
        // A head that comes byte by byte is not read from its beginning each time.
        let is_long = self.came.len() + rest.len() > self.limits.bytes_max;
        self.news |= self.ended || is_long || self.came.is_empty() || memchr::memchr(b'\n', rest).is_some();
        self.came.extend_from_slice(rest);
        buf.set_filled(before + own);
        Poll::Ready(Ok(()))
    }

    /// Reads the head that [`Self::came`] begins with, if it is whole; a part of one that nothing more comes to is refused.
    fn read_head(&mut self) {
        let blank = self.came.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.came.advance(blank);
        if self.came.is_empty() {
            return;
        }
        match head::read(&self.came, &self.limits) {
            Ok(None) if self.ended => self.refuse(head::cut_off(&self.came)),
            Ok(None) => {}
            Ok(Some(head)) => {
                let sent = self.came.split_to(head.length);
                match head.address {
                    None => self.mended = sent,
                    Some((place, address)) => {
                        self.mended.extend_from_slice(&sent[..place.start]);
                        self.mended.extend_from_slice(&address);
                        self.mended.extend_from_slice(&sent[place.end..]);
                    }
                }
                self.body = head.body;
                self.heads += 1;
                self.news = true; // another one may stand behind it
            }
            Err(bad) => self.refuse(bad),
        }
    }

    fn refuse(&mut self, bad: BadHead) {
        self.came.clear();
        self.mended.extend_from_slice(IN_ITS_PLACE);
        self.heads += 1;
        self.refused = true;
        self.busy.refuse(self.heads, bad);
    }

    /// At the end of the input: passes it on to hyper once nothing is at work or on its way for the client any more.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_in_body = !self.body.is_over();
        if is_in_body || !self.busy.is_at_work() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        if !self.ended {
            return Poll::Pending; // a head was refused; the answer is on its way
        }
        let Requests { socket, look, unflushed, .. } = self;
        let look = look.get_or_insert_with(|| {
            let timer = Box::pin(sleep_until(Instant::now() + FIRST_LOOK));
            Box::new(Look { timer, pause: FIRST_LOOK, sent: 0 })
        });
        // With an answer on its way, the socket itself reports that nobody reads it.
        while !*unflushed && look.sent < ANSWER_BEGINS.len() {
            ready!(look.timer.as_mut().poll(cx));
            look.sent += ready!(Pin::new(&mut *socket).poll_write(cx, &ANSWER_BEGINS[look.sent..=look.sent]))?;
            look.pause *= 2;
            look.timer.as_mut().reset(Instant::now() + look.pause);
            let _ = Pin::new(&mut *socket).poll_flush(cx)?; // if it waits, the next write flushes
        }
        Poll::Pending
    }

    /// Writes what hyper writes, without the bytes that were sent ahead.
    fn poll_write_rest(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = self.look.as_ref().map_or(0, |look| look.sent);
        let skipped = sent.min(bytes.len());
        assert!(ANSWER_BEGINS[..sent].starts_with(&bytes[..skipped]), "BUG: an answer begins otherwise");
        let written = match &bytes[skipped..] {
            [] => 0,
            rest => ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?,
        };
        if let Some(look) = &mut self.look {
            look.sent = 0;
        }
        Poll::Ready(Ok(skipped + written))
    }

    /// Whether bytes that hyper is about to write are out already.
    fn is_ahead(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.sent > 0)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Requests<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(())); // or it would look like an end
        }
        loop {
            if !this.mended.is_empty() {
                let count = this.mended.len().min(buf.remaining());
                buf.put_slice(&this.mended.split_to(count));
            } else if !this.body.is_over() && !this.came.is_empty() {
                let count = this.came.len().min(buf.remaining());
                let count = this.body.advance(&this.came[..count]);
                buf.put_slice(&this.came.split_to(count));
                this.news = true;
            } else if this.body.is_over() && std::mem::take(&mut this.news) {
                this.read_head();
            } else if !this.ended && !this.refused {
                ready!(this.poll_socket(cx, buf))?;
            } else {
                return this.poll_end(cx);
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Requests<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        match self.is_ahead() {
            true => self.poll_write_rest(cx, bytes),
            false => Pin::new(&mut self.socket).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        match slices.iter().find(|slice| !slice.is_empty()) {
            Some(first) if self.is_ahead() => self.poll_write_rest(cx, first),
            _ => Pin::new(&mut self.socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        // hyper is to hear now of an end that was kept from it.
        if std::mem::take(&mut self.unflushed) && self.ended {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Ends our side. What still comes behind a head that was refused is read away first: closing while bytes arrive resets
    /// the connection, and the reset may overtake the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        if !this.refused || this.ended {
            return Poll::Ready(Ok(()));
        }
        let until = || Box::pin(sleep_until(Instant::now() + FAREWELL));
        let farewell = this.farewell.get_or_insert_with(|| Farewell { until: until(), bytes: 0 });
        let mut sink = [0; 4096];
        while farewell.bytes < STRANGER_BYTES_MAX && farewell.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut sink);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => farewell.bytes += buf.filled().len(),
                _ => break, // it has left
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMITS: HeadLimits = HeadLimits { bytes_max: 4096, headers_max: 16 };

    /// A request as a client sends it, and as hyper is to get it. Bodies look like requests whose addresses are to be mended.
    fn request(random: &mut StdRng) -> (String, String) {
        let (raw, mended) =
            [("a", "a"), ("\"", "%22"), ("{a=\"b\"}", "%7Ba=%22b%22%7D"), ("ü", "%C3%BC")][random.random_range(0..4)];
        let bait = "GET /\"<bait>\" HTTP/1.1\r\n\r\n".repeat(random.random_range(0..60));
        let (headers, body) = match random.random_range(0..3) {
            0 => (String::new(), String::new()),
            1 => (format!("Content-Length: {}\r\n", bait.len()), bait),
            _ => {
                let chunk = |text: &[u8]| format!("{:X};x\r\n{}\r\n", text.len(), String::from_utf8_lossy(text));
                let chunks: String = bait.as_bytes().chunks(random.random_range(1..50)).map(chunk).collect();
                ("Transfer-Encoding: chunked\r\n".to_string(), format!("{chunks}0\r\nTrailer: \"\r\n\r\n"))
            }
        };
        let write = |address| format!("POST /q?x={address} HTTP/1.1\r\nX: \"<>\"\r\n{headers}\r\n{body}");
        (write(raw), write(mended))
    }

    /// What hyper gets of `sent`, which comes in pieces.
    async fn passed_on(sent: &[u8], random: &mut StdRng, busy: &Busy) -> Vec<u8> {
        let (mut client, server) = duplex(random.random_range(1..5000));
        let mut requests = Requests::new(server, busy.clone(), LIMITS);
        let most = random.random_range(1..3000);
        let sending = async {
            for piece in sent.chunks(most) {
                client.write_all(piece).await.unwrap();
            }
            client.shutdown().await.unwrap();
        };
        let room = random.random_range(1..9000);
        let reading = async {
            let mut got = Vec::new();
            let mut buffer = vec![0; room];
            while let count @ 1.. = requests.read(&mut buffer).await.unwrap() {
                got.extend_from_slice(&buffer[..count]);
            }
            got
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn addresses_are_mended_and_bodies_are_not() {
        let seed = rand::rng().next_u64();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..300 {
            let requests: Vec<_> = (0..random.random_range(1..6)).map(|_| request(&mut random)).collect();
            let sent: String = requests.iter().map(|(sent, _)| sent.as_str()).collect();
            let want: String = requests.iter().map(|(_, want)| want.as_str()).collect();
            let got = passed_on(sent.as_bytes(), &mut random, &Busy::default()).await;
            assert_eq!(String::from_utf8_lossy(&got), want);
        }
    }

    #[tokio::test]
    async fn a_head_that_is_refused_is_the_last() {
        let mut random = StdRng::seed_from_u64(1);
        let good = "GET /a HTTP/1.1\r\n\r\n";
        for (name, bad) in [
            ("none", "nonsense\r\n\r\n".to_string()),
            ("one that does not end", "GET /b HTTP/1.1\r\nX: y\r\n".to_string()),
            ("one too long", format!("GET /b HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(5000))),
        ] {
            let busy = Busy::default();
            let got = passed_on(format!("{good}\r\n{bad}").as_bytes(), &mut random, &busy).await;
            let want = format!("{good}{}", String::from_utf8_lossy(IN_ITS_PLACE));
            assert_eq!(String::from_utf8_lossy(&got), want, "{name}");
            let (first, second) = ((busy.guard(), busy.refusal()).1, (busy.guard(), busy.refusal()).1);
            assert!(first.is_none() && second.is_some_and(|bad| !bad.what.is_empty()), "{name}");
        }
    }
}

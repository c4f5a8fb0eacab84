//! A socket that times out on slow and idle clients.
//!
//! hyper has one timer, from the end of an answer to the end of the next request's head. A client that rests between
//! requests is welcome to rest longer than one may take to send a head, so the time is kept here: an idle connection
//! is closed after `idle`, one that has begun to send a head must finish it within `head`, and one that does not take
//! its answer counts as idle. While a handler is at work the clock rests: handlers watch over bodies themselves.

use super::head::BadHead;
use parking_lot::Mutex;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What the handlers and the socket of a connection share. Written and read on the connection's task alone, so
/// relaxed ordering is enough.
#[derive(Debug, Default)]
struct Work {
    at_work: AtomicUsize,
    begun: AtomicUsize,
    /// The number of the request whose head is refused, and why.
    refused: Mutex<Option<(usize, BadHead)>>,
}

/// Shows a socket which handlers are at work, and shows them why a head is refused.
#[derive(Debug, Clone, Default)]
pub struct Busy(Arc<Work>);

impl Busy {
    /// The head of a request is complete, and a handler is at work until the guard is dropped.
    pub fn guard(&self) -> BusyGuard {
        self.0.at_work.fetch_add(1, Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        BusyGuard(Arc::clone(&self.0))
    }

    /// Whether a handler is at work.
    pub fn is_at_work(&self) -> bool {
        self.0.at_work.load(Ordering::Relaxed) > 0
    }

    /// The head of the request of this number, counted from 1, is refused.
    pub fn refuse(&self, number: usize, why: BadHead) {
        *self.0.refused.lock() = Some((number, why));
    }

    /// Why the head of the newest request is refused, if it is.
    pub fn refusal(&self) -> Option<BadHead> {
        let newest = self.0.begun.load(Ordering::Relaxed);
        self.0.refused.lock().take_if(|(number, _)| *number == newest).map(|(_, why)| why)
    }
}

/// See [`Busy::guard`].
pub struct BusyGuard(Arc<Work>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket with timeouts.
pub struct TimedSocket<S> {
    socket: S,
    busy: Busy,
    idle: Duration,
    head: Duration,
    /// When bytes last came or went, or a handler was last seen at work.
    active: Instant,
    /// When the first byte of a head came, until a handler takes over.
    head_began: Option<Instant>,
    /// Handlers that had begun when we last looked.
    begun_seen: usize,
    timer: Pin<Box<Sleep>>,
}

impl<S> TimedSocket<S> {
    /// Wraps `socket`; `busy` counts the handlers at work.
    pub fn new(socket: S, busy: Busy, idle: Duration, head: Duration) -> Self {
        let active = Instant::now();
        let timer = Box::pin(sleep_until(active + idle.min(head)));
        TimedSocket { socket, busy, idle, head, active, head_began: None, begun_seen: 0, timer }
    }

    /// Whether a handler is at work. Forgets about the head where one has taken over since the last look.
    fn look_at_handlers(&mut self, now: Instant) -> bool {
        let begun = self.busy.0.begun.load(Ordering::Relaxed);
        let at_work = self.busy.is_at_work();
        if at_work || begun != self.begun_seen {
            self.begun_seen = begun;
            self.head_began = None;
            self.active = now;
        }
        at_work
    }

    /// Whether the client has run out of time; if not, wakes the task when it will have. Called where the socket has
    /// nothing to give or take.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let now = Instant::now();
            self.look_at_handlers(now);
            let (deadline, what) = match self.head_began {
                Some(began) => (began + self.head, "the head of the request took too long"),
                None => (self.active + self.idle, "the connection was idle for too long"),
            };
            if now >= deadline {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            // The timer may ring early, never late: mostly it is left alone.
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(deadline);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_read(cx, buf) {
            let now = Instant::now();
            self.active = now;
            if !self.look_at_handlers(now) {
                self.head_began.get_or_insert(now);
            }
            return Poll::Ready(result);
        }
        self.poll_late(cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_write(cx, buf) {
            self.active = Instant::now();
            return Poll::Ready(result);
        }
        self.poll_late(cx).map(Err)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs) {
            self.active = Instant::now();
            return Poll::Ready(result);
        }
        self.poll_late(cx).map(Err)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_flush(cx) {
            return Poll::Ready(result);
        }
        self.poll_late(cx).map(Err) // TLS takes bytes before the client does
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_shutdown(cx) {
            return Poll::Ready(result);
        }
        self.poll_late(cx).map(Err)
    }
}

//! How much went over a connection: what became of a request is told by that.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// How much went over one connection, shared by its stream and by those who ask what became of a request on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The bytes that the socket took.
    written: AtomicU64,
    /// The bytes that were read, without what is TLS's own.
    read: AtomicU64,
    /// What was read when a stream on it was given up that waited in vain, and one.
    suspected: AtomicU64,
    served: AtomicBool,
    /// Whether the connection is being driven, by a call or at its end.
    is_driven: AtomicBool,
    /// Whether the next read is to find out if there is anything.
    asks_for_news: AtomicBool,
    /// Whether reads wait until the connection is driven again.
    is_put_off: AtomicBool,
    /// The bytes of a request's body that hyper was given since it had written all that it had.
    unwritten: AtomicUsize,
    /// Wakes the body that waits until it has again.
    refill: Mutex<Option<Waker>>,
}

impl Wire {
    /// Notes that an answer came over it.
    pub(crate) fn serve(&self) {
        self.0.served.store(true, Ordering::Relaxed);
    }

    /// Whether an answer came over it.
    pub(crate) fn has_served(&self) -> bool {
        self.0.served.load(Ordering::Relaxed)
    }

    /// Has the next read, if nothing is written before it, end with an error where there is anything to read: nothing was
    /// asked for.
    pub(crate) fn ask_for_news(&self) {
        self.0.asks_for_news.store(true, Ordering::Relaxed);
    }

    /// Whether this is the read that is asked for news.
    pub(crate) fn is_asked_for_news(&self) -> bool {
        self.0.asks_for_news.load(Ordering::Relaxed) && self.0.asks_for_news.swap(false, Ordering::Relaxed)
    }

    /// Notes whether the connection is being driven. One that was handed over never is.
    pub(crate) fn drive(&self, is_driven: bool) {
        self.0.is_driven.store(is_driven, Ordering::Relaxed);
    }

    /// Whether the connection is being driven.
    pub(crate) fn is_driven(&self) -> bool {
        self.0.is_driven.load(Ordering::Relaxed)
    }

    /// Has reads wait until the connection is driven again, or no longer.
    pub(crate) fn put_off(&self, is_put_off: bool) {
        self.0.is_put_off.store(is_put_off, Ordering::Relaxed);
    }

    /// Whether reads wait until the connection is driven again.
    pub(crate) fn is_put_off(&self) -> bool {
        self.0.is_put_off.load(Ordering::Relaxed)
    }

    /// Notes that the socket took bytes.
    pub(crate) fn took(&self, bytes: usize) {
        self.0.asks_for_news.store(false, Ordering::Relaxed);
        self.0.written.fetch_add(bytes as u64, Ordering::Release);
    }

    /// How far it has come.
    pub(crate) fn mark(&self) -> Watermark {
        Watermark { wire: self.clone(), written: self.written(), read: self.read() }
    }

    /// Notes that the peer said something.
    pub(crate) fn heard(&self, bytes: usize) {
        self.0.read.fetch_add(bytes as u64, Ordering::Release);
    }

    /// Whether nothing was read since a stream was given up that had waited in vain: it may be dead.
    pub(crate) fn is_suspect(&self) -> bool {
        self.0.suspected.load(Ordering::Relaxed) == self.read() + 1
    }

    /// Notes that hyper was given bytes of a body to write.
    pub(crate) fn give(&self, bytes: usize) {
        self.0.unwritten.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether hyper has enough to write for now. The task is woken when all of it is written.
    pub(crate) fn is_full(&self, cx: &Context<'_>) -> bool {
        let is_full = self.0.unwritten.load(Ordering::Relaxed) >= ENOUGH;
        if is_full {
            *self.refill() = Some(cx.waker().clone());
        }
        is_full
    }

    /// Notes that hyper has written all that it had.
    pub(crate) fn flushed(&self) {
        if self.0.unwritten.load(Ordering::Relaxed) > 0 {
            self.0.unwritten.store(0, Ordering::Relaxed);
            if let Some(body) = self.refill().take() {
                body.wake();
            }
        }
    }

    fn refill(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.refill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> u64 {
        self.0.written.load(Ordering::Acquire)
    }

    fn read(&self) -> u64 {
        self.0.read.load(Ordering::Acquire)
    }
}

/// How far a connection had come when an exchange on it began.
#[derive(Clone, Debug)]
pub struct Watermark {
    wire: Wire,
    written: u64,
    read: u64,
}

impl Watermark {
    /// Whether the connection had served a request.
    pub(crate) fn has_served(&self) -> bool {
        self.wire.has_served()
    }

    /// Whether the connection had served a request, and nothing was read of it since: the peer may have closed it just then
    /// (RFC 9112, section 9.3.1).
    pub(crate) fn may_be_stale(&self) -> bool {
        self.wire.has_served() && self.is_unheard()
    }

    /// Whether nothing was written since: of a connection on which nobody else writes, nothing of the request was sent.
    pub(crate) fn is_untouched(&self) -> bool {
        self.wire.written() == self.written
    }

    /// Whether nothing was read since.
    pub(crate) fn is_unheard(&self) -> bool {
        self.wire.read() == self.read
    }

    /// Keeps a connection of which nothing was read since from other requests, until something is.
    pub(crate) fn suspect(&self) {
        if self.is_unheard() {
            self.wire.0.suspected.store(self.read + 1, Ordering::Relaxed);
        }
    }
}

/// From how much on hyper is given no more of a body over HTTP/1.1 before it has written that: with the pieces that bodies
/// mostly come in it holds 32 KiB at most.
const ENOUGH: usize = 16 << 10;

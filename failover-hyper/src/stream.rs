//! One connection: its bytes, and what is known of how it was used.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection over TCP or TLS.
pub struct Stream {
    io: Box<dyn Duplex>,
    http2: bool,
    wire: Wire,
}

impl Stream {
    /// A connection of HTTP/2 or of HTTP/1.1.
    pub(crate) fn over(io: impl Duplex + 'static, http2: bool) -> Self {
        Self { io: Box::new(io), http2, wire: Wire::default() }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.wire.0.read.fetch_add((buf.filled().len() - before) as u64, Ordering::Release);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let took = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.wire.0.written.fetch_add(took as u64, Ordering::Release);
        Poll::Ready(Ok(took))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let took = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.wire.0.written.fetch_add(took as u64, Ordering::Release);
        Poll::Ready(Ok(took))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("http2", &self.http2).finish_non_exhaustive()
    }
}

/// What a connection is made of.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// How much went over one connection, shared by its stream and by those who ask what became of a request on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The bytes that the connection took.
    written: AtomicU64,
    read: AtomicU64,
    /// What was read when a stream on it was given up that waited in vain, and one.
    suspected: AtomicU64,
    served: AtomicBool,
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

    /// How far it has come.
    pub(crate) fn mark(&self) -> Watermark {
        Watermark { wire: self.clone(), written: self.written(), read: self.read() }
    }

    /// Whether nothing was read since a stream was given up that had waited in vain: it may be dead.
    pub(crate) fn is_suspect(&self) -> bool {
        self.0.suspected.load(Ordering::Relaxed) == self.read() + 1
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

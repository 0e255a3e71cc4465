//! One connection: its bytes, and what is known of how it was used.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::Extensions;
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection over TCP or TLS.
pub struct Stream {
    io: Box<dyn Duplex>,
    http2: bool,
    usage: Usage,
}

impl Stream {
    /// A connection of HTTP/2 or of HTTP/1.1.
    pub(crate) fn over(io: impl Duplex + 'static, http2: bool) -> Self {
        Self { io: Box::new(io), http2, usage: Usage::default() }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.usage.clone());
        if self.http2 { connected.negotiated_h2() } else { connected }
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
        if buf.filled().len() > before {
            self.usage.heard(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.usage.heard(false);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.usage.heard(false);
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
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
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// How one connection was used so far, shared by its stream and by what the pool tells of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// Whether a response came over this connection.
    served: AtomicBool,
    /// Whether the last bytes on it were the peer's.
    peer_spoke_last: AtomicBool,
}

impl Usage {
    /// How a connection was used.
    pub(crate) fn of(connected: &Connected) -> Option<Self> {
        let mut extras = Extensions::new();
        connected.get_extras(&mut extras);
        extras.remove()
    }

    /// Notes that a response came.
    pub(crate) fn serve(&self) {
        self.0.served.store(true, Ordering::Relaxed);
    }

    /// Whether the connection had served a request, and the peer has said nothing since the last bytes went to it:
    /// over HTTP/1.1, to the last request; over HTTP/2, to any of those that share the connection.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.served.load(Ordering::Relaxed) && !self.0.peer_spoke_last.load(Ordering::Relaxed)
    }

    fn heard(&self, peer: bool) {
        self.0.peer_spoke_last.store(peer, Ordering::Relaxed);
    }
}

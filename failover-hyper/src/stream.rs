//! One connection, over TCP or TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::wire::Wire;

/// A connection over TCP or TLS.
pub struct Stream {
    /// Read up to a bound that is set for each read.
    io: Take<Box<dyn Duplex>>,
    http2: bool,
    wire: Wire,
}

impl Stream {
    /// A connection of HTTP/2 or of HTTP/1.1, whose bytes go over `wire`.
    pub(crate) fn over(io: impl Duplex + 'static, http2: bool, wire: Wire) -> Self {
        let io: Box<dyn Duplex> = Box::new(io);
        Self { io: io.take(MOST_READ), http2, wire }
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
        if self.wire.is_put_off() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        self.io.set_limit(MOST_READ);
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.wire.heard(buf.filled().len() - before);
        let is_all = self.io.limit() > 0 && buf.remaining() > 0;
        // hyper reads on at once, in vain. A connection of HTTP/2 is not driven.
        if is_all && self.wire.is_driven() {
            self.wire.put_off(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.io.get_mut()).poll_flush(cx))?;
        self.wire.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(cx)
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

/// How much is read at once: less than 16 KiB, since hyper doubles its buffer of that where it is filled, and of a record of TLS
/// no odd byte is left.
const MOST_READ: u64 = 12 << 10;

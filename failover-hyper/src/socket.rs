//! The socket under a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtime::Runtime;
use crate::wire::Wire;

/// A socket whose writes are counted: below TLS, which takes bytes and may fail to write them.
pub(crate) struct Counted<R: Runtime> {
    socket: R::Tcp,
    wire: Wire,
}

impl<R: Runtime> Counted<R> {
    pub(crate) fn new(socket: R::Tcp, wire: Wire) -> Self {
        Self { socket, wire }
    }
}

impl<R: Runtime> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.wire.asks_for_news() && R::has_news(&self.socket) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<R: Runtime> AsyncWrite for Counted<R> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let took = ready!(Pin::new(&mut self.socket).poll_write(cx, buf))?;
        self.wire.took(took);
        Poll::Ready(Ok(took))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let took = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, bufs))?;
        self.wire.took(took);
        Poll::Ready(Ok(took))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

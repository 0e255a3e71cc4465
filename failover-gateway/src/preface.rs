//! Which HTTP a client speaks: its first bytes tell.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// A stream with its first bytes, which were read already.
pub(crate) struct Prefaced<S> {
    stream: S,
    first: [u8; HTTP2.len()],
    /// Which of them are still to be read.
    begin: usize,
    end: usize,
}

impl<S: AsyncRead + Unpin> Prefaced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, first: [0; HTTP2.len()], begin: 0, end: 0 }
    }

    /// Whether the client speaks HTTP/2 (RFC 9113, section 3.4), for which its bytes are read as far as they may say so.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub(crate) async fn is_http2(&mut self) -> io::Result<bool> {
        while self.end < HTTP2.len() {
            let read = self.stream.read(&mut self.first[self.end..]).await?;
            self.end += read;
            if read == 0 || self.first[..self.end] != HTTP2[..self.end] {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin < self.end {
            let length = buf.remaining().min(self.end - self.begin);
            buf.put_slice(&self.first[self.begin..self.begin + length]);
            self.begin += length;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

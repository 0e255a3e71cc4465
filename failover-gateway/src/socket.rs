//! The socket of a client's connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Activity;
use crate::listener::Accepted;

/// A socket that notes what comes, and is reset where it is to be.
pub(crate) struct Socket {
    stream: Accepted,
    activity: Arc<Activity>,
    /// Whether the last write waits for the client.
    blocked: bool,
}

impl Socket {
    pub(crate) fn new(stream: Accepted, activity: &Arc<Activity>) -> Self {
        if let Accepted::Tcp(stream, _) = &stream {
            let _ = stream.set_nodelay(true);
        }
        Self { stream, activity: Arc::clone(activity), blocked: false }
    }

    /// Notes whether a write waits for the client.
    fn note(&mut self, blocked: bool) {
        if self.blocked != blocked {
            self.blocked = blocked;
            self.activity.is_blocked(blocked);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Accepted::Tcp(stream, _) = &self.stream {
            if self.activity.is_to_be_reset() {
                let _ = stream.set_zero_linger();
            }
        }
    }
}

macro_rules! on_stream {
    ($self:ident, $stream:ident => $does:expr) => {
        match &mut $self.stream {
            Accepted::Tcp($stream, _) => $does,
            #[cfg(unix)]
            Accepted::Unix($stream) => $does,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(on_stream!(self, stream => Pin::new(stream).poll_read(cx, buf)))?;
        if buf.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = on_stream!(self, stream => Pin::new(stream).poll_write(cx, buf));
        self.note(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = on_stream!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs));
        self.note(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_to_be_reset() {
            return Poll::Ready(Ok(()));
        }
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

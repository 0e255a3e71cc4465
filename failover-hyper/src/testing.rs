//! A runtime and bodies for the tests of this crate.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::runtime::Runtime;
use crate::stream::Stream;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokio;

impl Runtime for Tokio {
    type Socket = TcpStream;
    type Io = TokioIo<Stream>;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + Sync + 'static {
        tokio::time::sleep(time)
    }

    async fn timeout<F>(time: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        tokio::time::timeout(time, future).await.ok()
    }

    fn is_running() -> bool {
        tokio::runtime::Handle::try_current().is_ok()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    async fn connect_unix(_: &str) -> io::Result<TcpStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn has_news(_: &TcpStream) -> bool {
        false
    }

    fn io(stream: Stream) -> TokioIo<Stream> {
        TokioIo::new(stream)
    }
}

/// A body of these frames.
pub(crate) struct Frames<E>(pub(crate) VecDeque<Result<Frame<Bytes>, E>>);

impl<E: Unpin> Body for Frames<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(self.0.pop_front())
    }
}

/// A body of frames that come when they come.
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Result<Frame<Bytes>, &'static str>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.0.poll_recv(cx)
    }
}

/// A body of which nothing comes.
pub(crate) struct Stalled;

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

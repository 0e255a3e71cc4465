//! What hyper needs of a runtime, from async-std: tasks, timers and connections. There is no other runtime.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_std::io::{Read, Write};
use async_std::task;
use hyper::rt;

/// Runs hyper's connections as tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        task::spawn(future);
    }
}

/// Measures how long connections are idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Box::pin(task::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(now()))
    }

    fn now(&self) -> Instant {
        now()
    }
}

struct Sleep(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

impl rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// A stream of async-std as hyper reads and writes it.
pub(crate) struct HyperIo<S> {
    stream: S,
    /// What was read last: the safe way into hyper's buffer is a copy.
    buffer: Box<[u8]>,
}

impl<S> HyperIo<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; BUFFER].into() }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Read + Unpin> rt::Read for HyperIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, buffer } = self.get_mut();
        let room = buf.remaining().min(buffer.len());
        let count = ready!(Pin::new(stream).poll_read(cx, &mut buffer[..room]))?;
        buf.put_slice(&buffer[..count.min(room)]);
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> rt::Write for HyperIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "async-std has no clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How much is read at once.
const BUFFER: usize = 16 << 10;

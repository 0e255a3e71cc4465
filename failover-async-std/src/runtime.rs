//! What failover needs of async-std, and what hyper does. There is no other runtime.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Async;
use async_std::future::timeout;
use async_std::io::Write as _;
use async_std::task;
use failover_hyper::{Runtime, Socket, Stream};
use hyper::rt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::readiness::Readiness;

/// The runtime of async-std: its timers, tasks and sockets, and the system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsyncStd;

impl Runtime for AsyncStd {
    type Socket = Socket<Compat<TcpStream>, Compat<Unix>>;
    type Io = HyperIo;

    #[expect(clippy::disallowed_methods, reason = "async-std has no clock of its own")]
    fn now() -> Instant {
        Instant::now()
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + Sync + 'static {
        task::sleep(time)
    }

    async fn timeout<F>(time: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        timeout(time, future).await.ok()
    }

    fn is_running() -> bool {
        true
    }

    fn spawn(background: impl Future<Output = ()> + Send + 'static) {
        task::spawn(background);
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Socket> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(Socket::Tcp(Compat::new(stream)))
    }

    #[cfg(unix)]
    async fn connect_unix(path: &str) -> io::Result<Self::Socket> {
        Async::<UnixStream>::connect(path).await.map(Compat::new).map(Socket::Unix)
    }

    #[cfg(not(unix))]
    async fn connect_unix(_: &str) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn has_news(socket: &Self::Socket) -> bool {
        match socket {
            Socket::Tcp(socket) => socket.readiness.glance(),
            Socket::Unix(socket) => socket.readiness.glance(),
        }
        false
    }

    fn io(stream: Stream) -> HyperIo {
        HyperIo(stream)
    }
}

#[cfg(unix)]
type Unix = UnixStream;

/// There are none.
#[cfg(not(unix))]
type Unix = TcpStream;

/// A socket of async-std's reactor, under the traits of the tokio crate.
#[derive(Debug)]
pub(crate) struct Compat<S> {
    socket: Async<S>,
    readiness: Readiness,
}

impl<S> Compat<S> {
    fn new(socket: Async<S>) -> Self {
        Self { socket, readiness: Readiness::unknown() }
    }
}

impl<S> AsyncRead for Compat<S>
where
    for<'a> &'a S: Read,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { socket, readiness } = &*self;
        let read = || socket.get_ref().read(buf.initialize_unfilled());
        let count = ready!(readiness.read(cx, read, |cx| socket.poll_readable(cx)))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncWrite for Compat<S>
where
    for<'a> &'a S: Write,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.socket).poll_close(cx)
    }
}

/// A connection as hyper reads and writes it.
#[derive(Debug)]
pub(crate) struct HyperIo(Stream);

impl rt::Read for HyperIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        READ.with_borrow_mut(|read| {
            let room = buf.remaining().min(BUFFER);
            read.resize(BUFFER, 0);
            let mut read = ReadBuf::new(&mut read[..room]);
            ready!(Pin::new(&mut self.get_mut().0).poll_read(cx, &mut read))?;
            buf.put_slice(read.filled());
            Poll::Ready(Ok(()))
        })
    }
}

impl rt::Write for HyperIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

thread_local! {
    /// What was read last on this thread: the safe way into hyper's buffer is a copy.
    static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How much is read at once.
const BUFFER: usize = 16 << 10;

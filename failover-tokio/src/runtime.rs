//! What failover needs of tokio.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use failover_hyper::{Runtime, Socket, Stream};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::time;

/// The runtime of tokio: its clock, which tests can pause, its timers, tasks and sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Socket = Socket<TcpStream, Unix>;
    type Io = TokioIo<Stream>;

    fn now() -> Instant {
        time::Instant::now().into_std()
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + Sync + 'static {
        time::sleep(time)
    }

    async fn timeout<F>(time: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        time::timeout(time, future).await.ok()
    }

    fn is_running() -> bool {
        Handle::try_current().is_ok()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Socket> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Socket::Tcp(stream))
    }

    #[cfg(unix)]
    async fn connect_unix(path: &str) -> io::Result<Self::Socket> {
        UnixStream::connect(path).await.map(Socket::Unix)
    }

    #[cfg(not(unix))]
    async fn connect_unix(_: &str) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn has_news(socket: &Self::Socket) -> bool {
        let socket = match socket {
            Socket::Tcp(socket) => SockRef::from(socket),
            Socket::Unix(socket) => SockRef::from(socket),
        };
        // tokio's own reads wait for news of the system, which may have come without its knowledge.
        let peeked = socket.peek(&mut [MaybeUninit::uninit()]);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn io(stream: Stream) -> TokioIo<Stream> {
        TokioIo::new(stream)
    }
}

#[cfg(unix)]
type Unix = UnixStream;

/// There are none.
#[cfg(not(unix))]
type Unix = TcpStream;

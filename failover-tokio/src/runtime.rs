//! What failover needs of tokio.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use failover_hyper::{Runtime, Stream};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time;

/// The runtime of tokio: its clock, which tests can pause, its timers, tasks and sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Tcp = TcpStream;
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

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn has_news(tcp: &TcpStream) -> bool {
        // tokio's own reads wait for news of the system, which may have come without its knowledge.
        let peeked = SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn io(stream: Stream) -> TokioIo<Stream> {
        TokioIo::new(stream)
    }
}

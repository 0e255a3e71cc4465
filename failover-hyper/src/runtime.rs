//! What is asked of a runtime, and what hyper needs of one, made of that.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::stream::Stream;

/// What a runtime gives: time, tasks, names and connections.
///
/// The traits for streams are those of the tokio crate, which need no runtime of tokio's. A type that implements this is
/// a name for the runtime and holds nothing.
pub trait Runtime: Copy + Debug + Default + Send + Sync + Unpin + 'static {
    /// A connection of TCP, or to a Unix socket.
    type Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static;

    /// A connection, as hyper reads and writes it.
    type Io: rt::Read + rt::Write + Send + Sync + Unpin + 'static;

    /// The present moment.
    fn now() -> Instant;

    /// Waits.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + Sync + 'static;

    /// Runs a future to its end, or drops it when the time is over: then there is no output.
    fn timeout<F>(time: Duration, future: F) -> impl Future<Output = Option<F::Output>> + Send
    where
        F: Future<Output: Send> + Send;

    /// Whether it is here, so that tasks can be run.
    fn is_running() -> bool;

    /// Runs a task in the background.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// Connects to an address, without Nagle's algorithm.
    ///
    /// # Errors
    ///
    /// Nobody takes the connection there.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Socket>> + Send + 'static;

    /// Connects to the Unix socket at a path.
    ///
    /// # Errors
    ///
    /// It does not take the connection, or the system has no such sockets.
    fn connect_unix(path: &str) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Whether there is something to read on a connection, or it was closed, asked of the system itself. `false` where the read
    /// that follows asks the system.
    fn has_news(socket: &Self::Socket) -> bool;

    /// Makes a connection one that hyper can use.
    fn io(stream: Stream) -> Self::Io;
}

/// The time of connections over HTTP/2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer<R>(PhantomData<R>);

impl<R: Runtime> rt::Timer for Timer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Some(Box::pin(R::sleep(duration)))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(R::now()))
    }

    fn now(&self) -> Instant {
        R::now()
    }
}

/// Time that passes. hyper asks also after it has passed, which not every runtime's future can be.
struct Sleep(Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>);

impl rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.0 {
            ready!(sleep.as_mut().poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Guards: `Sleep` that asks a future which has ended.
    #[test]
    fn time_that_has_passed_can_be_asked_for_again() {
        let mut sleep = Sleep(Some(Box::pin(async {})));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(cx).is_ready());
        assert!(Pin::new(&mut sleep).poll(cx).is_ready());
    }
}

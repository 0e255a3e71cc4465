//! Two connections that are joined: bytes pass both ways.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// The two connections of a request that was upgraded, joined: bytes pass both ways, by a task of its own.
///
/// The 101 that [`FailoverClient::forward`](crate::FailoverClient::forward) returns carries it as an extension, for a server
/// that counts its connections, or ends them when it ends. Dropping it changes nothing.
///
/// It ends when both sides have closed, when one breaks off, when nothing came of either for as long as the policy's
/// `body_idle`, or when it is cut.
///
/// # Examples
///
/// ```
/// # async fn after<B>(response: &http::Response<B>, drained: tokio::time::Instant) {
/// if let Some(tunnel) = response.extensions().get::<failover_tokio::Tunnel>().cloned() {
///     if tokio::time::timeout_at(drained, tunnel.ended()).await.is_err() {
///         tunnel.cut();
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tunnel {
    task: AbortHandle,
    /// Its sender is dropped with the task.
    running: watch::Receiver<()>,
}

impl Tunnel {
    /// Joins two connections once both were handed over. `idle` bounds the silence of both.
    pub(crate) fn between(client: OnUpgrade, target: OnUpgrade, idle: Option<Duration>) -> Self {
        let (sender, running) = watch::channel(());
        let task = tokio::spawn(async move {
            join(client, target, idle).await;
            drop(sender);
        });
        Self { task: task.abort_handle(), running }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut running = self.running.clone();
        while running.changed().await.is_ok() {}
    }

    /// Ends it now.
    pub fn cut(&self) {
        self.task.abort();
    }
}

async fn join(client: OnUpgrade, target: OnUpgrade, idle: Option<Duration>) {
    let moved = Mutex::new(Instant::now());
    let mut passing = pin!(async {
        let (Ok(target), Ok(client)) = (target.await, client.await) else { return };
        let (mut target, client) = (TokioIo::new(target), TokioIo::new(client));
        let _ = copy_bidirectional(&mut Watched { io: client, moved: &moved }, &mut target).await;
    });
    let Some(idle) = idle else { return passing.await };
    loop {
        let since = *moved.lock().unwrap_or_else(PoisonError::into_inner);
        let left = idle.saturating_sub(since.elapsed());
        if left.is_zero() || timeout(left, passing.as_mut()).await.is_ok() {
            return;
        }
    }
}

/// The client's side of a tunnel, by which all passes that passes.
struct Watched<'a> {
    io: TokioIo<Upgraded>,
    /// When something did last.
    moved: &'a Mutex<Instant>,
}

impl Watched<'_> {
    fn note(&self, bytes: usize) {
        if bytes > 0 {
            *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.note(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.note(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

//! Two connections that are joined: bytes pass both ways.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

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
    passed: Passed,
}

impl Tunnel {
    /// Joins two connections once both were handed over. `idle` bounds the silence of both.
    pub(crate) fn between(client: OnUpgrade, target: OnUpgrade, idle: Option<Duration>) -> Self {
        let (sender, running) = watch::channel(());
        let passed = Passed(Arc::new(Mutex::new(Instant::now())));
        let known = passed.clone();
        let task = tokio::spawn(async move {
            let mut joined = pin!(join(client, target, known.clone()));
            let mut silent = pin!(known.none_for(idle.unwrap_or(Duration::MAX)));
            poll_fn(|cx| {
                if silent.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { joined.as_mut().poll(cx) }
            })
            .await;
            drop(sender);
        });
        Self { task: task.abort_handle(), running, passed }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut running = self.running.clone();
        while running.changed().await.is_ok() {}
    }

    /// Waits until nothing has come of either side for so long.
    pub async fn idle(&self, limit: Duration) {
        self.passed.none_for(limit).await;
    }

    /// Ends it now.
    pub fn cut(&self) {
        self.task.abort();
    }
}

/// Passes bytes both ways until both sides have closed.
async fn join(client: OnUpgrade, target: OnUpgrade, passed: Passed) {
    let (Ok(target), Ok(Ok(client))) = (target.await, timeout(LONGEST_ANSWER, client).await) else { return };
    let mut client = Watched { io: TokioIo::new(client), passed };
    let _ = copy_bidirectional(&mut client, &mut TokioIo::new(target)).await;
}

/// When something passed last.
#[derive(Clone, Debug)]
struct Passed(Arc<Mutex<Instant>>);

impl Passed {
    fn note(&self, bytes: usize) {
        if bytes > 0 {
            *self.lock() = Instant::now();
        }
    }

    /// Waits until nothing has passed for so long.
    async fn none_for(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.lock().elapsed());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's side of a tunnel, by which all passes.
struct Watched {
    io: TokioIo<Upgraded>,
    passed: Passed,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.passed.note(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.passed.note(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// How long a server has to send the 101.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

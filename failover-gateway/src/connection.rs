//! One connection of a client: whose turn it is on it, since when, and how it ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// What happens on a connection.
pub(crate) struct Activity {
    state: Mutex<State>,
    leave: Notify,
}

struct State {
    calls: usize,
    /// Of these, how many wait for a target. When none does, it is the client's turn.
    waiting: usize,
    /// When something happened last.
    since: Instant,
    /// Whether the connection is to be reset where it would be closed.
    reset: bool,
}

impl Activity {
    pub(crate) fn begin() -> Self {
        let state = State { calls: 0, waiting: 0, since: Instant::now(), reset: false };
        Self { state: Mutex::new(state), leave: Notify::new() }
    }

    /// Notes that something happened.
    pub(crate) fn touch(&self) {
        self.state().since = Instant::now();
    }

    /// Waits until the client has not done for so long what is its turn: sent a request, or taken of an answer.
    pub(crate) async fn idle(&self, limit: Duration) {
        self.quiet(limit, |state| state.waiting).await;
    }

    /// Waits until there was no call for so long.
    pub(crate) async fn without_calls(&self, limit: Duration) {
        self.quiet(limit, |state| state.calls).await;
    }

    /// Since when there was no call, if there is none.
    fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.calls == 0).then_some(state.since)
    }

    /// Waits until its place is needed for another connection.
    pub(crate) async fn unwanted(&self) {
        self.leave.notified().await;
    }

    async fn quiet(&self, limit: Duration, busy: impl Fn(&State) -> usize) {
        loop {
            let left = {
                let state = self.state();
                if busy(&state) == 0 { limit.saturating_sub(state.since.elapsed()) } else { limit }
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that are open.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<Mutex<Vec<Weak<Activity>>>>);

impl Open {
    /// Adds one, which is there until it is dropped.
    pub(crate) fn add(&self, activity: &Arc<Activity>) {
        let mut open = self.lock();
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(activity));
    }

    /// Has the one leave that has had no call for longest, if that is long enough for a client to send its next request.
    pub(crate) fn dismiss_idlest(&self) {
        let open: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let idle = open.iter().filter_map(|activity| Some((activity.idle_since()?, activity)));
        match idle.min_by_key(|(since, _)| *since) {
            Some((since, idlest)) if since.elapsed() >= GRACE => idlest.leave.notify_one(),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Activity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call, from the head of its request to the end of its answer.
pub(crate) struct Call(Arc<Activity>);

impl Call {
    pub(crate) fn begin(activity: &Arc<Activity>) -> Self {
        activity.state().calls += 1;
        Self(Arc::clone(activity))
    }

    /// Notes that something happened.
    pub(crate) fn touch(&self) {
        self.0.touch();
    }

    /// A target's turn, which lasts until it is dropped.
    pub(crate) fn waits(&self) -> Turn {
        self.0.state().waiting += 1;
        Turn(Arc::clone(&self.0))
    }

    /// Lets the connection end by a reset.
    pub(crate) fn reset_connection(&self) {
        self.0.state().reset = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.calls -= 1;
        state.since = Instant::now();
    }
}

/// The time in which a call waits for a target.
pub(crate) struct Turn(Arc<Activity>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        state.since = Instant::now();
    }
}

/// The socket of a connection.
pub(crate) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, activity: &Arc<Activity>) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, activity: Arc::clone(activity) }
    }

    fn is_to_be_reset(&self) -> bool {
        self.activity.state().reset
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_to_be_reset() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
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
        if self.is_to_be_reset() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How long a connection without a call keeps its place though another one wants it.
const GRACE: Duration = Duration::from_secs(1);

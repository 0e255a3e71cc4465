//! The server: connections of HTTP/1.1 and HTTP/2, the limits that they are kept to, and their end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tracing::{debug, warn};

use crate::settings::Limits;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves connections until `end`, and then those that have calls under way; tells whether all of these ended in time.
pub(crate) async fn serve<H, F, B>(
    listener: TcpListener,
    limits: Limits,
    handler: H,
    end: impl Future<Output = ()>,
) -> bool
where
    H: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    let (drain, draining) = watch::channel(false);
    let mut end = pin!(end);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut end => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = converse(stream, peer.ip(), limits, handler.clone(), draining.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!("no connection can be taken: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drain.send_replace(true);
    timeout(limits.drain_timeout, places.acquire_many(limits.max_connections)).await.is_ok()
}

/// Serves one connection to its end.
async fn converse<H, F, B>(
    stream: TcpStream,
    peer: IpAddr,
    limits: Limits,
    handler: H,
    mut draining: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, IpAddr) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let limit = limits.idle_timeout;
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limit));
    let activity = Arc::new(Activity::begin());
    let service = service_fn(|request| {
        let (call, answer) = (Call::begin(&activity), handler(request, peer));
        async move {
            Ok::<_, Infallible>(answer.await.map(|body| Outgoing { body, limit, stall: None, _call: call }))
        }
    });
    let http = http(limit);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service));

    tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = activity.idle(limit) => {}
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    // One that does not heed that is cut off.
    tokio::select! {
        result = connection.as_mut() => ended(result),
        () = activity.idle(limit) => {}
    }
}

fn ended(result: Result<(), BoxError>) {
    if let Err(error) = result {
        debug!("a connection broke off: {error}");
    }
}

fn http(idle_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(idle_timeout).max_buf_size(MAX_HEAD as usize);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(idle_timeout)
        .max_header_list_size(MAX_HEAD)
        .max_concurrent_streams(MAX_STREAMS);
    http
}

/// Whether accepting failed because of the one that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How many calls a connection has under way, and since when it has none.
struct Activity(Mutex<(usize, Instant)>);

impl Activity {
    fn begin() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    /// Waits until the connection had no call for so long.
    async fn idle(&self, limit: Duration) {
        loop {
            let left = match *self.lock() {
                (0, since) => limit.saturating_sub(since.elapsed()),
                _ => limit,
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call of a connection, from the head of its request to the end of its answer.
struct Call(Arc<Activity>);

impl Call {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.lock().0 += 1;
        Self(Arc::clone(activity))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut activity = self.0.lock();
        *activity = (activity.0 - 1, Instant::now());
    }
}

/// The body of an answer, which fails if nothing comes of it for too long.
struct Outgoing<B> {
    body: B,
    limit: Duration,
    /// While the next piece is waited for.
    stall: Option<Pin<Box<Sleep>>>,
    _call: Call,
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.stall = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let stall = this.stall.get_or_insert_with(|| Box::pin(sleep(this.limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Some(Err("the answer stood still for too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 << 10;

/// The most calls at a time on a connection of HTTP/2.
const MAX_STREAMS: u32 = 100;

/// How long no connection is taken after this process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

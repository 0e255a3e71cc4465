//! The server: connections of HTTP/1.1 and HTTP/2, the limits that they are kept to, and their end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use failover_tokio::Tunnel;
use http::{Request, Response, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tracing::{debug, info, warn};

use crate::connection::{Activity, Call, Open, Socket, Turn};
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
    // A connection of HTTP/2 can have many calls, and each may take a connection to a target.
    let slots = Arc::new(Semaphore::new(limits.max_connections as usize));
    let open = Open::default();
    let (drain, draining) = watch::channel(false);
    let mut end = pin!(end);
    loop {
        let next = async {
            let accepted = listener.accept().await;
            (place(&places, &open).await, accepted)
        };
        let (place, accepted) = tokio::select! {
            () = &mut end => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let activity = Arc::new(Activity::begin());
                open.add(&activity);
                let (handler, slots, draining) = (handler.clone(), Arc::clone(&slots), draining.clone());
                let connection = converse(stream, peer.ip(), limits, handler, activity, slots, draining);
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

/// A place for a connection: a free one, or else that of the connection that has been idle for longest.
async fn place(places: &Arc<Semaphore>, open: &Open) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    loop {
        open.dismiss_idlest();
        // Where none is idle, one may become so.
        if let Ok(place) = timeout(IDLE_CHECK, Arc::clone(places).acquire_owned()).await {
            return place.ok();
        }
    }
}

/// Serves one connection to its end.
async fn converse<H, F, B>(
    stream: TcpStream,
    peer: IpAddr,
    limits: Limits,
    handler: H,
    activity: Arc<Activity>,
    slots: Arc<Semaphore>,
    mut draining: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, IpAddr) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let limit = limits.idle_timeout;
    let upgraded = Arc::new(OnceLock::new());
    let service = service_fn(|request| {
        let (call, version) = (Call::begin(&activity), request.version());
        let (slot, answer) = (Arc::clone(&slots).acquire_owned(), handler(request, peer));
        let upgraded = Arc::clone(&upgraded);
        async move {
            let waiting = call.waits();
            let mut slot = slot.await.ok();
            let response = answer.await;
            drop(waiting);
            if let Some(tunnel) = response.extensions().get::<Tunnel>() {
                let _ = upgraded.set((tunnel.clone(), slot.take()));
            }
            let outgoing = |body| Outgoing { body, limit, version, waiting: None, call, _slot: slot };
            Ok::<_, Infallible>(response.map(outgoing))
        }
    });
    let http = http(limit);
    let socket = TokioIo::new(Socket::new(stream, &activity));
    let mut connection = pin!(http.serve_connection_with_upgrades(socket, service));

    let talk = async {
        let leaves = tokio::select! {
            result = connection.as_mut() => return ended(result),
            () = activity.idle(limit) => false,
            () = activity.unwanted() => true,
            _ = draining.wait_for(|draining| *draining) => true,
        };
        activity.touch();
        connection.as_mut().graceful_shutdown();
        // One that does not heed that is cut off.
        tokio::select! {
            result = connection.as_mut() => ended(result),
            () = activity.idle(limit) => {}
            () = activity.without_calls(LAST_WORDS), if leaves => {}
        }
    };
    talk.await;
    // One that was upgraded has its place, and its limit, until both sides are done.
    if let Some((tunnel, _slot)) = upgraded.get() {
        let _call = Call::begin(&activity);
        tokio::select! {
            () = tunnel.ended() => {}
            () = tunnel.idle(limit) => tunnel.cut(),
        }
    }
}

fn ended(result: Result<(), BoxError>) {
    if let Err(error) = result {
        debug!("a connection broke off: {error}");
    }
}

fn http(idle_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().max_buf_size(MAX_HEAD as usize);
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

/// The body of an answer, which fails if nothing comes of it for too long.
struct Outgoing<B> {
    body: B,
    limit: Duration,
    version: Version,
    /// While the next piece is waited for: the target's turn, and how long it may last.
    waiting: Option<(Turn, Pin<Box<Sleep>>)>,
    call: Call,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<B> Outgoing<B> {
    fn broke_off(&self, error: BoxError) -> BoxError {
        // The end of the connection is that of the body (RFC 9112, section 6.3), and must not look like a good one.
        if self.version == Version::HTTP_10 {
            self.call.reset_connection();
        }
        error
    }
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
            this.waiting = None;
            this.call.touch();
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| this.broke_off(error.into()))));
        }
        let (_, stall) = this.waiting.get_or_insert_with(|| (this.call.waits(), Box::pin(sleep(this.limit))));
        ready!(stall.as_mut().poll(cx));
        info!("an answer stood still for {:?}, and is broken off", this.limit);
        Poll::Ready(Some(Err(this.broke_off("it stood still for too long".into()))))
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

/// How often it is looked for a connection that is idle while another one waits for its place.
const IDLE_CHECK: Duration = Duration::from_millis(100);

/// How long no connection is taken after this process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection without calls has to end when the process does, or when another one needs its place.
const LAST_WORDS: Duration = Duration::from_secs(1);

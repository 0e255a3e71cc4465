//! One connection of a client, from its first byte to its end.

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use failover_tokio::rustls::ServerConfig;
use failover_tokio::{Peer, Tunnel};
use http::{Method, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::activity::{Activity, Call};
use crate::caller::Caller;
use crate::listener::Accepted;
use crate::outgoing::{BoxError, Kept, Outgoing};
use crate::places::Places;
use crate::preface::Prefaced;
use crate::socket::Socket;
use crate::woken::when_woken;

/// An answer, and what goes on until it was sent.
pub(crate) struct Answered<B> {
    pub(crate) response: Response<B>,
    pub(crate) kept: Kept,
}

impl<B> From<Response<B>> for Answered<B> {
    fn from(response: Response<B>) -> Self {
        Self { response, kept: Kept::default() }
    }
}

/// What is said on connections: how requests are answered, and what clients are kept to.
pub(crate) struct Manners<H> {
    pub(crate) handler: H,
    pub(crate) idle_timeout: Duration,
    /// How many header lines a request of HTTP/1.1 may have, unless it is hyper's own bound.
    pub(crate) max_headers: Option<u32>,
    /// TLS is spoken as this says now, if it is.
    pub(crate) tls: Option<watch::Receiver<Arc<ServerConfig>>>,
}

impl<H, F, B> Manners<H>
where
    H: Fn(Request<Incoming>, Arc<Caller>) -> F + Send + Sync + 'static,
    F: Future<Output = Answered<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// Serves one connection to its end.
    pub(crate) async fn converse(self: &Arc<Self>, accepted: Accepted, activity: &Arc<Activity>) {
        let address = match &accepted {
            Accepted::Tcp(_, address) => Some(*address),
            #[cfg(unix)]
            Accepted::Unix(_) => None,
        };
        let peer = address.map_or_else(Peer::unnamed, Peer::new);
        let caller = Caller { peer, address, place: Places::own() };
        let socket = Socket::new(accepted, activity);
        let Some(tls) = &self.tls else { return self.speak(socket, None, caller, activity).await };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let handshake = async {
            match acceptor.accept(socket).await {
                Ok(stream) => Some(stream),
                Err(error) => {
                    debug!("no TLS is spoken with a client: {error}");
                    None
                }
            }
        };
        if let Some(stream) = self.unless_left(handshake, activity).await.flatten() {
            activity.greeted();
            let is_http2 = stream.get_ref().1.alpn_protocol().map(|protocol| protocol == b"h2");
            let caller = Caller { peer: caller.peer.over_tls(), ..caller };
            self.speak(stream, is_http2, caller, activity).await;
        }
    }

    /// Speaks HTTP on a stream, in the version that was agreed on, or that the client begins with.
    async fn speak<S>(
        self: &Arc<Self>,
        stream: S,
        is_http2: Option<bool>,
        caller: Caller,
        activity: &Arc<Activity>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut stream = Prefaced::new(stream);
        let is_http2 = match is_http2 {
            Some(is_http2) => is_http2,
            None => match self.unless_left(stream.is_http2(), activity).await {
                Some(Ok(is_http2)) => is_http2,
                _ => return,
            },
        };
        if is_http2 {
            self.speak_http2(stream, Arc::new(caller), activity).await;
        } else {
            self.speak_http1(stream, Arc::new(caller), activity).await;
        }
    }

    async fn speak_http1<S>(self: &Arc<Self>, stream: S, caller: Arc<Caller>, activity: &Arc<Activity>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let upgraded = Arc::new(OnceLock::new());
        let service = service_fn(|request: Request<Incoming>| {
            let (call, manners, caller) = (Call::begin(activity), Arc::clone(self), Arc::clone(&caller));
            let upgraded = Arc::clone(&upgraded);
            async move {
                let (version, is_head) = (request.version(), *request.method() == Method::HEAD);
                let Answered { response, mut kept } = (manners.handler)(request, caller).await;
                if let Some(tunnel) = response.extensions().get::<Tunnel>() {
                    let _ = upgraded.set((tunnel.clone(), kept.place.take()));
                }
                Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, version, is_head, call, kept)))
            }
        });
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD as usize);
        if let Some(count) = self.max_headers {
            http.max_headers(count as usize);
        }
        let mut connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let shut_down = http1::UpgradeableConnection::graceful_shutdown;
        let end = self.attend(Pin::new(&mut connection), shut_down, activity, Patience::Spent).await;
        if let End::OfPatience = end {
            let parts = if activity.is_within_a_head() { connection.into_parts() } else { None };
            if let Some(parts) = parts {
                refuse(parts.io.into_inner()).await;
            }
            activity.cut_off();
            return;
        }
        // One that was upgraded has its place until both sides are done.
        if let Some((tunnel, _place)) = upgraded.get() {
            let _call = Call::begin(activity);
            tokio::select! {
                () = tunnel.ended() => {}
                () = tunnel.idle(self.idle_timeout) => tunnel.cut(),
            }
        }
    }

    async fn speak_http2<S>(self: &Arc<Self>, stream: S, caller: Arc<Caller>, activity: &Arc<Activity>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let (call, manners, caller) = (Call::begin(activity), Arc::clone(self), Arc::clone(&caller));
            async move {
                let (version, is_head) = (request.version(), *request.method() == Method::HEAD);
                let Answered { response, kept } = (manners.handler)(request, caller).await;
                Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, version, is_head, call, kept)))
            }
        });
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(self.idle_timeout)
            .max_header_list_size(MAX_HEAD)
            // A few bytes that refer to a large header that is remembered can be many. Who does so unasked is not refused, but
            // held to the size of a head.
            .header_table_size(0)
            // Of each answer that its client does not take as much is kept, and its window may be as large as it likes.
            .max_send_buf_size(MAX_UNSENT)
            .max_concurrent_streams(MAX_STREAMS);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let shut_down = http2::Connection::graceful_shutdown;
        self.attend(pin!(connection), shut_down, activity, Patience::ForLastWords).await;
    }

    /// Lets a connection talk until it ends, or has been told to end and does not heed that.
    async fn attend<C>(
        &self,
        mut connection: Pin<&mut C>,
        shut_down: fn(Pin<&mut C>),
        activity: &Activity,
        patience: Patience,
    ) -> End
    where
        C: Future<Output = hyper::Result<()>>,
    {
        // A connection is polled for each call, and neither of these has news of it.
        let is_over = when_woken(async {
            tokio::select! {
                () = activity.idle(self.idle_timeout) => true,
                () = activity.unwanted() => false,
            }
        });
        tokio::select! {
            biased;
            result = connection.as_mut() => return ended(result),
            is_over = is_over => {
                if is_over && matches!(patience, Patience::Spent) {
                    return End::OfPatience;
                }
            }
        }
        activity.dismissed();
        shut_down(connection.as_mut());
        // Of an answer over HTTP/2 that ended, the client may not have taken all.
        let is_read_on = matches!(patience, Patience::ForLastWords) && activity.has_had_calls();
        let last_words = if is_read_on { 5 * LAST_WORDS } else { LAST_WORDS };
        tokio::select! {
            result = connection => ended(result),
            () = activity.idle(self.idle_timeout) => End::OfTalk,
            () = activity.without_calls(last_words) => End::OfTalk,
        }
    }

    /// Waits for the beginning of a conversation, unless it takes too long or the client is to go.
    async fn unless_left<T>(&self, beginning: impl Future<Output = T>, activity: &Activity) -> Option<T> {
        tokio::select! {
            begun = beginning => Some(begun),
            () = activity.idle(self.idle_timeout) => None,
            () = activity.unwanted() => None,
        }
    }
}

/// Tells a client whose request did not come in time (RFC 9110, section 15.5.9).
async fn refuse(mut stream: impl AsyncWrite + Unpin) {
    let refusal = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let told = timeout(LAST_WORDS, async {
        stream.write_all(refusal).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) = told.await {
        debug!("a client was not told that its request took too long: {error}");
    }
}

/// How a conversation ended.
enum End {
    /// All was said, or there was no more time.
    OfTalk,
    /// It was the client's turn for too long.
    OfPatience,
}

/// What a client has left whose turn lasted too long.
#[derive(Clone, Copy)]
enum Patience {
    /// Nothing: there is nobody else's call on the connection.
    Spent,
    /// It is told to go (GOAWAY), and other calls on the connection may end.
    ForLastWords,
}

fn ended(result: hyper::Result<()>) -> End {
    if let Err(error) = result {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        debug!("a connection broke off: {error} {cause}");
    }
    End::OfTalk
}

/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 << 10;

/// The most of an answer that waits for its turn on a connection of HTTP/2, in bytes.
const MAX_UNSENT: usize = 64 << 10;

/// The most calls at a time on a connection of HTTP/2.
const MAX_STREAMS: u32 = 100;

/// How long a connection without calls has to end when the process does, or when another one needs its place.
const LAST_WORDS: Duration = Duration::from_secs(1);

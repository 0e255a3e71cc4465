//! The transport: hyper-util's pooled client, with its own retries off.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use failover_core::{BuildError, Target};
use http::header::CONNECTION;
use http::{Request, Response};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use tower_service::Service;

use crate::connect::Connector;
use crate::progress::Stage;
use crate::protocols::Protocols;
use crate::request_body::AttemptBody;
use crate::runtime::{Executor, Runtime, Timer};
use crate::transport_body::TransportBody;

/// A pool of connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It is what the clients send with, as a service of its own to build stacks on. It sends each request at most once,
/// follows no redirects, and obeys no proxy. A clone is a reference count and shares the connections.
#[derive(Clone)]
pub struct Transport<R: Runtime> {
    pool: Arc<Pool<R>>,
}

struct Pool<R: Runtime> {
    client: Client<Connector<R>, AttemptBody>,
    connector: Connector<R>,
}

impl<R: Runtime> Transport<R> {
    /// A transport for http targets.
    ///
    /// `bound` is what opening one connection may take: to resolve the name, to connect, and to shake hands for TLS.
    #[must_use]
    pub fn new(bound: Duration, protocols: Protocols) -> Self {
        Self::over(Connector::new(bound, protocols))
    }

    /// The same for https targets, too, with TLS as configured.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, config: crate::rustls::ClientConfig) -> Self {
        self.pool.connector.set_tls(config);
        self
    }

    /// The same for https targets, too, with TLS that trusts the platform's certificate roots.
    ///
    /// # Errors
    ///
    /// The platform has none.
    #[cfg(feature = "tls")]
    pub fn with_platform_tls(self) -> Result<Self, BuildError> {
        self.pool.connector.prepare_tls()?;
        Ok(self)
    }

    /// Makes sure that these targets can be connected to.
    ///
    /// # Errors
    ///
    /// One needs TLS, and there is none to be had.
    pub fn prepare(&self, targets: &[Target]) -> Result<(), BuildError> {
        self.pool.connector.prepare(targets)
    }

    /// Sets what opening one connection may take from now on.
    pub fn set_connect_bound(&self, bound: Duration) {
        self.pool.connector.set_bound(bound);
    }

    fn over(connector: Connector<R>) -> Self {
        let client = Client::builder(Executor::<R>::default())
            .retry_canceled_requests(false)
            .set_host(false)
            .timer(Timer::<R>::default())
            .pool_timer(Timer::<R>::default())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build(connector.clone());
        Self { pool: Arc::new(Pool { client, connector }) }
    }
}

impl<R: Runtime> Service<Request<AttemptBody>> for Transport<R> {
    type Response = Response<TransportBody>;
    type Error = TransportError;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<AttemptBody>) -> Sending {
        let connection = capture_connection(&mut request);
        request.body().progress().reach(Stage::Pooled(connection));
        // Over HTTP/2, TE is not named in `Connection`, and hyper would drop what is.
        if request.headers().get(CONNECTION).is_some_and(|named| named == "te")
            && self.pool.connector.may_speak_http2(request.uri())
        {
            request.headers_mut().remove(CONNECTION);
        }
        Sending(self.pool.client.request(request))
    }
}

/// A request of a [`Transport`] under way: a future of its response.
#[must_use = "a request is sent while this is polled"]
pub struct Sending(ResponseFuture);

impl Future for Sending {
    type Output = Result<Response<TransportBody>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(TransportBody::of).map_err(TransportError)
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

/// Why a [`Transport`] has no answer.
///
/// What it proves about the request, [`Proven`](crate::Proven) tells.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(pub(crate) Error);

impl<R: Runtime> fmt::Debug for Transport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// How long an idle connection is kept: less than most servers do, so that few requests meet one that is closing.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// How many idle connections are kept for each target.
const IDLE_CONNECTIONS: usize = 128;

/// How long an HTTP/2 connection with requests under way may be silent before it is asked whether it is alive: all
/// requests share it, so that one that is dead must not be kept.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

//! The transport: hyper-util's pooled client, with its own retries off.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{Request, Response};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use crate::body::AttemptBody;
use crate::connect::Connector;
use crate::progress::Stage;
use crate::wire::TransportBody;

/// A pool of connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It is what a [`FailoverClient`](crate::FailoverClient) sends with, as a service of its own to build stacks on. Made by
/// [`Builder::transport`](crate::Builder::transport). A clone is a reference count and shares the connections.
#[derive(Clone)]
pub struct Transport {
    pool: Arc<Pool>,
}

struct Pool {
    client: Client<Connector, AttemptBody>,
    connector: Connector,
}

impl Transport {
    pub(crate) fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .set_host(false)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build(connector.clone());
        Self { pool: Arc::new(Pool { client, connector }) }
    }

    /// What opens the connections, to be set for other targets.
    pub(crate) fn connector(&self) -> &Connector {
        &self.pool.connector
    }
}

impl Service<Request<AttemptBody>> for Transport {
    type Response = Response<TransportBody>;
    type Error = Error;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<AttemptBody>) -> Sending {
        let connection = capture_connection(&mut request);
        request.body().reach(Stage::Pooled(connection));
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
    type Output = Result<Response<TransportBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(TransportBody::of)
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl fmt::Debug for Transport {
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

//! The transport: pools of hyper's connections.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use failover_core::{BuildError, Target};
use http::header::CONNECTION;
use http::{Request, Response, Uri};
use tower_service::Service;

use crate::connect::{Connector, Origin};
use crate::evidence::TransportError;
use crate::http1::Reading;
use crate::limits::is_too_large;
use crate::names::{Resolve, System};
use crate::pool::{Connection, Pool};
use crate::protocols::Protocols;
use crate::received::Received;
use crate::request_body::AttemptBody;
use crate::runtime::Runtime;
use crate::transport_body::{Held, TransportBody};

/// A pool of connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It is what the clients send with, as a service of its own to build stacks on. It sends each request at most once,
/// follows no redirects, and obeys no proxy. A clone is a reference count and shares the connections.
#[derive(Clone)]
pub struct Transport<R: Runtime> {
    pools: Arc<Pools<R>>,
}

struct Pools<R: Runtime> {
    connector: Connector<R>,
    /// One for each origin, which are few.
    all: Mutex<Vec<Arc<Pool<R>>>>,
}

impl<R: Runtime> Transport<R> {
    /// A transport for http targets.
    ///
    /// `bound` is what opening one connection may take: to resolve the name, to connect, and to shake hands for TLS.
    #[must_use]
    pub fn new(bound: Duration, protocols: Protocols) -> Self {
        Self::resolving(bound, protocols, Arc::new(System))
    }

    /// The same, with names looked up otherwise than by the system.
    #[must_use]
    pub fn resolving(bound: Duration, protocols: Protocols, resolver: Arc<dyn Resolve>) -> Self {
        Self::over(Connector::new(bound, protocols, resolver))
    }

    /// The same for https targets, too, with TLS as configured.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, config: crate::rustls::ClientConfig) -> Self {
        self.pools.connector.set_tls(config);
        self
    }

    /// The same for https targets, too, with TLS that trusts the platform's certificate roots.
    ///
    /// # Errors
    ///
    /// The platform has none.
    #[cfg(feature = "tls")]
    pub fn with_platform_tls(self) -> Result<Self, BuildError> {
        self.pools.connector.prepare_tls()?;
        Ok(self)
    }

    /// Makes sure that these targets can be connected to.
    ///
    /// # Errors
    ///
    /// One needs TLS, and there is none to be had.
    pub fn prepare(&self, targets: &[Target]) -> Result<(), BuildError> {
        self.pools.connector.prepare(targets)
    }

    /// Sets what opening one connection may take from now on.
    pub fn set_connect_bound(&self, bound: Duration) {
        self.pools.connector.set_bound(bound);
    }

    fn over(connector: Connector<R>) -> Self {
        Self { pools: Arc::new(Pools { connector, all: Mutex::default() }) }
    }

    /// Sends a request, once, and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn send(
        &self,
        mut request: Request<AttemptBody>,
    ) -> Result<Response<TransportBody>, TransportError> {
        let pool = self.pool(request.uri()).ok_or_else(TransportError::no_origin)?;
        let progress = request.body().progress().clone();
        let response = match pool.connection(&progress).await? {
            Connection::Alone(mut connection) => {
                *request.uri_mut() = path_of(request.uri());
                let response = connection.exchange(request, &progress).await?;
                let version = response.version();
                let reading = Reading::new(connection, pool);
                let body = |body| TransportBody::new(Received::new(body, version), Held::Alone(reading));
                response.map(body)
            }
            Connection::Among(joined) => {
                // TE is not named in `Connection` there, and hyper would drop what is.
                if request.headers().get(CONNECTION).is_some_and(|named| named == "te") {
                    request.headers_mut().remove(CONNECTION);
                }
                let (response, place) = joined.exchange(request, &progress).await?;
                let version = response.version();
                let body = |body| TransportBody::new(Received::new(body, version), Held::Among { place });
                response.map(body)
            }
        };
        if is_too_large(response.headers()) { Err(TransportError::large_head()) } else { Ok(response) }
    }

    /// The connections to where a URI leads, if it is an absolute one.
    fn pool(&self, uri: &Uri) -> Option<Arc<Pool<R>>> {
        let mut pools = self.pools.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.iter().find(|pool| pool.origin().is_of(uri)) {
            return Some(Arc::clone(pool));
        }
        // Targets come and go.
        pools.retain(|pool| Arc::strong_count(pool) > 1 || !pool.is_empty());
        let pool = Pool::new(Origin::of(uri)?, self.pools.connector.clone());
        pools.push(Arc::clone(&pool));
        Some(pool)
    }
}

/// What a request's URI is over HTTP/1.1 (RFC 9112, section 3.2.1).
fn path_of(uri: &Uri) -> Uri {
    uri.path_and_query().map_or_else(Uri::default, |path| path.clone().into())
}

impl<R: Runtime> Service<Request<AttemptBody>> for Transport<R> {
    type Response = Response<TransportBody>;
    type Error = TransportError;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Sending {
        let transport = self.clone();
        Sending(Box::pin(async move { transport.send(request).await }))
    }
}

/// A request of a [`Transport`] under way: a future of its response.
#[must_use = "a request is sent while this is polled"]
pub struct Sending(Pin<Box<dyn Future<Output = Result<Response<TransportBody>, TransportError>> + Send>>);

impl Future for Sending {
    type Output = Result<Response<TransportBody>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl<R: Runtime> fmt::Debug for Transport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

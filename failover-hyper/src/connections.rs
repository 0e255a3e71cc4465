//! The connections to one target, as a service that sends requests to it.

use std::fmt;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode, Uri};
use tower_service::Service;

use crate::connect::OriginError;
use crate::evidence::TransportError;
use crate::expect::Expectation;
use crate::http1::{Broken, Reading};
use crate::limits::is_too_large;
#[cfg(feature = "metrics")]
use crate::pool::Census;
use crate::pool::{Connection, Pool};
use crate::received::Received;
use crate::request_body::AttemptBody;
use crate::runtime::Runtime;
use crate::transport_body::{Held, TransportBody};

/// The connections to one target: a service that sends each request at most once, follows no redirects, and obeys no proxy.
///
/// A [`Transport`](crate::Transport) makes them. A clone is a reference count and shares the connections.
#[derive(Clone)]
pub struct Connections<R: Runtime> {
    pool: Arc<Pool<R>>,
    /// What opening one may take.
    bound: Duration,
}

impl<R: Runtime> Connections<R> {
    pub(crate) fn new(pool: Arc<Pool<R>>, bound: Duration) -> Self {
        Self { pool, bound }
    }

    /// What counts them.
    #[cfg(feature = "metrics")]
    pub(crate) fn census(&self) -> Arc<dyn Census> {
        self.pool.clone()
    }

    /// Sends a request, once, and waits for the head of its answer.
    ///
    /// One with an `Upgrade` goes over a new connection of HTTP/1.1, unless only HTTP/2 is spoken; if the answer is a 101, hyper
    /// hands that over: see [`hyper::upgrade::on`].
    ///
    /// # Errors
    ///
    /// There is none, or the request is for another target.
    #[expect(clippy::manual_async_fn, reason = "that would hold the request twice")]
    pub fn send(
        &self,
        mut request: Request<AttemptBody>,
    ) -> impl Future<Output = Result<Response<TransportBody>, TransportError>> + Send {
        async move {
            if !self.pool.origin().is_of(request.uri()) {
                return Err(TransportError::no_origin(OriginError::Other));
            }
            let progress = request.body().progress().clone();
            // Few headers are passed over faster than one is looked up.
            let asks_to = request.headers().keys().any(|name| *name == UPGRADE);
            let upgrades = asks_to && self.pool.origin().may_speak_http1();
            let response = loop {
                let connection = if upgrades {
                    // In a box, since what few calls need would make room for itself in all.
                    let opening = Box::pin(self.pool.connection_to_upgrade(self.bound, &progress));
                    Connection::Alone(opening.await?)
                } else {
                    self.pool.connection(self.bound, &progress).await?
                };
                match connection {
                    Connection::Alone(mut connection) => {
                        *request.uri_mut() = path_of(mem::take(request.uri_mut()));
                        let response = match pin!(connection.exchange(request, &progress)).await {
                            Ok(response) => response,
                            Err(Broken { handed_back: Some(unsent), began, .. }) if began.has_served() => {
                                request = unsent;
                                *request.uri_mut() = self.pool.origin().uri(request.uri());
                                continue;
                            }
                            Err(broken) => return Err(broken.into()),
                        };
                        let switches = upgrades && response.status() == StatusCode::SWITCHING_PROTOCOLS;
                        if switches && !connection.switch().await {
                            return Err(TransportError::closed());
                        }
                        let version = response.version();
                        let reading = Reading::new(connection, self.pool.clone());
                        break response.map(|body| {
                            TransportBody::new(Received::new(body, version), Held::Alone(reading))
                        });
                    }
                    Connection::Among(joined) => {
                        // TE is not named in `Connection` there, and hyper would drop what is.
                        if request.headers().get_all(CONNECTION).iter().any(|named| named == "te") {
                            request.headers_mut().remove(CONNECTION);
                        }
                        let expected = request.body().expectation().map(Expectation::while_read);
                        let (response, place) = joined.exchange(request, &progress).await?;
                        let version = response.version();
                        let held = Held::Among { place, expected };
                        break response.map(|body| TransportBody::new(Received::new(body, version), held));
                    }
                }
            };
            if is_too_large(response.headers()) { Err(TransportError::large_head()) } else { Ok(response) }
        }
    }
}

/// What a request's URI is over HTTP/1.1 (RFC 9112, section 3.2.1).
fn path_of(uri: Uri) -> Uri {
    uri.into_parts().path_and_query.map_or_else(Uri::default, Uri::from)
}

impl<R: Runtime> Service<Request<AttemptBody>> for Connections<R> {
    type Response = Response<TransportBody>;
    type Error = TransportError;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Sending {
        let connections = self.clone();
        Sending::new(async move { connections.send(request).await })
    }
}

/// A request under way: a future of its response.
#[must_use = "a request is sent while this is polled"]
pub struct Sending(Pin<Box<dyn Future<Output = Result<Response<TransportBody>, TransportError>> + Send>>);

impl Sending {
    pub(crate) fn new(
        sending: impl Future<Output = Result<Response<TransportBody>, TransportError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(sending))
    }
}

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

impl<R: Runtime> fmt::Debug for Connections<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.pool).finish()
    }
}

//! A tower service that passes on what a server receives.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use failover_hyper::{AttemptBody, BoxError, Classify, Proven, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::client::FailoverClient;
use crate::error::Error;
use crate::service::Failover;
use crate::transport::Connections;

/// A tower service that passes on a server's requests as [`FailoverClient::forward`] does, and always has an answer: where a call
/// has none, [`Error::gateway_response`].
///
/// So it can be a service of axum's. A [`Peer`](crate::Peer) among the extensions of a request tells the targets of its sender.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use failover_tokio::FailoverClient;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), failover_tokio::BuildError> {
/// let client = FailoverClient::builder().targets(["http://eu.example", "http://us.example"]).build()?;
/// let app: Router = Router::new().route("/health", get("well")).fallback_service(client.into_proxy());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proxy<S = Connections, C = Proven>(Failover<S, C>);

impl FailoverClient {
    /// The same as a tower service that passes requests on, which shares all of it.
    #[must_use]
    pub fn into_proxy(self) -> Proxy {
        self.into_service().into_proxy()
    }
}

impl<S, C> Failover<S, C> {
    /// The same as a service that passes requests on, which shares all of it.
    #[must_use]
    pub fn into_proxy(self) -> Proxy<S, C> {
        Proxy(self)
    }
}

impl<S, C, B, R> Service<Request<B>> for Proxy<S, C>
where
    S: Service<Request<AttemptBody>, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    C: Classify + Clone + Send + Sync + 'static,
    B: Body<Error: Into<BoxError>> + Send + 'static,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let failover = self.0.clone();
        Box::pin(async move { Ok(failover.forward(request).await.unwrap_or_else(Error::gateway_response)) })
    }
}

//! The time that an attempt may be without a connection, of which reqwest's own clients have one for all targets.

use std::pin::Pin;
use std::task::{Context, Poll};

use failover_hyper::BoxError;
use tokio::time::{Instant, timeout_at};
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// When the connection must be there that the request of this task opens, if that is bounded.
    static BY: Option<Instant>;
}

/// Sends a request, whose connection must be there in time if it opens one.
pub(crate) fn connected_by<F: Future>(
    by: Option<Instant>,
    sending: F,
) -> impl Future<Output = F::Output> + use<F> {
    BY.scope(by, sending)
}

/// Puts the bound of the request for which it is opened over each connection: reqwest opens it within the request's task, and
/// an error of it is proof that the request was not sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectBound;

impl<S> Layer<S> for ConnectBound {
    type Service = Bounded<S>;

    fn layer(&self, connector: S) -> Bounded<S> {
        Bounded(connector)
    }
}

/// A connector that takes no longer than the request has for which it connects.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<S>(S);

impl<S, R> Service<R> for Bounded<S>
where
    S: Service<R, Error = BoxError, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, place: R) -> Self::Future {
        let connecting = self.0.call(place);
        match BY.try_with(|by| *by) {
            Ok(Some(by)) => Box::pin(async move {
                timeout_at(by, connecting).await.unwrap_or_else(|_| Err(ConnectElapsed.into()))
            }),
            _ => Box::pin(connecting),
        }
    }
}

/// There was no connection in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no connection in time")]
pub(crate) struct ConnectElapsed;

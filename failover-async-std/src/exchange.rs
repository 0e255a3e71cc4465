//! Attempts by what a client sends with, and what surf makes of a call's end.

use bytes::Bytes;
use failover_hyper::{AttemptBody, AttemptError, Bound, Exchange, List, Template, TransportBody, perform};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Either;

use crate::bodies::SurfBody;
use crate::convert::shown;
use crate::error::Error;
use crate::runtime::AsyncStd;
use crate::surf_client::through;

/// The connections to one target.
type Connections = failover_hyper::Connections<AsyncStd>;

/// What sends requests to one target, or to all.
#[derive(Clone, Debug)]
pub(crate) enum Sender {
    Connections(Connections),
    Client(surf::Client),
}

impl From<Connections> for Sender {
    fn from(connections: Connections) -> Self {
        Self::Connections(connections)
    }
}

/// What sends a call's requests.
pub(crate) struct Senders<'a>(pub(crate) &'a List<Sender>);

impl Exchange for Senders<'_> {
    type Body = Either<TransportBody, SurfBody>;

    async fn exchange(
        &self,
        target: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> Result<Response<Self::Body>, AttemptError> {
        match self.0.service(target) {
            Sender::Connections(connections) => {
                Ok(connections.exchange(request, bound).await?.map(Either::Left))
            }
            Sender::Client(client) => {
                let response = through(request, bound, |request| client.send(request)).await?;
                Ok(response.map(Either::Right))
            }
        }
    }
}

/// Runs a call on a list from its first attempt to its end.
///
/// # Errors
///
/// The request cannot be sent, the call stopped without an acceptable answer, or surf cannot hold the answer.
pub(crate) async fn run<S, X>(
    list: &List<S>,
    template: Option<Template>,
    exchange: &X,
) -> Result<surf::Response, Error>
where
    X: Exchange<Body: Body<Data = Bytes> + Sync + 'static>,
{
    let template = template.ok_or(Error::Method)?;
    let call = perform::<AsyncStd, _>(list.observed(), list.drains(), &template, exchange);
    match call.await {
        Ok(mut response) => {
            let answered = response.body().answered().clone();
            response.extensions_mut().insert(answered);
            shown(response).map_err(Error::Unrepresentable)
        }
        Err(stopped) => Err(Error::Stopped(stopped.map_response(shown))),
    }
}

//! Attempts by a client of reqwest's: what its errors prove, and what they do not.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;
use std::pin::pin;
use std::time::Duration;

use failover_core::Evidence;
use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, Classify, Exchange, Fault, Proven, Stage, is_short_of_room,
    receive,
};
use failover_tokio::Tokio;
use http::{Request, Response};
use reqwest::{Body, Client, ResponseBuilderExt};
use tokio::time::Instant;

use crate::connect::{ConnectElapsed, connected_by};

/// A client that follows no redirects and sends nothing again.
pub(crate) struct Sender<'a>(pub(crate) &'a Client);

impl Exchange for Sender<'_> {
    type Body = Body;

    async fn exchange(
        &self,
        _: usize,
        request: Request<AttemptBody>,
        mut bound: Bound<'_>,
    ) -> Result<Response<Body>, AttemptError> {
        let request = request.map(Body::wrap);
        let mut request = reqwest::Request::try_from(request).map_err(unbuilt)?;
        *request.timeout_mut() = Some(FOREVER);
        bound.progress().reach(Stage::Taken);
        // From before the attempt's own bound, so that where both are over it is the connection that fails, provably.
        let by = Instant::now().checked_add(bound.connect_timeout());
        let answer = pin!(connected_by(by, self.0.execute(request)));
        match bound.hold::<Tokio, _>(answer).await {
            Ok(Ok(response)) => receive(received(response)),
            Ok(Err(error)) => Err(failed(error)),
            Err(elapsed) => Err(AttemptError::timeout(&elapsed)),
        }
    }
}

/// A response with its URL, which is lost otherwise.
fn received(response: reqwest::Response) -> Response<Body> {
    let told = Response::builder().url(response.url().clone()).body(());
    let mut response = Response::from(response);
    let (told, ()) = told.expect("a URL alone is a response").into_parts();
    response.extensions_mut().extend(told.extensions);
    response
}

/// What an error proves (`unknown_service`): that there was no connection, or that the caller's body broke off. For all
/// others the request may have been processed, also where a connection that had served was closed.
fn failed(error: reqwest::Error) -> AttemptError {
    if error.is_builder() {
        return unbuilt(error);
    }
    let error = error.without_url();
    let proven = Proven.classify(&error);
    // What the caller's body failed by may have been a connection of its own.
    if proven == Evidence::LocalFault || !error.is_connect() {
        return AttemptError::service(proven, error);
    }
    if is_short_of_room(&error) {
        return AttemptError::new(Evidence::NoRoom, Fault::Local, BoxError::from(error));
    }
    let fault = fault_of(&error);
    AttemptError::new(Evidence::NoConnection, fault, BoxError::from(error))
}

/// A request that reqwest refuses.
fn unbuilt(error: reqwest::Error) -> AttemptError {
    AttemptError::unbuilt(error.without_url())
}

/// Why there is no connection.
fn fault_of(error: &reqwest::Error) -> Fault {
    let mut causes = successors(error.source(), |&error| error.source());
    let fault = causes.find_map(|cause| match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Some(Fault::Refused),
        Some(io::ErrorKind::TimedOut) => Some(Fault::ConnectTimeout),
        _ => cause.is::<ConnectElapsed>().then_some(Fault::ConnectTimeout),
    });
    fault.unwrap_or(if error.is_timeout() { Fault::ConnectTimeout } else { Fault::Connect })
}

/// A time of reqwest's own that ends nothing: what bounds an attempt is the policy, which knows how its request gets on.
const FOREVER: Duration = Duration::MAX;

//! One request and its answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use failover_core::settle_framing;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::classify::Classify;
use crate::connections::Connections;
use crate::error::{AttemptError, BoxError};
use crate::progress::{Bound, Stage};
use crate::request_body::AttemptBody;
use crate::runtime::Runtime;
use crate::transport_body::TransportBody;

/// What can send an attempt's request.
pub trait Exchange: Sync {
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static;

    /// Sends a request to the target with this index and waits for the head of the answer, all within `bound`.
    ///
    /// # Errors
    ///
    /// There is no answer.
    fn exchange(
        &self,
        target: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> impl Future<Output = Result<Response<Self::Body>, AttemptError>> + Send;

    /// Makes an answer one for the caller, before it is judged.
    ///
    /// # Errors
    ///
    /// It is none to the request.
    fn received(&self, response: &mut Response<Self::Body>) -> Result<(), AttemptError> {
        let _ = response;
        Ok(())
    }
}

/// Sends a request by a service: waits for the service to be ready, and for the head of the answer, within `bound`.
///
/// # Errors
///
/// There is no answer; `classify` tells what an error of the service proves.
pub async fn send<R, S, B>(
    mut service: S,
    request: Request<AttemptBody>,
    bound: Bound<'_>,
    classify: &(impl Classify + Sync),
) -> Result<Response<B>, AttemptError>
where
    R: Runtime,
    S: Service<Request<AttemptBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send,
    B: Send,
{
    let progress = bound.progress().clone();
    let answer = pin!(async {
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(AttemptError::not_ready)?;
        progress.reach(Stage::Taken);
        service.call(request).await.map_err(|error| {
            let error = error.into();
            AttemptError::service(classify.classify(&*error), error)
        })
    });
    hold::<R, _, _>(bound, answer, |error| error).await
}

impl<R: Runtime> Connections<R> {
    /// Sends an attempt's request and waits for the head of the answer, within `bound`.
    ///
    /// # Errors
    ///
    /// There is no answer.
    #[inline]
    #[expect(clippy::manual_async_fn, reason = "an async fn would move the request once more")]
    pub fn exchange(
        &self,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> impl Future<Output = Result<Response<TransportBody>, AttemptError>> + Send {
        // Pinned where it is made, since awaiting it would move it.
        async move { pin!(hold::<R, _, _>(bound, pin!(self.send(request)), AttemptError::from)).await }
    }
}

async fn hold<R: Runtime, B: Send, E: Send>(
    mut bound: Bound<'_>,
    answer: Pin<&mut (impl Future<Output = Result<Response<B>, E>> + Send)>,
    fails: impl FnOnce(E) -> AttemptError,
) -> Result<Response<B>, AttemptError> {
    let mut answered = None;
    // An answer is large, and what holds it would move it again and again.
    let waiting = pin!(async { answered = Some(answer.await) });
    let held = pin!(bound.hold::<R, _>(waiting)).await;
    match (held, answered) {
        (_, Some(Ok(answer))) => receive(answer),
        (_, Some(Err(error))) => Err(fails(error)),
        (Err(elapsed), None) => {
            elapsed.suspect_connection();
            Err(AttemptError::timeout(&elapsed))
        }
        (Ok(()), None) => unreachable!("what was held to its end has an answer"),
    }
}

/// A response as it came over a connection, made one that can be passed on.
///
/// # Errors
///
/// How long its body is cannot be told.
pub fn receive<B>(mut response: Response<B>) -> Result<Response<B>, AttemptError> {
    if settle_framing(response.headers_mut()) { Ok(response) } else { Err(AttemptError::garbage()) }
}

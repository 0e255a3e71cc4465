//! One request and its answer, by a target's service.

use std::future::poll_fn;

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::AttemptBody;
use crate::classify::Classify;
use crate::connect::Wire;
use crate::error::BoxError;
use crate::evidence::Failed;
use crate::progress::{Bound, Stage};

/// A service that can send an attempt's request.
pub(crate) trait Exchange {
    /// The body of its responses.
    type Body: Body<Error: Into<BoxError>> + Send + Unpin;

    /// Waits for the service to be ready, sends the request, and waits for the head of the answer, all within `bound`.
    fn exchange(
        &self,
        request: Request<AttemptBody>,
        bound: Bound,
        classify: &(impl Classify + Sync),
    ) -> impl Future<Output = Result<Response<Self::Body>, Failed>> + Send;
}

impl<S, B> Exchange for S
where
    S: Service<Request<AttemptBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync,
    B: Body<Error: Into<BoxError>> + Send + Unpin,
{
    type Body = B;

    async fn exchange(
        &self,
        request: Request<AttemptBody>,
        bound: Bound,
        classify: &(impl Classify + Sync),
    ) -> Result<Response<B>, Failed> {
        let mut service = self.clone();
        let answer = async {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(Failed::not_ready)?;
            bound.progress.reach(Stage::Taken);
            service.call(request).await.map_err(|error| Failed::service(error, classify))
        };
        let held = bound.hold(answer).await.map_err(|elapsed| {
            elapsed.retire_connection();
            Failed::timeout(elapsed)
        });
        let response = held??;
        if let Some(wire) = response.extensions().get::<Wire>() {
            wire.serve();
        }
        Ok(response)
    }
}

//! Attempts by what sends to the targets, and calls of them.

use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, Classify, Exchange, List, ResponseBody, Template,
    TransportBody, perform, send,
};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::error::Error;
use crate::runtime::Tokio;
use crate::transport::Connections;

/// The connections of a client.
pub(crate) struct Connected<'a>(pub(crate) &'a List<Connections>);

impl Exchange for Connected<'_> {
    type Body = TransportBody;

    #[inline]
    fn exchange(
        &self,
        target: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> impl Future<Output = Result<Response<TransportBody>, AttemptError>> {
        self.0.service(target).exchange(request, bound)
    }
}

/// Runs a call on a list from its first attempt to its end.
///
/// # Errors
///
/// The call stopped without an acceptable answer.
pub(crate) async fn run(
    list: &List<Connections>,
    template: &Template,
) -> Result<Response<ResponseBody>, Error> {
    let connected = Connected(list);
    let call = perform::<Tokio, _>(list.observed(), list.drains(), template, &connected);
    call.await.map_err(Error::Stopped)
}

/// The targets' services, and what their errors prove.
pub(crate) struct Services<'a, S, C> {
    pub(crate) list: &'a List<S>,
    pub(crate) classify: &'a C,
}

impl<S, C, B> Exchange for Services<'_, S, C>
where
    S: Service<Request<AttemptBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync,
    C: Classify + Sync,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Body = B;

    async fn exchange(
        &self,
        target: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> Result<Response<B>, AttemptError> {
        send::<Tokio, _, _>(self.list.service(target).clone(), request, bound, self.classify).await
    }
}

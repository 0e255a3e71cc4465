//! Attempts by the targets' services.

use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, Classify, Exchange, List, ResponseBody, Template, perform,
    send,
};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::error::Error;
use crate::forward::hand_back;
use crate::runtime::Tokio;
use crate::service::Failover;

impl<S, C> Failover<S, C> {
    /// Performs a call on the current list. If it is `inbound`, a server received the request, and will answer it with
    /// the response.
    ///
    /// # Errors
    ///
    /// The call stopped without an acceptable answer.
    pub(crate) async fn perform<B>(
        &self,
        template: Option<Template>,
        inbound: bool,
    ) -> Result<Response<ResponseBody<B>>, Error<B>>
    where
        S: Service<Request<AttemptBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
        S: Clone + Send + Sync,
        C: Classify + Sync,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let template = template.ok_or(Error::Method)?;
        let list = self.targets.current();
        let services = CallServices { list: &list, classify: &self.classify, inbound };
        let call =
            perform::<Tokio, _>(list.group(), self.targets.clock(), list.drains(), &template, &services);
        call.await.map_err(Error::Stopped)
    }
}

/// The services that send a call's requests.
struct CallServices<'a, S, C> {
    list: &'a List<S>,
    classify: &'a C,
    inbound: bool,
}

impl<S, C, B> Exchange for CallServices<'_, S, C>
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
        let service = self.list.service(target).clone();
        let mut response = send::<Tokio, _, _>(service, request, bound, self.classify).await?;
        if self.inbound {
            hand_back(&mut response);
        }
        Ok(response)
    }
}

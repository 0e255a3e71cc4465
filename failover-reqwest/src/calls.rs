//! What makes calls of requests.

use std::sync::Arc;

use failover_hyper::{Targets, perform};
use failover_tokio::Tokio;
use http::Extensions;
use reqwest::{Client, Request, Response};

use crate::answer::answer;
use crate::error::Error;
use crate::exchange::Sender;
use crate::template::template_of;

/// The targets, and the client of reqwest's that sends to all of them.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) targets: Arc<Targets<Client>>,
}

impl Calls {
    /// Sends a request, with extensions of its own, to the target that works.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub(crate) async fn run(&self, request: Request, extensions: Extensions) -> Result<Response, Error> {
        let list = self.targets.current();
        let template = template_of(request, extensions, list.group()).await?;
        let sender = Sender(list.service(0));
        let call = perform::<Tokio, _>(list.observed(), list.drains(), &template, &sender);
        call.await.map(answer).map_err(Error::stopped)
    }
}

//! Requests as callers build them.

use std::sync::Arc;

use failover_core::Replay;
use failover_hyper::{Draft, List, ResponseBody};
use http::Response;

use crate::error::Error;
use crate::exchange::run;
use crate::submit::Submitted;
use crate::transport::Connections;

/// Builds a request and sends it: by [`send`](Self::send), or by `.await` as it is.
///
/// What is wrong with it, such as a header that HTTP does not allow, comes out when it is sent, as an error and without an
/// attempt. It is for the targets that the client had when it was begun.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn run(client: failover_tokio::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {
/// let users = client.get("/users").query([("page", 2)]).timeout(Duration::from_millis(800)).await?;
/// let order = client.post("/orders").header("idempotency-key", "8e03978e").body(r#"{"item": 7}"#);
/// let response = order.send().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send` or `.await`"]
pub struct RequestBuilder {
    list: Arc<List<Connections>>,
    draft: Draft,
}

failover_hyper::request_builder!("failover_tokio", Response<ResponseBody>);

impl RequestBuilder {
    pub(crate) fn new(list: Arc<List<Connections>>, draft: Draft) -> Self {
        Self { list, draft }
    }

    /// Sends the request to the target that works.
    ///
    /// The future is `Send` and borrows nothing, so that it can be spawned.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Panics
    ///
    /// The future does, outside of a tokio runtime with time and I/O.
    pub fn send(self) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send + 'static {
        let Self { list, draft } = self;
        async move {
            let template = draft.template().map_err(Error::mistaken)?;
            run(&list, &template).await
        }
    }

    /// Sends the request by a call that runs on by itself, and hands back what waits for its result.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn submit(self) -> Submitted {
        Submitted::spawn(self.send())
    }
}

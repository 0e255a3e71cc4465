//! Requests as callers build them.

use std::sync::Arc;

use failover_core::Replay;
use failover_hyper::{Draft, List};

use crate::error::Error;
use crate::exchange::{Sender, Senders, run};
use crate::submit::Submitted;

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
/// # async fn run(client: failover_async_std::FailoverClient) -> surf::Result<()> {
/// let users = client.get("/users").query([("page", 2)]).timeout(Duration::from_millis(800)).await?;
/// let order = client.post("/orders").header("idempotency-key", "8e03978e").body(r#"{"item": 7}"#);
/// let response = order.send().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send` or `.await`"]
pub struct RequestBuilder {
    list: Arc<List<Sender>>,
    draft: Draft,
}

failover_hyper::request_builder!("failover_async_std", surf::Response);

impl RequestBuilder {
    pub(crate) fn new(list: Arc<List<Sender>>, draft: Draft) -> Self {
        Self { list, draft }
    }

    /// Sends the request to the target that works.
    ///
    /// The future is `Send` and borrows nothing, so that it can be spawned.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn send(self) -> impl Future<Output = Result<surf::Response, Error>> + Send + 'static {
        let Self { list, draft } = self;
        async move {
            let template = draft.template().map_err(Error::mistaken)?;
            run(&list, Some(template), &Senders(&list)).await
        }
    }

    /// Sends the request by a call that runs on by itself, and hands back what waits for its result.
    pub fn submit(self) -> Submitted {
        Submitted::spawn(self.send())
    }
}

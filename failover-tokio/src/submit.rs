//! A call that runs on by itself.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use failover_hyper::ResponseBody;
use http::Response;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::error::Error;

/// A call that was submitted: a future of its result.
///
/// The call runs whether or not this is polled. Dropping this abandons the call.
///
/// # Examples
///
/// ```no_run
/// # async fn run(client: failover_tokio::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {
/// let report = client.get("/report").submit();
/// // Other work, while the call runs.
/// let response = report.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it abandons the call"]
pub struct Submitted {
    task: JoinHandle<Result<Response<ResponseBody>, Error>>,
}

impl Submitted {
    #[track_caller]
    pub(crate) fn spawn(
        call: impl Future<Output = Result<Response<ResponseBody>, Error>> + Send + 'static,
    ) -> Self {
        Self { task: tokio::spawn(call.in_current_span()) }
    }

    /// Whether the result is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl Future for Submitted {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.task).poll(cx)).unwrap_or_else(|error| {
            error.try_into_panic().map_or(Err(Error::Aborted), |panic| resume_unwind(panic))
        }))
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

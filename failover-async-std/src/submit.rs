//! A call that runs on by itself.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use async_std::task::{self, JoinHandle};

use crate::error::Error;

/// A call that was submitted: a future of its result.
///
/// The call runs whether or not this is polled. Dropping this abandons the call.
///
/// # Examples
///
/// ```no_run
/// # async fn run(client: failover_async_std::FailoverClient) -> surf::Result<()> {
/// let report = client.get("/report").submit();
/// // Other work, while the call runs.
/// let response = report.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it abandons the call"]
pub struct Submitted {
    /// `None` only once dropped.
    task: Option<JoinHandle<Result<surf::Response, Error>>>,
    finished: Arc<AtomicBool>,
}

impl Submitted {
    pub(crate) fn spawn(call: impl Future<Output = Result<surf::Response, Error>> + Send + 'static) -> Self {
        let finished = Arc::new(AtomicBool::new(false));
        let finish = Arc::clone(&finished);
        let task = task::spawn(async move {
            let result = call.await;
            finish.store(true, Ordering::Release);
            result
        });
        Self { task: Some(task), finished }
    }

    /// Whether the result is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

impl Future for Submitted {
    type Output = Result<surf::Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.task {
            Some(task) => Pin::new(task).poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        // A handle that is only dropped lets its task run on. To begin to cancel it is enough.
        if let Some(task) = self.task.take().filter(|_| !self.is_finished()) {
            let _ = pin!(task.cancel()).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

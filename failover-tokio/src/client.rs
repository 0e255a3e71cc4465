//! The client: a method for each way to make a call.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use failover_core::{Group, Snapshot, Target};
use http::{HeaderMap, Method, Request, Response};

use crate::answer::ResponseBody;
use crate::body::CallBody;
use crate::builder::Builder;
use crate::call::{Call, path_of};
use crate::drive::Driver;
use crate::error::Error;
use crate::submit::Submitted;
use crate::transport::Transport;

/// An HTTP client for an ordered list of targets: each request goes to the one that works.
///
/// A clone is one reference count and shares all of it: the connections, and what is remembered of the targets. All
/// calls need a tokio runtime with time and I/O. Dropping a call's future abandons the call, and books nothing.
///
/// # Examples
///
/// ```no_run
/// use failover_tokio::FailoverClient;
/// use std::time::Duration;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = FailoverClient::builder()
///     .targets(["http://localhost:8080/echo", "http://localhost:8080/mock"])
///     .failover_codes([501, 502, 503])
///     .attempt_timeout(Duration::from_secs(5))
///     .interval(Duration::from_secs(5))
///     .build()?;
/// let response = client.post("/orders", r#"{"item": 7}"#).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverClient {
    driver: Arc<Driver<Target, Transport>>,
}

impl FailoverClient {
    /// Begins to build a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(group: Group<Target>, transport: Transport) -> Self {
        Self { driver: Arc::new(Driver::new(group, transport)) }
    }

    /// Sends a GET request.
    ///
    /// The path, with its query if it has one, is joined to the base path of each target that is tried.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get(&self, path: &str) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::GET, path, Bytes::new()).await
    }

    /// Sends a HEAD request.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn head(&self, path: &str) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::HEAD, path, Bytes::new()).await
    }

    /// Sends an OPTIONS request.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn options(&self, path: &str) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::OPTIONS, path, Bytes::new()).await
    }

    /// Sends a DELETE request.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn delete(&self, path: &str) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::DELETE, path, Bytes::new()).await
    }

    /// Sends a POST request.
    ///
    /// One that may have been executed is not sent again, unless the policy's `replay` says so.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::POST, path, body).await
    }

    /// Sends a PUT request.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::PUT, path, body).await
    }

    /// Sends a PATCH request.
    ///
    /// One that may have been executed is not sent again, unless the policy's `replay` says so.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn patch(&self, path: &str, body: impl Into<Bytes>) -> Result<Response<ResponseBody>, Error> {
        self.execute(Method::PATCH, path, body).await
    }

    /// Sends a request with any method, given as a [`Method`] or by name.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A name that is no method fails at once, without an attempt.
    pub async fn execute(
        &self,
        method: impl TryInto<Method>,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<ResponseBody>, Error> {
        self.run(call(method, path, body)?).await
    }

    /// Sends a request with headers of its own.
    ///
    /// Of its URI, path and query are used. `Host` is each target's.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(client: failover_tokio::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let order = http::Request::post("/orders")
    ///     .header("content-type", "application/json")
    ///     .header("idempotency-key", "8e03978e")
    ///     .body(r#"{"item": 7}"#)?;
    /// let response = client.request(order).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request(&self, request: Request<impl Into<Bytes>>) -> Result<Response<ResponseBody>, Error> {
        let (head, body) = request.into_parts();
        let body = CallBody::Whole(body.into());
        self.run(Call::new(head.method, path_of(&head.uri), head.headers, body)?).await
    }

    /// Begins a request that runs on by itself, and hands back what waits for its result.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn submit(&self, method: impl TryInto<Method>, path: &str, body: impl Into<Bytes>) -> Submitted {
        let call = call(method, path, body);
        let client = self.clone();
        Submitted::spawn(async move { client.run(call?).await })
    }

    /// The targets in order.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        self.driver.group.targets()
    }

    /// The index of the target where the next call begins.
    #[must_use]
    pub fn sticky(&self) -> usize {
        self.driver.group.sticky()
    }

    /// What is remembered of the targets, for a status page.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.driver.group.snapshot(self.driver.now())
    }

    pub(crate) async fn run(&self, call: Call) -> Result<Response<ResponseBody>, Error> {
        self.driver.run(&call).await.map_err(Error::Stopped)
    }

    pub(crate) fn replay_buffer(&self) -> usize {
        self.driver.group.policy().replay_buffer
    }
}

impl fmt::Debug for FailoverClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverClient")
            .field("targets", &self.targets())
            .field("sticky", &self.sticky())
            .finish_non_exhaustive()
    }
}

fn call(method: impl TryInto<Method>, path: &str, body: impl Into<Bytes>) -> Result<Call, Error> {
    let method = method.try_into().map_err(|_| Error::Method)?;
    Call::new(method, Target::path(path)?, HeaderMap::new(), CallBody::Whole(body.into()))
}

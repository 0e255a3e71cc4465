//! The client: what makes requests, and what sends them.

use std::fmt;
use std::sync::Arc;

use failover_core::{AdminState, BuildError, Group, Policy, Snapshot, Target};
use failover_hyper::{List, Observed, Targets};
use http::Extensions;
use reqwest::{Client, Method, Request, Response};

use crate::calls::Calls;
use crate::error::Error;
use crate::request::RequestBuilder;
use crate::template::url_of;

/// A client of reqwest's for an ordered list of targets: each request goes to the one that works.
///
/// Where reqwest has the URL of a request, this has a path, which is joined to the base path of each target that is tried. A URL
/// that leads below one of the targets is taken for the path that it has there, so that code which has URLs can keep them.
///
/// A clone is a reference count and shares all of it: the connections, and what is remembered of the targets. All
/// calls need a tokio runtime with time and I/O. Dropping a call's future abandons the call, and counts against no target.
///
/// # Examples
///
/// ```no_run
/// use failover_reqwest::FailoverClient;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = FailoverClient::builder()
///     .targets(["http://eu.example/v1", "http://us.example/v1"])
///     .client(reqwest::Client::builder().user_agent("shop/1.0"))
///     .build()?;
/// let response = client.post("/orders").header("idempotency-key", "8e03978e").body("7").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverClient {
    pub(crate) calls: Calls,
}

impl FailoverClient {
    pub(crate) fn new(observed: Observed, client: Client) -> Self {
        let targets = Targets::new(List::with_one_service(observed, client));
        Self { calls: Calls { targets: Arc::new(targets) } }
    }

    /// Begins a GET request of a path, which is joined to each target's own, or of a URL that leads below one of the targets.
    pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Begins a POST request.
    ///
    /// One that may have been executed is not sent again, unless it has an `Idempotency-Key` or the policy's `replay` says so.
    pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Begins a PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Begins a PATCH request.
    ///
    /// One that may have been executed is not sent again, unless it has an `Idempotency-Key` or the policy's `replay` says so.
    pub fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Begins a HEAD request.
    pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// Begins a request with any method.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
        let request = self.calls.targets.current().service(0).request(method, url_of(path.as_ref()));
        RequestBuilder::new(self.calls.clone(), request)
    }

    /// Sends a request of reqwest's, whose URL leads below one of the targets, or that one of this client's builders made.
    ///
    /// Its timeout is the time that the call has.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        self.calls.run(request, Extensions::new()).await
    }

    /// Replaces the targets and the policy while calls go on.
    ///
    /// What is remembered of targets that stay is kept; see [`Group::with_targets`]. Calls under way finish on the list
    /// that they began with. All clones of this client change with it.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; then nothing changes.
    pub fn set_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<(), BuildError> {
        self.calls.targets.set(targets, policy)
    }

    failover_hyper::remembered!(calls.targets);
}

impl fmt::Debug for FailoverClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverClient")
            .field("targets", &self.targets())
            .field("sticky", &self.sticky())
            .finish_non_exhaustive()
    }
}

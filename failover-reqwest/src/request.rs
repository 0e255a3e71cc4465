//! Requests as reqwest's users make them.

use std::fmt;
use std::time::Duration;

use failover_core::Replay;
use failover_hyper::{Attempts, Idempotent};
use http::Extensions;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Request, Response};

use crate::calls::Calls;
use crate::error::Error;

/// Builds a request: what reqwest's own does, for whatever target.
///
/// # Examples
///
/// ```no_run
/// # async fn run(client: failover_reqwest::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let request = client.get("/orders").bearer_auth("7f3a").timeout(Duration::from_secs(2));
/// let orders = request.send().await?.error_for_status()?.text().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing until it is sent"]
pub struct RequestBuilder {
    calls: Calls,
    request: reqwest::RequestBuilder,
    extensions: Extensions,
}

impl RequestBuilder {
    pub(crate) fn new(calls: Calls, request: reqwest::RequestBuilder) -> Self {
        Self { calls, request, extensions: Extensions::new() }
    }

    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K, Error: Into<http::Error>>,
        HeaderValue: TryFrom<V, Error: Into<http::Error>>,
    {
        self.map(|request| request.header(name, value))
    }

    /// Sets headers: of each name the given ones only.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|request| request.headers(headers))
    }

    /// Sets the header of HTTP's basic authentication. A target's own takes its place, if it has one.
    pub fn basic_auth(self, username: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        self.map(|request| request.basic_auth(username, password))
    }

    /// Sets the header of HTTP's bearer authentication. A target's own takes its place, if it has one.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.map(|request| request.bearer_auth(token))
    }

    /// Sets the body.
    ///
    /// One in memory is shared by all attempts. A stream gets its first attempt, and others if it is no longer than the policy's
    /// `replay_buffer` or nothing of it was sent.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|request| request.body(body))
    }

    /// Sets the time that the call has, with all its attempts, until the head of the answer is there: the shorter of this and the
    /// policy's deadline.
    pub fn timeout(self, time: Duration) -> Self {
        self.map(|request| request.timeout(time))
    }

    /// Adds pairs to the query.
    #[cfg(feature = "query")]
    pub fn query<T: serde::Serialize + ?Sized>(self, query: &T) -> Self {
        self.map(|request| request.query(query))
    }

    /// Sends a form as the body.
    #[cfg(feature = "form")]
    pub fn form<T: serde::Serialize + ?Sized>(self, form: &T) -> Self {
        self.map(|request| request.form(form))
    }

    /// Sends a value as JSON in the body.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(self, json: &T) -> Self {
        self.map(|request| request.json(json))
    }

    /// Sends parts as the body, which is a stream also where all of them are in memory: see [`body`](Self::body).
    #[cfg(feature = "multipart")]
    pub fn multipart(self, form: reqwest::multipart::Form) -> Self {
        self.map(|request| request.multipart(form))
    }

    /// Sets how many attempts the call may have, in place of the policy's `max_attempts`. It is [`Attempts`].
    pub fn attempts(self, most: u8) -> Self {
        self.extension(Attempts(most))
    }

    /// Sets when the request is sent again that may have been executed, in place of the policy's `replay`.
    pub fn replay(self, replay: Replay) -> Self {
        self.extension(replay)
    }

    /// Says that a second execution is harmless, whatever the method. It is [`Idempotent`].
    pub fn idempotent(self) -> Self {
        self.extension(Idempotent(true))
    }

    /// Adds an extension, for whoever sends the attempts or decides on the call.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// The request, for [`FailoverClient::execute`](crate::FailoverClient::execute). Its URL has a host that stands for whatever target, and the extensions
    /// are lost.
    ///
    /// # Errors
    ///
    /// reqwest cannot build it.
    pub fn build(self) -> Result<Request, Error> {
        self.request.build().map_err(Error::unbuilt)
    }

    /// The same request once more, unless its body is a stream.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let request = self.request.try_clone()?;
        Some(Self { calls: self.calls.clone(), request, extensions: self.extensions.clone() })
    }

    /// Sends the request to the target that works.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn send(self) -> Result<Response, Error> {
        let request = self.request.build().map_err(Error::unbuilt)?;
        self.calls.run(request, self.extensions).await
    }

    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").finish_non_exhaustive()
    }
}

//! The client: a method for each way to make a call.

use std::fmt;
use std::sync::Arc;

use failover_core::{AdminState, BuildError, Group, Policy, Snapshot, Target};
use failover_hyper::{CallBody, IntoBody, Proven, ResponseBody, Targets, Template};
use http::{Method, Request, Response};

use crate::error::Error;
use crate::exchange::run;
use crate::request::RequestBuilder;
use crate::service::Failover;
use crate::transport::{Connections, Transport};

/// An HTTP client for an ordered list of targets: each request goes to the one that works.
///
/// A clone is two reference counts and shares all of it: the connections, and what is remembered of the targets. All
/// calls need a tokio runtime with time and I/O. Dropping a call's future abandons the call, and counts against no target.
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
/// let response = client.post("/orders").body(r#"{"item": 7}"#).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverClient {
    pub(crate) failover: Failover<Connections>,
    transport: Transport,
}

impl FailoverClient {
    pub(crate) fn new(targets: Targets<Connections>, transport: Transport) -> Self {
        Self { failover: Failover { targets: Arc::new(targets), classify: Proven }, transport }
    }

    /// The same as a tower service, which shares all of it.
    #[must_use]
    pub fn into_service(self) -> Failover<Connections> {
        self.failover
    }

    failover_hyper::verbs!(failover.targets);

    /// Sends a request that is there already.
    ///
    /// Of its URI, path and query are used. `Host` is each target's. Its extensions [`Within`](crate::Within),
    /// [`Attempts`](crate::Attempts), [`Idempotent`](crate::Idempotent) and [`Replay`](crate::Replay) hold for the call.
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
    pub async fn request(&self, request: Request<impl IntoBody>) -> Result<Response<ResponseBody>, Error> {
        let (mut head, body) = request.into_parts();
        self.failover.targets.default_headers().complete(&mut head.headers);
        let template = Template::new(head, CallBody::whole(body.into_bytes())).ok_or(Error::Method)?;
        run(&self.failover.targets.current(), &template).await
    }

    /// Replaces the targets and the policy while calls go on.
    ///
    /// What is remembered of targets that stay is kept (see [`Group::with_targets`]), and so are connections that lead to the
    /// same host, or address, over the same protocol and TLS. Calls
    /// under way finish on the list that they began with. All clones of this client change with it.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; then nothing changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_tokio::{FailoverClient, Policy, Target};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = FailoverClient::builder().targets(["http://eu.example", "http://us.example"]).build()?;
    /// let targets = [Target::parse("http://us.example")?, Target::parse("http://asia.example")?];
    /// client.clone().set_targets(targets, Policy::default())?;
    /// assert_eq!(client.group().targets()[1].to_string(), "http://asia.example");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<(), BuildError> {
        self.failover.targets.connect(&self.transport, targets.into_iter().collect(), policy)
    }

    /// Replaces how TLS is spoken with the targets that name these settings: see [`Target::tls`].
    ///
    /// It takes effect with the next [`set_targets`](Self::set_targets), which may set the same targets: new connections are
    /// made like this, and those of before end with the calls on them. Settings that are the same `Arc` as before change
    /// nothing.
    #[cfg(feature = "rustls-no-provider")]
    pub fn set_tls_named(
        &self,
        name: impl Into<String>,
        config: impl Into<Arc<failover_hyper::rustls::ClientConfig>>,
    ) {
        self.transport.set_tls(name, config.into());
    }

    failover_hyper::remembered!(failover.targets);
}

impl fmt::Debug for FailoverClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverClient")
            .field("targets", &self.targets())
            .field("sticky", &self.sticky())
            .finish_non_exhaustive()
    }
}

//! The client: a method for each way to make a call.

use std::fmt;
use std::sync::Arc;

use failover_core::{AdminState, BuildError, Group, Policy, Snapshot, Target};
use failover_hyper::{CallBody, DefaultHeaders, IntoBody, List, Observed, Targets, Template};
use http::{Method, Request};

use crate::error::Error;
use crate::exchange::{Sender, Senders, run};
use crate::request::RequestBuilder;
use crate::runtime::AsyncStd;
use crate::surf_client::template_of;

/// An HTTP client for an ordered list of targets: each request goes to the one that works.
///
/// A clone is one reference count and shares all of it: the connections, and what is remembered of the targets.
/// Dropping a call's future abandons the call, and counts against no target.
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::FailoverClient;
/// use std::time::Duration;
///
/// # async fn run() -> surf::Result<()> {
/// let client = FailoverClient::builder()
///     .targets(["http://localhost:8080/echo", "http://localhost:8080/mock"])
///     .failover_codes([501, 502, 503])
///     .attempt_timeout(Duration::from_secs(5))
///     .interval(Duration::from_secs(5))
///     .build()?;
/// let mut response = client.post("/orders").body(r#"{"item": 7}"#).await?;
/// println!("{}", response.body_string().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverClient {
    shared: Arc<Shared>,
}

struct Shared {
    targets: Targets<Sender>,
    /// What connections are from, unless a client of the caller's sends.
    transport: Option<failover_hyper::Transport<AsyncStd>>,
}

impl FailoverClient {
    /// A client over one of the caller's.
    pub(crate) fn over(observed: Observed, client: surf::Client, headers: DefaultHeaders) -> Self {
        let targets = Targets::new(List::with_one_service(observed, Sender::Client(client)));
        let targets = targets.with_default_headers(headers);
        Self { shared: Arc::new(Shared { targets, transport: None }) }
    }

    /// A client with connections of its own.
    pub(crate) fn connected(
        targets: Targets<Sender>,
        transport: failover_hyper::Transport<AsyncStd>,
    ) -> Self {
        Self { shared: Arc::new(Shared { targets, transport: Some(transport) }) }
    }

    failover_hyper::verbs!(shared.targets);

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
    /// # async fn run(client: failover_async_std::FailoverClient) -> surf::Result<()> {
    /// let order = http::Request::post("/orders")
    ///     .header("content-type", "application/json")
    ///     .header("idempotency-key", "8e03978e")
    ///     .body(r#"{"item": 7}"#)?;
    /// let response = client.request(order).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request(&self, request: Request<impl IntoBody>) -> Result<surf::Response, Error> {
        let (mut head, body) = request.into_parts();
        self.shared.targets.default_headers().complete(&mut head.headers);
        self.run(Template::new(head, CallBody::whole(body.into_bytes()))).await
    }

    /// Sends a request of surf's, with its headers and its body, which may be a stream.
    ///
    /// Of its URL, path and query are used. Of the body, the first [`replay_buffer`](crate::Policy::replay_buffer)
    /// bytes are kept; one that is longer goes to one target only, once that took the first byte of it. Middleware of
    /// the request itself is not run: see [`FailoverMiddleware`](crate::FailoverMiddleware).
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use surf::http::Method;
    ///
    /// # async fn run(client: failover_async_std::FailoverClient) -> surf::Result<()> {
    /// let url = surf::Url::parse("http://any.example/orders")?;
    /// let order = surf::Request::builder(Method::Post, url).body(r#"{"item": 7}"#);
    /// let response = client.send(order).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, request: impl Into<surf::Request>) -> Result<surf::Response, Error> {
        let limit = self.group().policy().replay_buffer;
        self.run(template_of(&mut request.into(), self.shared.targets.default_headers(), limit)?).await
    }

    /// Replaces the targets and the policy while calls go on.
    ///
    /// What is remembered of targets that stay is kept (see [`Group::with_targets`]), and so are connections that lead to the
    /// same host, or address, over the same protocol and TLS. Calls under way finish on the list that they began with. All
    /// clones of this client change with it.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; then nothing changes.
    pub fn set_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<(), BuildError> {
        match &self.shared.transport {
            Some(transport) => self.shared.targets.connect(transport, targets.into_iter().collect(), policy),
            None => self.shared.targets.set(targets, policy),
        }
    }

    /// Replaces how TLS is spoken with the targets that name these settings: see [`Target::tls`].
    ///
    /// It takes effect with the next [`set_targets`](Self::set_targets), which may set the same targets: new connections are
    /// made like this, and those of before end with the calls on them. Settings that are the same `Arc` as before change
    /// nothing. A client over one of surf's has none.
    #[cfg(feature = "rustls-no-provider")]
    pub fn set_tls_named(
        &self,
        name: impl Into<String>,
        config: impl Into<Arc<failover_hyper::rustls::ClientConfig>>,
    ) {
        if let Some(transport) = &self.shared.transport {
            transport.set_tls(name, config.into());
        }
    }

    failover_hyper::remembered!(shared.targets);

    async fn run(&self, template: Option<Template>) -> Result<surf::Response, Error> {
        let list = self.shared.targets.current();
        run(&list, template, &Senders(&list)).await
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

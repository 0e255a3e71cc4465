//! The client: a method for each way to make a call.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use failover_core::{AdminState, BuildError, Group, Snapshot, Target};
use failover_hyper::{
    AttemptBody, AttemptError, Bound, CallBody, Checking, Exchange, Template, TransportBody,
};
use http::{Method, Request, Response};
use http_body_util::Either;

use crate::bodies::SurfBody;
use crate::error::Error;
use crate::runtime::AsyncStd;
use crate::submit::Submitted;
use crate::surf_client::{template_of, through};
use crate::targets::Targets;
use crate::transport::Transport;

/// An HTTP client for an ordered list of targets: each request goes to the one that works.
///
/// A clone is one reference count and shares all of it: the connections, and what is remembered of the targets.
/// Dropping a call's future abandons the call, and books nothing.
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
/// let mut response = client.post("/orders", r#"{"item": 7}"#).await?;
/// println!("{}", response.body_string().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverClient {
    shared: Arc<Shared>,
}

struct Shared {
    targets: Targets,
    sender: Sender,
    _checking: Option<Checking>,
}

/// What sends a client's requests.
pub(crate) enum Sender {
    Transport(Transport),
    Client(surf::Client),
}

impl Exchange for Sender {
    type Body = Either<TransportBody, SurfBody>;

    async fn exchange(
        &self,
        _: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> Result<Response<Self::Body>, AttemptError> {
        match self {
            Self::Transport(transport) => Ok(transport.exchange(request, bound).await?.map(Either::Left)),
            Self::Client(client) => {
                let response = through(request, bound, |request| client.send(request)).await?;
                Ok(response.map(Either::Right))
            }
        }
    }
}

impl FailoverClient {
    /// A client over one of the caller's.
    pub(crate) fn new(group: Group<Target>, client: surf::Client) -> Self {
        let sender = Sender::Client(client);
        Self { shared: Arc::new(Shared { targets: Targets::new(group), sender, _checking: None }) }
    }

    /// A client over a transport of its own, which runs the checks of the policy.
    pub(crate) fn checking(
        group: Group<Target>,
        transport: failover_hyper::Transport<AsyncStd>,
    ) -> Result<Self, BuildError> {
        let targets = Targets::new(group);
        let checking = Checking::start(&targets.group, targets.clock, &transport)?;
        let sender = Sender::Transport(Transport::over(transport));
        Ok(Self { shared: Arc::new(Shared { targets, sender, _checking: checking }) })
    }

    failover_hyper::verbs!(surf::Response);

    /// Sends a request with headers of its own.
    ///
    /// Of its URI, path and query are used. `Host` is each target's. Its extension [`Within`](crate::Within) bounds the
    /// call.
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
    pub async fn request(&self, request: Request<impl Into<Bytes>>) -> Result<surf::Response, Error> {
        let (head, body) = request.into_parts();
        self.run(Template::new(head, CallBody::whole(body))).await
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
        let limit = self.shared.targets.group.policy().replay_buffer;
        self.run(template_of(&mut request.into(), limit)?).await
    }

    /// Begins a request that runs on by itself, and hands back what waits for its result.
    pub fn submit(&self, method: impl TryInto<Method>, path: &str, body: impl Into<Bytes>) -> Submitted {
        let request = Self::plain(method, path, body);
        let client = self.clone();
        Submitted::spawn(async move { client.request(request?).await })
    }

    /// Makes this target the one where the next call begins, by the hand of an operator.
    ///
    /// # Errors
    ///
    /// There is no such target.
    pub fn prefer(&self, index: usize) -> Result<(), BuildError> {
        self.shared.targets.prefer(index)
    }

    /// Sets whether a target is to be used, by the hand of an administrator: see [`AdminState`].
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn set_state(&self, index: usize, state: AdminState) -> Result<(), BuildError> {
        self.shared.targets.group.set_state(index, state)
    }

    /// The targets in order.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        self.shared.targets.group.targets()
    }

    /// The index of the target where the next call begins.
    #[must_use]
    pub fn sticky(&self) -> usize {
        self.shared.targets.group.sticky()
    }

    /// What is remembered of the targets, for a status page.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.targets.snapshot()
    }

    async fn run(&self, template: Option<Template>) -> Result<surf::Response, Error> {
        self.shared.targets.run(template, &self.shared.sender).await
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

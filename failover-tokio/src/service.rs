//! The tower service: failover over any service that sends requests.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use failover_core::{AdminState, BuildError, Group, Policy, Snapshot, Target};
use failover_hyper::{
    AttemptBody, BoxError, CallBody, Classify, Clock, List, Observed, Proven, ResponseBody, Targets,
    Template, group_by_uri, perform,
};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::error::Error;
use crate::exchange::Services;
use crate::runtime::Tokio;

/// A tower service that sends each request to the target that works, by an inner service.
///
/// The inner service is one for all targets, or each target has its own, which can be a stack: balanced, limited,
/// authenticated. It gets requests with the target's absolute URI, `Host` and headers, and the extensions of the
/// request. That it becomes ready is waited for within the attempt, so that a target whose service does not is given
/// up, and the request, which was provably not sent, goes to the next one.
///
/// hyper-util's client is such a service; reqwest's is one once `map_request` and `map_response` convert between the
/// types. Their retries and redirects must be off, and what their errors prove is for you to say: see
/// [the crate](crate#over-other-clients). A timeout of tower's below this sees no progress of the request's body: prefer
/// the policy's `attempt_timeout`.
///
/// The body of a request is streamed, and kept for other attempts up to the policy's `replay_buffer`; one that is a
/// `http_body_util::Full<Bytes>` is shared by all attempts. The service itself is always ready. A clone is a
/// reference count, and shares the targets, and what is remembered of them.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use failover_tokio::{Failover, FailoverClient, Policy, Target};
/// use tower::ServiceBuilder;
///
/// let urls = ["http://eu.example", "http://us.example"];
/// let transport = FailoverClient::builder().targets(urls).transport()?;
/// let mut targets = Vec::new();
/// for url in urls {
///     let service = ServiceBuilder::new().concurrency_limit(64).service(transport.clone());
///     targets.push((Target::parse(url)?, service));
/// }
/// let failover = Failover::per_target(targets, Policy::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Failover<S, C = Proven> {
    pub(crate) targets: Arc<Targets<S>>,
    pub(crate) classify: C,
}

impl<S> Failover<S> {
    /// A service over one inner service for all targets, the preferred one first. The URI of a request tells it the
    /// target.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense. A target that is not reached as its URL says
    /// needs a service of its own.
    pub fn new(
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
        service: S,
    ) -> Result<Self, BuildError> {
        let observed = Observed::new(group_by_uri(targets, policy)?, Clock::start::<Tokio>(), None);
        Ok(Self::sharing(observed, service, Proven))
    }

    /// A service over an inner service for each target, the preferred one first.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn per_target(
        targets: impl IntoIterator<Item = (Target, S)>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let list = List::with_services(targets, policy, Clock::start::<Tokio>())?;
        Ok(Self { targets: Arc::new(Targets::new(list)), classify: Proven })
    }
}

impl<S, C> Failover<S, C> {
    /// A service that shares a group's memory.
    pub(crate) fn sharing(observed: Observed, service: S, classify: C) -> Self {
        let list = List::with_one_service(observed, service);
        Self { targets: Arc::new(Targets::new(list)), classify }
    }

    /// The same service, with a name by which logs and metrics tell it from others, unless it has one: `default` otherwise.
    ///
    /// To be given before the first call.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.targets.current().observed().set_name(name);
        self
    }

    /// The same service, whose calls are recorded: see [`Recorder`](crate::Recorder).
    ///
    /// To be given after the name, and before the first call.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn recorded(self, recorder: &crate::Recorder) -> Self {
        self.targets.current().observed().set_recorder(recorder);
        self
    }

    /// The same service, with errors of the inner one classified by `classify` rather than by [`Proven`].
    #[must_use]
    pub fn classify<D: Classify>(self, classify: D) -> Failover<S, D> {
        Failover { targets: self.targets, classify }
    }

    /// Replaces the targets, each with a service of its own, and the policy, while calls go on.
    ///
    /// What is remembered of targets that stay is kept; see [`Group::with_targets`]. Calls under way finish on the list
    /// that they began with. All clones of this service change with it.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; then nothing changes.
    pub fn set_services(
        &self,
        targets: impl IntoIterator<Item = (Target, S)>,
        policy: Policy,
    ) -> Result<(), BuildError> {
        let targets: Vec<_> = targets.into_iter().collect();
        self.targets.replace(|list| list.replaced(targets, policy))
    }

    /// Replaces the targets and the policy while calls go on, and keeps the services.
    ///
    /// As [`set_services`](Self::set_services), but where each target has a service of its own, each of the new list
    /// must be one of the old list, by its name and by where it leads.
    ///
    /// # Errors
    ///
    /// As [`set_services`](Self::set_services).
    pub fn set_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<(), BuildError>
    where
        S: Clone,
    {
        self.targets.set(targets, policy)
    }

    failover_hyper::remembered!(targets);
}

impl<S, C, B, R> Service<Request<B>> for Failover<S, C>
where
    S: Service<Request<AttemptBody>, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    C: Classify + Clone + Send + Sync + 'static,
    B: Body<Error: Into<BoxError>> + Send + 'static,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Error<R>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, Error<R>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error<R>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let failover = self.clone();
        Box::pin(async move {
            let list = failover.targets.current();
            let (mut head, body) = request.into_parts();
            failover.targets.default_headers().complete(&mut head.headers);
            let body = CallBody::received(body, &head, list.group().policy().replay_buffer);
            let template = Template::new(head, body).ok_or(Error::Method)?;
            let services = Services { list: &list, classify: &failover.classify };
            let call = perform::<Tokio, _>(list.observed(), list.drains(), &template, &services);
            call.await.map_err(Error::Stopped)
        })
    }
}

impl<S, C> fmt::Debug for Failover<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.group();
        f.debug_struct("Failover")
            .field("targets", &group.targets())
            .field("sticky", &group.sticky())
            .finish_non_exhaustive()
    }
}

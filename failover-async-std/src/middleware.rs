//! Failover as middleware of a surf client.

use std::fmt;
use std::sync::Arc;

use failover_core::{AdminState, BuildError, Group, Snapshot, Target};
use surf::StatusCode;
use surf::middleware::{Middleware, Next};
use surf::utils::async_trait;

use crate::error::Error;
use crate::surf_client::{Rest, template_of};
use crate::targets::Targets;

/// Failover for all requests of a [`surf::Client`], the way surf is extended.
///
/// Scheme, host and port of a request's URL are replaced by each target's, whatever they are; its path goes below the
/// target's base path. A clone shares what is remembered of the targets, so one can be kept to ask for
/// [`sticky`](Self::sticky).
///
/// Middleware that was added before this one sees each call once, and what is added after it sees each attempt, with
/// the headers of the attempt's target. Such a middleware must send a request on at most once, since a second sending
/// is one that failover knows nothing of, and must not follow redirects: `surf::middleware::Redirect` sends every request
/// at least twice, and takes the target's headers with it.
///
/// An error is an [`Error`], by downcast, unless it is one of the middleware before. What the transport of the client
/// cannot prove counts as [`MaybeProcessed`](crate::Evidence::MaybeProcessed); a [`Transport`](crate::Transport) proves
/// all that can be proven of the request that it was given.
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::{Answered, FailoverMiddleware, Transport};
///
/// # async fn run() -> surf::Result<()> {
/// let failover = FailoverMiddleware::builder()
///     .targets(["https://api.example", "https://api.standby.example/v1"])
///     .build_middleware()?;
/// let client = surf::Client::with_http_client(Transport::new()?).with(failover.clone());
/// let response = client.get("http://any.example/users?page=2").await?;
/// println!("{:?}, next {}", response.ext::<Answered>(), failover.sticky());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FailoverMiddleware {
    targets: Arc<Targets>,
}

impl FailoverMiddleware {
    pub(crate) fn new(group: Group<Target>) -> Self {
        Self { targets: Arc::new(Targets::new(group)) }
    }

    /// Makes this target the one where the next call begins, by the hand of an operator.
    ///
    /// # Errors
    ///
    /// There is no such target.
    pub fn prefer(&self, index: usize) -> Result<(), BuildError> {
        self.targets.prefer(index)
    }

    /// Sets whether a target is to be used, by the hand of an administrator: see [`AdminState`].
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn set_state(&self, index: usize, state: AdminState) -> Result<(), BuildError> {
        self.targets.group.set_state(index, state)
    }

    /// The targets in order.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        self.targets.group.targets()
    }

    /// The index of the target where the next call begins.
    #[must_use]
    pub fn sticky(&self) -> usize {
        self.targets.group.sticky()
    }

    /// What is remembered of the targets, for a status page.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.targets.snapshot()
    }
}

#[async_trait]
impl Middleware for FailoverMiddleware {
    async fn handle(
        &self,
        mut request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        let limit = self.targets.group.policy().replay_buffer;
        let template = template_of(&mut request, limit).map_err(failed)?;
        self.targets.run(template, &Rest { client, next }).await.map_err(failed)
    }
}

impl fmt::Debug for FailoverMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverMiddleware")
            .field("targets", &self.targets())
            .field("sticky", &self.sticky())
            .finish_non_exhaustive()
    }
}

/// The status is what a gateway would say.
fn failed(error: Error) -> surf::Error {
    let status = match &error {
        Error::Stopped(_) | Error::Unrepresentable(_) => StatusCode::BadGateway,
        Error::Method | Error::Path(_) | Error::Header => StatusCode::BadRequest,
    };
    surf::Error::new(status, error)
}

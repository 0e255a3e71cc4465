//! Failover as middleware of a surf client.

use std::fmt;
use std::sync::Arc;

use failover_core::{AdminState, BuildError, Group, PathError, Policy, Snapshot, Target};
use failover_hyper::{DefaultHeaders, List, Observed, Targets, gateway_status};
use surf::StatusCode;
use surf::middleware::{Middleware, Next};
use surf::utils::async_trait;

use crate::error::Error;
use crate::exchange::run;
use crate::surf_client::{Rest, template_of};

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
    targets: Arc<Targets<()>>,
}

impl FailoverMiddleware {
    pub(crate) fn new(observed: Observed, headers: DefaultHeaders) -> Self {
        let targets = Targets::new(List::with_one_service(observed, ()));
        Self { targets: Arc::new(targets.with_default_headers(headers)) }
    }

    /// Replaces the targets and the policy while calls go on.
    ///
    /// What is remembered of targets that stay is kept (see [`Group::with_targets`]). Calls under way finish on the list that
    /// they began with. All clones of this middleware change with it.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; then nothing changes.
    pub fn set_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<(), BuildError> {
        self.targets.set(targets, policy)
    }

    failover_hyper::remembered!(targets);
}

#[async_trait]
impl Middleware for FailoverMiddleware {
    async fn handle(
        &self,
        mut request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        let list = self.targets.current();
        let limit = list.group().policy().replay_buffer;
        let template = template_of(&mut request, self.targets.default_headers(), limit).map_err(failed)?;
        run(&list, template, &Rest { client, next }).await.map_err(failed)
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
        Error::Stopped(stopped) => {
            gateway_status(stopped).as_u16().try_into().unwrap_or(StatusCode::BadGateway)
        }
        Error::Unrepresentable(_) => StatusCode::BadGateway,
        Error::Method => StatusCode::MethodNotAllowed,
        Error::Path(PathError::TooLong) => StatusCode::UriTooLong,
        Error::Path(_) | Error::Header(_) | Error::Json(_) => StatusCode::BadRequest,
    };
    surf::Error::new(status, error)
}

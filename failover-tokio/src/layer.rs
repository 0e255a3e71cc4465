//! The tower layer.

use failover_core::{BuildError, Policy, Target};
use failover_hyper::{Classify, Clock, Observed, Proven, group_by_uri};
use tower_layer::Layer;

use crate::runtime::Tokio;
use crate::service::Failover;

/// A tower layer that puts [`Failover`] over a service.
///
/// The service is for all targets; the URI of a request tells it the target. All services that the layer makes share
/// what is remembered of the targets, until one of them is given other targets.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use failover_tokio::{FailoverClient, FailoverLayer, Policy, Target};
/// use tower::ServiceBuilder;
///
/// let urls = ["http://eu.example", "http://us.example"];
/// let transport = FailoverClient::builder().targets(urls).transport()?;
/// let targets = [Target::parse(urls[0])?, Target::parse(urls[1])?];
/// let service = ServiceBuilder::new()
///     .layer(FailoverLayer::new(targets, Policy::default())?)
///     .concurrency_limit(64)
///     .service(transport);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FailoverLayer<C = Proven> {
    observed: Observed,
    classify: C,
}

impl FailoverLayer {
    /// A layer for these targets, the preferred one first.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn new(targets: impl IntoIterator<Item = Target>, policy: Policy) -> Result<Self, BuildError> {
        let observed = Observed::new(group_by_uri(targets, policy)?, Clock::start::<Tokio>(), None);
        Ok(Self { observed, classify: Proven })
    }

    /// The same layer, whose services have a name: see [`Failover::named`].
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.observed.set_name(name);
        self
    }

    /// The same layer, the calls of whose services are recorded: see [`Failover::recorded`].
    #[cfg(feature = "record")]
    #[must_use]
    pub fn recorded(self, recorder: &crate::Recorder) -> Self {
        self.observed.set_recorder(recorder);
        self
    }

    /// The same layer, with errors of the inner service classified by `classify` rather than by [`Proven`].
    #[must_use]
    pub fn classify<C: Classify>(self, classify: C) -> FailoverLayer<C> {
        FailoverLayer { observed: self.observed, classify }
    }
}

impl<S, C: Clone> Layer<S> for FailoverLayer<C> {
    type Service = Failover<S, C>;

    fn layer(&self, inner: S) -> Failover<S, C> {
        Failover::sharing(self.observed.clone(), inner, self.classify.clone())
    }
}

//! The targets that new calls begin on. They can be changed while calls are under way, which finish on the list that
//! they began with.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use failover_core::{BuildError, Entry, Group, Policy, Target};

use crate::checking::Checking;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::default_headers::DefaultHeaders;
use crate::drain::Drains;
use crate::observed::Observed;
#[cfg(feature = "metrics")]
use crate::pool::Census;
use crate::runtime::Runtime;
use crate::transport::Transport;

/// A list of targets that can be replaced.
#[derive(Debug)]
pub struct Targets<S> {
    current: RwLock<Arc<List<S>>>,
    /// Held while the list is replaced, and until that is told.
    replacing: Mutex<()>,
    default_headers: DefaultHeaders,
}

impl<S> Targets<S> {
    /// Targets that begin with a list.
    #[must_use]
    pub fn new(list: List<S>) -> Self {
        list.observed.join();
        let current = RwLock::new(Arc::new(list));
        Self { current, replacing: Mutex::default(), default_headers: DefaultHeaders::default() }
    }

    /// The same with headers that each request has, unless it has them of its own.
    #[must_use]
    pub fn with_default_headers(self, default_headers: DefaultHeaders) -> Self {
        Self { default_headers, ..self }
    }

    /// Targets with connections to each, on which the policy's checks are run, of a client that may have a name. Each
    /// request and each check has `default_headers`, unless it has them of its own.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn connected<R: Runtime>(
        transport: &Transport<R>,
        targets: Vec<Target>,
        policy: Policy,
        name: Option<String>,
        default_headers: DefaultHeaders,
    ) -> Result<Self, BuildError>
    where
        S: From<Connections<R>>,
    {
        let connections = transport.connections(&targets, &policy)?;
        let group = Group::of(targets.into_iter().map(Entry::from), seeded(policy))?;
        let observed = Observed::new(group, Clock::start::<R>(), name);
        let list = List::connected(observed, connections, &default_headers)?;
        Ok(Self::new(list).with_default_headers(default_headers))
    }

    /// The list that a new call begins on.
    #[must_use]
    pub fn current(&self) -> Arc<List<S>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The headers that each request has, unless it has them of its own.
    #[must_use]
    pub fn default_headers(&self) -> &DefaultHeaders {
        &self.default_headers
    }

    /// Records the gauges of the current targets.
    #[cfg(feature = "metrics")]
    pub fn record_gauges(&self) {
        let list = self.current();
        let connections: Vec<_> = list.pools.iter().map(|pool| pool.count()).collect();
        list.observed.record_gauges(&connections);
    }

    /// Puts targets with connections to each in the place of the current ones. Connections that lead to the same are kept.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense; the current list then stays.
    pub fn connect<R: Runtime>(
        &self,
        transport: &Transport<R>,
        targets: Vec<Target>,
        policy: Policy,
    ) -> Result<(), BuildError>
    where
        S: From<Connections<R>>,
    {
        let connections = transport.connections(&targets, &policy)?;
        self.replace(|list| {
            let group = list.group().with_targets(targets.into_iter().map(Entry::from), seeded(policy))?;
            List::connected(list.observed.followed_by(group), connections, &self.default_headers)
        })
    }

    /// Puts other targets in the place of the current ones, which are sent to by the same services.
    ///
    /// # Errors
    ///
    /// As [`List::with_targets`]; the current list then stays.
    pub fn set(&self, targets: impl IntoIterator<Item = Target>, policy: Policy) -> Result<(), BuildError>
    where
        S: Clone,
    {
        // The caller's iterator may do anything, such as ask for the targets, and so runs before the lock is taken.
        let targets: Vec<_> = targets.into_iter().collect();
        self.replace(|list| list.with_targets(targets, policy))
    }

    /// Puts another list in the place of the current one.
    ///
    /// # Errors
    ///
    /// Those of `change`; the current list then stays.
    pub fn replace(
        &self,
        change: impl FnOnce(&List<S>) -> Result<List<S>, BuildError>,
    ) -> Result<(), BuildError> {
        let replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Arc::new(change(&self.current())?);
        let observed = new.observed.clone();
        let old = mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
        observed.take_over(&old.observed);
        drop(replacing);
        // What a service does when it is dropped is done without a lock.
        drop(old);
        Ok(())
    }
}

/// One list of targets, what is remembered of them, and what sends requests to them.
#[derive(Debug)]
pub struct List<S> {
    observed: Observed,
    drains: Drains,
    services: Services<S>,
    /// Those of the services, in order, where they are connections.
    #[cfg(feature = "metrics")]
    pools: Box<[Arc<dyn Census>]>,
    /// Runs the group's checks while the list is there.
    _checking: Option<Checking>,
}

#[derive(Debug)]
enum Services<S> {
    /// For all targets.
    One(S),
    /// As many as there are targets.
    Each(Box<[S]>),
}

impl<S> List<S> {
    /// A list of targets with one service for all, which goes by the URI of each request ([`group_by_uri`]).
    #[must_use]
    pub fn with_one_service(observed: Observed, service: S) -> Self {
        Self::of(observed, Services::One(service), None)
    }

    /// A list of targets with a service each, where nothing could run checks, and a memory that is measured by `clock`.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn with_services(
        targets: impl IntoIterator<Item = (Target, S)>,
        policy: Policy,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let (targets, services): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        let group = Group::of(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        Ok(Self::of(Observed::new(group, clock, None), Services::Each(services.into()), None))
    }

    /// Another list of targets with a service each, which knows what this one knows of those that stay.
    ///
    /// # Errors
    ///
    /// As [`with_services`](Self::with_services).
    pub fn replaced(
        &self,
        targets: impl IntoIterator<Item = (Target, S)>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let (targets, services): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        let group =
            self.group().with_targets(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        Ok(Self::of(self.observed.followed_by(group), Services::Each(services.into()), None))
    }

    /// A list with connections to each target of a group, on which its checks are run.
    fn connected<R: Runtime>(
        observed: Observed,
        connections: Vec<Connections<R>>,
        default_headers: &DefaultHeaders,
    ) -> Result<Self, BuildError>
    where
        S: From<Connections<R>>,
    {
        let checking = Checking::start(&observed, &connections, default_headers)?;
        #[cfg(feature = "metrics")]
        let pools = connections.iter().map(Connections::census).collect();
        let services = Services::Each(connections.into_iter().map(S::from).collect());
        let list = Self::of(observed, services, checking);
        #[cfg(feature = "metrics")]
        let list = Self { pools, ..list };
        Ok(list)
    }

    fn of(observed: Observed, services: Services<S>, checking: Option<Checking>) -> Self {
        Self {
            drains: Drains::new(observed.group()),
            observed,
            services,
            #[cfg(feature = "metrics")]
            pools: Box::default(),
            _checking: checking,
        }
    }

    /// The targets, and what is remembered of them.
    #[must_use]
    pub fn group(&self) -> &Group<Target> {
        self.observed.group()
    }

    /// The same, with what is told of it.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// How many answers of each target are being drained.
    #[must_use]
    pub fn drains(&self) -> &Drains {
        &self.drains
    }

    /// The service that sends requests to a target.
    ///
    /// # Panics
    ///
    /// There is no target with this index.
    #[must_use]
    pub fn service(&self, target: usize) -> &S {
        match &self.services {
            Services::One(service) => service,
            Services::Each(services) => &services[target],
        }
    }
}

impl<S: Clone> List<S> {
    /// Another list, whose targets are sent to by the services of this one. Nothing here could run checks.
    ///
    /// # Errors
    ///
    /// The group refuses the targets or the policy, or a target needs a service of its own that is not here.
    pub fn with_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let group =
            self.group().with_targets(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        let services = match &self.services {
            Services::One(service) => {
                refuse_routes(group.targets())?;
                Services::One(service.clone())
            }
            Services::Each(services) => {
                let service = |(place, target): (usize, &Target)| {
                    let mut known = self.group().names().iter().zip(self.group().targets());
                    let is_same = |(name, known)| {
                        name == &group.names()[place] && target.shares_connections_with(known)
                    };
                    let service = known.position(is_same).map(|place| services[place].clone());
                    service.ok_or_else(|| BuildError::new("targets", target, "a target that has a service"))
                };
                let targets = group.targets().iter().enumerate();
                Services::Each(targets.map(service).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self::of(self.observed.followed_by(group), services, None))
    }
}

/// A group of targets for a service that goes by the URI of each request, where nothing could run checks.
///
/// # Errors
///
/// Names the key and the value of the first setting that makes no sense; a target that is reached otherwise than its URL says
/// makes none.
pub fn group_by_uri(
    targets: impl IntoIterator<Item = Target>,
    policy: Policy,
) -> Result<Group<Target>, BuildError> {
    let group = Group::of(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
    refuse_routes(group.targets())?;
    Ok(group)
}

/// Refuses targets that are reached otherwise than the URI of a request says.
fn refuse_routes(targets: &[Target]) -> Result<(), BuildError> {
    let Some(place) = targets.iter().position(Target::has_route) else { return Ok(()) };
    let expected = "only what its URL says: a service for all targets goes by that";
    Err(BuildError::new(format!("targets[{place}]"), &targets[place], expected))
}

/// A policy with a seed of its own, unless it has one.
fn seeded(policy: Policy) -> Policy {
    policy.seeded(|| RandomState::new().build_hasher().finish())
}

/// The same of a policy that has no checks, where nothing could run them.
///
/// # Errors
///
/// It has checks.
fn without_checks(policy: Policy) -> Result<Policy, BuildError> {
    match &policy.checks {
        Some(checks) => {
            let expected = "no checks: only a client with a transport of its own runs them";
            Err(BuildError::new("checks.path", &checks.path, expected))
        }
        None => Ok(seeded(policy)),
    }
}

//! The targets that new calls begin on. They can be changed while calls are under way, which finish on the list that
//! they began with.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use failover_core::{BuildError, Entry, Group, Policy, Target};

use crate::checking::Checking;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::drain::Drains;
use crate::runtime::Runtime;
use crate::transport::Transport;

/// A list of targets that can be replaced.
#[derive(Debug)]
pub struct Targets<S> {
    current: RwLock<Arc<List<S>>>,
    clock: Clock,
}

impl<S> Targets<S> {
    /// Targets that begin with a list, whose group is as old as `clock`.
    #[must_use]
    pub fn new(list: List<S>, clock: Clock) -> Self {
        Self { current: RwLock::new(Arc::new(list)), clock }
    }

    /// Targets with connections to each, on which the policy's checks are run.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn connected<R: Runtime>(
        transport: &Transport<R>,
        targets: Vec<Target>,
        policy: Policy,
    ) -> Result<Self, BuildError>
    where
        S: From<Connections<R>>,
    {
        let clock = Clock::start::<R>();
        let connections = transport.connections(&targets, &policy)?;
        let group = Group::of(targets.into_iter().map(Entry::from), seeded(policy))?;
        Ok(Self::new(List::connected(group, connections, clock)?, clock))
    }

    /// The list that a new call begins on.
    #[must_use]
    pub fn current(&self) -> Arc<List<S>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The time of all lists' groups.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
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
            let group = list.group.with_targets(targets.into_iter().map(Entry::from), seeded(policy))?;
            List::connected(group, connections, self.clock)
        })
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
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let new = Arc::new(change(&current)?);
        let old = mem::replace(&mut *current, new);
        drop(current);
        // What a service does when it is dropped is done without the lock.
        drop(old);
        Ok(())
    }
}

/// One list of targets, what is remembered of them, and what sends requests to them.
#[derive(Debug)]
pub struct List<S> {
    group: Group<Target>,
    drains: Drains,
    services: Services<S>,
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
    pub fn with_one_service(group: Group<Target>, service: S) -> Self {
        Self::of(group, Services::One(service), None)
    }

    /// A list of targets with a service each, where nothing could run checks.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes no sense.
    pub fn with_services(
        targets: impl IntoIterator<Item = (Target, S)>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let (targets, services): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        let group = Group::of(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        Ok(Self::of(group, Services::Each(services.into()), None))
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
        let group = self.group.with_targets(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        Ok(Self::of(group, Services::Each(services.into()), None))
    }

    /// A list with connections to each target of a group, on which its checks are run.
    fn connected<R: Runtime>(
        group: Group<Target>,
        connections: Vec<Connections<R>>,
        clock: Clock,
    ) -> Result<Self, BuildError>
    where
        S: From<Connections<R>>,
    {
        let checking = Checking::start(&group, clock, &connections)?;
        let services = Services::Each(connections.into_iter().map(S::from).collect());
        Ok(Self::of(group, services, checking))
    }

    fn of(group: Group<Target>, services: Services<S>, checking: Option<Checking>) -> Self {
        Self { drains: Drains::new(&group), group, services, _checking: checking }
    }

    /// The targets, and what is remembered of them.
    #[must_use]
    pub fn group(&self) -> &Group<Target> {
        &self.group
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
        let group = self.group.with_targets(targets.into_iter().map(Entry::from), without_checks(policy)?)?;
        let services = match &self.services {
            Services::One(service) => {
                refuse_routes(group.targets())?;
                Services::One(service.clone())
            }
            Services::Each(services) => {
                let service = |(place, target): (usize, &Target)| {
                    let mut known = self.group.names().iter().zip(self.group.targets());
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
        Ok(Self::of(group, services, None))
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

//! The targets that new calls begin on. They can be changed while calls are under way, which finish on the list that
//! they began with.

use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use failover_core::{BuildError, Entry, Group, Policy, Target};
use failover_hyper::{Checking, Clock};

/// A list of targets that can be replaced.
#[derive(Debug)]
pub(crate) struct Targets<S> {
    current: RwLock<Arc<List<S>>>,
    pub(crate) clock: Clock,
}

impl<S> Targets<S> {
    /// `clock` is as old as the group.
    pub(crate) fn new(list: List<S>, clock: Clock) -> Self {
        Self { current: RwLock::new(Arc::new(list)), clock }
    }

    /// The list that a new call begins on.
    pub(crate) fn current(&self) -> Arc<List<S>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another list in the place of the current one.
    ///
    /// # Errors
    ///
    /// Those of `change`; the current list then stays.
    pub(crate) fn replace(
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
pub(crate) struct List<S> {
    pub(crate) group: Group<Target>,
    services: Services<S>,
    /// Runs the group's checks while the list is there.
    pub(crate) checking: Option<Checking>,
}

#[derive(Debug)]
enum Services<S> {
    /// For all targets.
    One(S),
    /// As many as there are targets.
    Each(Box<[S]>),
}

impl<S> List<S> {
    pub(crate) fn with_one_service(group: Group<Target>, service: S) -> Self {
        Self { group, services: Services::One(service), checking: None }
    }

    /// A list of targets with a service each. `group` makes the group of the targets.
    ///
    /// # Errors
    ///
    /// Those of `group`.
    pub(crate) fn with_services(
        targets: impl IntoIterator<Item = (Target, S)>,
        group: impl FnOnce(Vec<Target>) -> Result<Group<Target>, BuildError>,
    ) -> Result<Self, BuildError> {
        let (targets, services): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        let services = Services::Each(services.into());
        Ok(Self { group: group(targets)?, services, checking: None })
    }

    /// The service that sends requests to a target.
    pub(crate) fn service(&self, target: usize) -> &S {
        match &self.services {
            Services::One(service) => service,
            Services::Each(services) => &services[target],
        }
    }
}

impl<S: Clone> List<S> {
    /// Another list, whose targets are sent to by the services of this one.
    ///
    /// # Errors
    ///
    /// The group refuses the targets or the policy, or a target that is new would need a service of its own.
    pub(crate) fn with_targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
        policy: Policy,
    ) -> Result<Self, BuildError> {
        let group = self.group.with_targets(targets.into_iter().map(Entry::from), policy)?;
        let services = match &self.services {
            Services::One(service) => Services::One(service.clone()),
            Services::Each(services) => {
                let service = |(place, target): (usize, &Target)| {
                    let place = self.group.names().iter().position(|name| *name == group.names()[place]);
                    let service = place.map(|place| services[place].clone());
                    service.ok_or_else(|| BuildError::new("targets", target, "a target that has a service"))
                };
                let targets = group.targets().iter().enumerate();
                Services::Each(targets.map(service).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { group, services, checking: None })
    }
}

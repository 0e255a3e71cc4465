//! A target's entry in the list of a group: its name, its bounds, and whether an administrator wants it used.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use crate::admin::AdminState;
use crate::error::{BuildError, positive};
use crate::policy::Policy;

/// A target with what the machine must know of it.
///
/// # Examples
///
/// ```
/// use failover_core::{AdminState, Entry, Group, Policy};
/// use std::time::Duration;
///
/// let near = Entry::new("http://near").named("near").attempt_timeout(Duration::from_secs(1));
/// let far = Entry::new("http://far").named("far").state(AdminState::Drain);
/// let group = Group::of([near, far], Policy::default())?;
/// assert_eq!(group.names(), ["near", "far"].map(Box::from));
/// # Ok::<(), failover_core::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Entry<T> {
    target: T,
    name: Name,
    pub(crate) bounds: Bounds,
    pub(crate) state: AdminState,
}

#[derive(Clone, Debug)]
enum Name {
    /// Its place in the list.
    Place,
    /// A name that others may have too.
    Common(String),
    Own(String),
}

impl<T> Entry<T> {
    /// A target whose name is its place in the list, and whose bounds are the policy's.
    pub fn new(target: T) -> Self {
        Self { target, name: Name::Place, bounds: Bounds::default(), state: AdminState::Ready }
    }

    /// The same with a name, which is the target's identity: what is remembered of it follows its name from list to list
    /// (`identity`). No two targets of a group have the same.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Name::Own(name.into()), ..self }
    }

    /// The same with a name that it may share with others: the second one of a list is then `name#2`.
    #[must_use]
    pub fn known_as(self, name: impl Into<String>) -> Self {
        Self { name: Name::Common(name.into()), ..self }
    }

    /// The same with a bound of its own for each attempt.
    #[must_use]
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.bounds.attempt_timeout = Some(time);
        self
    }

    /// The same with a bound of its own for connecting.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.bounds.connect_timeout = Some(time);
        self
    }

    /// The same in another state.
    #[must_use]
    pub fn state(self, state: AdminState) -> Self {
        Self { state, ..self }
    }

    pub(crate) fn into_target(self) -> T {
        self.target
    }

    /// The names of a list of targets.
    ///
    /// # Errors
    ///
    /// Two were given the same.
    pub(crate) fn names(entries: &[Self]) -> Result<Box<[Box<str>]>, BuildError> {
        let mut names: alloc::vec::Vec<Box<str>> = alloc::vec::Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            let name = match &entry.name {
                Name::Place => place.to_string(),
                Name::Own(name) => name.clone(),
                Name::Common(name) => {
                    let is_same = |other: &&Self| matches!(&other.name, Name::Common(other) if other == name);
                    match entries.iter().take(place).filter(is_same).count() {
                        0 => name.clone(),
                        before => format!("{name}#{}", before + 1),
                    }
                }
            };
            if names.iter().any(|other| **other == *name) {
                return Err(BuildError::new(
                    format!("targets[{place}].name"),
                    name,
                    "a name that no other has",
                ));
            }
            names.push(name.into());
        }
        Ok(names.into())
    }

    /// Refuses bounds that make no sense.
    pub(crate) fn check(&self, place: usize) -> Result<(), BuildError> {
        let Bounds { attempt_timeout, connect_timeout } = self.bounds;
        for (key, bound) in [("attempt_timeout", attempt_timeout), ("connect_timeout", connect_timeout)] {
            if let Some(bound) = bound {
                positive(&format!("targets[{place}].{key}"), bound)?;
            }
        }
        Ok(())
    }
}

/// The bounds that a target has of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    attempt_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
}

impl Bounds {
    pub(crate) fn attempt_timeout(self, policy: &Policy) -> Duration {
        self.attempt_timeout.unwrap_or(policy.attempt_timeout)
    }

    pub(crate) fn connect_timeout(self, policy: &Policy) -> Duration {
        self.connect_timeout.unwrap_or(policy.connect_timeout)
    }

    /// The time after which an attempt that was not answered is a strike, whoever set its bound: the attempt timeout, but at
    /// most half of the policy's deadline.
    pub(crate) fn full_time(self, policy: &Policy) -> Duration {
        let attempt_timeout = self.attempt_timeout(policy);
        policy.deadline.map_or(attempt_timeout, |deadline| attempt_timeout.min(deadline / 2))
    }

    /// The longest time that an attempt can have.
    pub(crate) fn longest(self, policy: &Policy) -> Duration {
        let attempt_timeout = self.attempt_timeout(policy);
        policy.deadline.map_or(attempt_timeout, |deadline| deadline.min(attempt_timeout))
    }
}

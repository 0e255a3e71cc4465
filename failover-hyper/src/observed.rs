//! A group whose changes are told: one line for each, whoever made it.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use failover_core::{
    AdminState, BuildError, Cause, CheckState, Failure, Group, Snapshot, Target, TargetSnapshot, Timestamp,
};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::error::AttemptError;
#[cfg(feature = "metrics")]
use crate::metrics::{CallMetrics, Gauges, Series, TargetMetrics};
use crate::outage::Outage;
#[cfg(feature = "record")]
use crate::record::{Recorder, Recording};
#[cfg(feature = "record")]
use crate::recorded::{Event, Place};
use crate::why::{answered, judged, words};

/// A group of targets, its time, and what was told of it.
///
/// What changes is compared with what was told last, wherever something may have changed: after a failure, a probe, a check,
/// the word of an operator. A call that only is answered compares two numbers. A clone is a reference count.
#[derive(Clone)]
pub struct Observed(Arc<Shared>);

struct Shared {
    group: Group<Target>,
    /// By which the targets are told.
    names: Box<[String]>,
    clock: Clock,
    client: Arc<Client>,
    /// The sticky target as it was told last.
    sticky: AtomicUsize,
    told: Mutex<Told>,
    #[cfg(feature = "metrics")]
    metrics: Box<[TargetMetrics]>,
}

/// What stays the same when a client gets other targets.
#[derive(Default)]
struct Client {
    name: OnceLock<String>,
    outage: Outage,
    #[cfg(feature = "record")]
    recording: OnceLock<Recording>,
    #[cfg(feature = "metrics")]
    metrics: CallMetrics,
    #[cfg(feature = "metrics")]
    gauges: Gauges,
}

/// What was told last.
struct Told {
    /// How many lists this is the group of. Without any, what calls still do to it concerns nobody.
    lists: usize,
    sticky: usize,
    targets: Box<[ToldTarget]>,
}

struct ToldTarget {
    state: AdminState,
    check: Option<CheckState>,
    cools_until: Timestamp,
    /// Why it cooled last.
    why: String,
}

/// What has just happened to a target.
#[derive(Clone, Copy)]
pub(crate) enum Met<'a> {
    Nothing,
    /// The failures of a call.
    Failures(&'a [Failure<AttemptError>]),
    /// This, to the target with this index.
    Said(usize, &'static str),
}

impl Observed {
    /// A group, which is as old as `clock`, of a client that may have a name.
    #[must_use]
    pub fn new(group: Group<Target>, clock: Clock, name: Option<String>) -> Self {
        let name = name.map_or_else(OnceLock::new, OnceLock::from);
        Self::of(group, clock, Arc::new(Client { name, ..Client::default() }))
    }

    /// Gives the client a name, unless it has one.
    pub fn set_name(&self, name: impl Into<String>) {
        // The first name stays.
        let _ = self.0.client.name.set(name.into());
    }

    /// Records the calls of the client, which has its name by now, unless they are.
    #[cfg(feature = "record")]
    pub fn set_recorder(&self, recorder: &Recorder) {
        let begin = || recorder.record(self.client(), &self.0.names, self.group().sticky());
        self.0.client.recording.get_or_init(begin);
    }

    /// What records the calls of the client.
    #[cfg(feature = "record")]
    #[inline]
    pub(crate) fn recording(&self) -> Option<&Recording> {
        self.0.client.recording.get()
    }

    /// Records what changed.
    #[cfg(feature = "record")]
    pub(crate) fn record(&self, event: impl FnOnce() -> Event) {
        if let Some(recording) = self.recording() {
            recording.tell(event());
        }
    }

    /// A target, as it is recorded.
    #[cfg(feature = "record")]
    pub(crate) fn place(&self, index: usize) -> Place {
        Place { index, name: self.name(index).to_owned() }
    }

    /// The group that takes the place of this one.
    pub(crate) fn followed_by(&self, group: Group<Target>) -> Self {
        Self::of(group, self.clock(), Arc::clone(&self.0.client))
    }

    fn of(group: Group<Target>, clock: Clock, client: Arc<Client>) -> Self {
        let told = Told::of(&group.snapshot(clock.now()), clock.now());
        Self(Arc::new(Shared {
            sticky: AtomicUsize::new(told.sticky),
            told: Mutex::new(told),
            #[cfg(feature = "metrics")]
            metrics: group.targets().iter().map(|_| TargetMetrics::default()).collect(),
            names: names(&group),
            group,
            clock,
            client,
        }))
    }

    /// The group.
    #[must_use]
    #[inline]
    pub fn group(&self) -> &Group<Target> {
        &self.0.group
    }

    /// The group's time.
    #[must_use]
    #[inline]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// The name of the client.
    pub(crate) fn client(&self) -> &str {
        self.0.client.name.get().map_or("default", String::as_str)
    }

    /// The name by which a target is told.
    pub(crate) fn name(&self, index: usize) -> &str {
        &self.0.names[index]
    }

    /// Whether the calls of the client stop.
    pub(crate) fn outage(&self) -> &Outage {
        &self.0.client.outage
    }

    /// What counts the calls of the client.
    #[cfg(feature = "metrics")]
    pub(crate) fn call_metrics(&self) -> &CallMetrics {
        &self.0.client.metrics
    }

    /// A target, as metrics tell it.
    #[cfg(feature = "metrics")]
    pub(crate) fn series(&self, index: usize) -> Series<'_> {
        Series { client: self.client(), target: self.name(index), index, kept: &self.0.metrics[index] }
    }

    /// Records the gauges of all targets, to each of which there are so many connections, idle and in use, where that is known.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_gauges(&self, connections: &[(usize, usize)]) {
        let snapshot = self.group().snapshot(self.clock().now());
        self.0.client.gauges.record(self.client(), &self.0.names, &snapshot, connections);
    }

    /// Makes a target the sticky one by hand: see [`Group::prefer`].
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn prefer(&self, index: usize) -> Result<(), BuildError> {
        let mut told = self.told();
        self.tell_changes(&mut told, Met::Nothing);
        self.group().prefer(index, self.clock().now())?;
        let from = self.move_to(&mut told, index);
        if from != index && told.lists > 0 {
            info!(
                target: "failover",
                client = self.client(),
                index,
                target_name = self.name(index),
                from_index = from,
                from_name = self.name(from),
                "target preferred by hand"
            );
            #[cfg(feature = "record")]
            self.record(|| Event::Preferred { target: self.place(index), from: self.place(from) });
        }
        Ok(())
    }

    /// Sets whether a target is to be used: see [`Group::set_state`].
    ///
    /// # Errors
    ///
    /// There is no target with this index.
    pub fn set_state(&self, index: usize, state: AdminState) -> Result<(), BuildError> {
        self.group().set_state(index, state)?;
        self.tell(Met::Nothing);
        Ok(())
    }

    /// Becomes the group of one more list.
    pub(crate) fn join(&self) {
        self.told().lists += 1;
    }

    /// Becomes the group of a list that takes the place of another one.
    pub(crate) fn take_over(&self, from: &Self) {
        let before = {
            let mut told = from.told();
            told.lists = told.lists.saturating_sub(1);
            told.sticky
        };
        let mut told = self.told();
        told.lists += 1;
        info!(
            target: "failover",
            client = self.client(),
            targets = %self.0.names.join(", "),
            index = told.sticky,
            target_name = self.name(told.sticky),
            from_index = before,
            from_name = from.name(before),
            "targets replaced"
        );
        #[cfg(feature = "record")]
        self.record(|| Event::Replaced { targets: self.0.names.to_vec(), index: told.sticky });
        self.tell_changes(&mut told, Met::Nothing);
    }

    /// Tells where the cursor went, if that is not told yet.
    #[inline]
    pub(crate) fn tell_moves(&self, failures: &[Failure<AttemptError>]) {
        if self.group().sticky() != self.0.sticky.load(Ordering::Relaxed) {
            self.tell(Met::Failures(failures));
        }
    }

    /// Tells what changed.
    #[cold]
    pub(crate) fn tell(&self, met: Met<'_>) {
        self.tell_changes(&mut self.told(), met);
    }

    fn tell_changes(&self, told: &mut Told, met: Met<'_>) {
        if told.lists == 0 {
            self.0.sticky.store(self.group().sticky(), Ordering::Relaxed);
            return;
        }
        let now = self.clock().now();
        let snapshot = self.group().snapshot(now);
        for (index, (told, target)) in told.targets.iter_mut().zip(&snapshot.targets).enumerate() {
            self.tell_target(told, index, target, met, now);
        }
        let from = self.move_to(told, snapshot.sticky);
        if from != snapshot.sticky {
            self.tell_move(from, &snapshot, &told.targets[from].why, met);
        }
    }

    fn tell_target(
        &self,
        told: &mut ToldTarget,
        index: usize,
        target: &TargetSnapshot,
        met: Met<'_>,
        now: Timestamp,
    ) {
        let (client, target_name) = (self.client(), self.name(index));
        if mem::replace(&mut told.state, target.state) != target.state {
            let state = target.state.as_str();
            info!(target: "failover", client, index, target_name, state, "target's state set by hand");
            #[cfg(feature = "record")]
            self.record(|| Event::SetByHand { target: self.place(index), state: state.to_owned() });
        }
        if mem::replace(&mut told.check, target.check) != target.check {
            match target.check {
                Some(CheckState::Up) => {
                    info!(target: "failover", client, index, target_name, "target up by its checks");
                }
                Some(CheckState::Down) => {
                    warn!(target: "failover", client, index, target_name, "target down by its checks");
                }
                Some(CheckState::NoSuchPath) => {
                    warn!(target: "failover", client, index, target_name, "target has no such path to check");
                }
                _ => {}
            }
            #[cfg(feature = "record")]
            if let Some(state) = target.check.filter(|state| *state != CheckState::Unknown) {
                self.record(|| Event::Checked {
                    target: self.place(index),
                    state: state.as_str().to_owned(),
                });
            }
        }
        let until = target.cooling.map_or(Timestamp::ORIGIN, |left| now + left);
        let before = mem::replace(&mut told.cools_until, until);
        // One that asks for more time while it cools is not told again.
        if let Some(left) = target.cooling.filter(|_| before <= now) {
            told.why = met.why(index).unwrap_or_else(|| last_failure(target));
            let (cools_for, strikes, why) = (left.as_secs_f64(), target.strikes, &*told.why);
            warn!(target: "failover", client, index, target_name, cools_for, strikes, why, "target cools");
            #[cfg(feature = "record")]
            self.record(|| Event::Cools {
                target: self.place(index),
                cools_for,
                strikes,
                why: why.to_owned(),
            });
        }
    }

    fn tell_move(&self, from: usize, snapshot: &Snapshot, why: &str, met: Met<'_>) {
        let (client, to, policy) = (self.client(), snapshot.sticky, self.group().policy());
        let left = &snapshot.targets[from];
        let is_ready = left.state == AdminState::Ready;
        if to < from && policy.failback.is_some() && is_ready && left.strikes < policy.leave_after {
            info!(
                target: "failover",
                client,
                index = to,
                target_name = self.name(to),
                from_index = from,
                from_name = self.name(from),
                "returned to target"
            );
            #[cfg(feature = "record")]
            self.record(|| Event::Returned { target: self.place(to), from: self.place(from) });
            return;
        }
        let why = match met.why(from) {
            _ if !is_ready => left.state.as_str().to_owned(),
            Some(why) => why,
            None if why.is_empty() => last_failure(left),
            None => why.to_owned(),
        };
        warn!(
            target: "failover",
            client,
            index = from,
            target_name = self.name(from),
            to_index = to,
            to_name = self.name(to),
            why,
            strikes = left.strikes,
            "target left"
        );
        #[cfg(feature = "record")]
        self.record(|| Event::Left { target: self.place(from), to: self.place(to), why });
    }

    /// Notes where the cursor is, and tells where it was.
    fn move_to(&self, told: &mut Told, sticky: usize) -> usize {
        self.0.sticky.store(sticky, Ordering::Relaxed);
        mem::replace(&mut told.sticky, sticky)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observed").field(self.group()).finish()
    }
}

impl Told {
    /// As if all of this were told.
    fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let target = |target: &TargetSnapshot| ToldTarget {
            state: target.state,
            check: target.check,
            cools_until: target.cooling.map_or(Timestamp::ORIGIN, |left| now + left),
            why: String::new(),
        };
        Self { lists: 0, sticky: snapshot.sticky, targets: snapshot.targets.iter().map(target).collect() }
    }
}

impl Met<'_> {
    /// What happened to a target, if it is this one.
    fn why(self, target: usize) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Said(index, why) => (index == target).then(|| why.to_owned()),
            Self::Failures(failures) => {
                failures.iter().rfind(|failure| failure.target() == target).map(words)
            }
        }
    }
}

/// The names by which targets are told: those that they were given, or else scheme, host and port, since the path of a URL may be
/// a secret (`redacted`). The second one of a list that is told alike is `name#2`.
fn names(group: &Group<Target>) -> Box<[String]> {
    let mut names: Vec<String> = Vec::new();
    for (target, name) in group.targets().iter().zip(group.names()) {
        let url = target.to_string();
        let is_url =
            name.strip_prefix(&url).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']));
        let name = if is_url { url } else { name.to_string() };
        let numbered = (2..).map(|nth| format!("{name}#{nth}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
        names.extend(name);
    }
    names.into()
}

/// What happened when a target failed last, as far as that is remembered.
fn last_failure(target: &TargetSnapshot) -> String {
    match target.last_failure {
        Some(Cause::Status(status)) => answered(status),
        Some(Cause::Judged(status)) => judged(status),
        Some(Cause::Error(evidence, ())) => evidence.as_str().to_owned(),
        _ => String::new(),
    }
}

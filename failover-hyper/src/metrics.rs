//! The metrics, and their names in the convention of Prometheus.
//!
//! The handles of what counts calls that go well are kept, each from its first use on.

use std::mem;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use failover_core::{CheckState, Snapshot};
use http::StatusCode;
use metrics::{
    Counter, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Tells the recorder what each metric means. To be called once it is installed.
pub fn describe_metrics() {
    describe_counter!(CALLS, "Calls that ended, by how");
    describe_histogram!(
        CALL_DURATION,
        Unit::Seconds,
        "The time from a call's beginning to the head of its answer"
    );
    describe_counter!(ATTEMPTS, "Attempts that ended, by target and how");
    describe_histogram!(
        ATTEMPT_DURATION,
        Unit::Seconds,
        "The time from an attempt's beginning to its end, by target"
    );
    describe_counter!(FAILOVERS, "Moves of a call from one target to another");
    describe_counter!(BROKEN_ANSWERS, "Answers whose body broke off, by target");
    describe_gauge!(STICKY, "1 for the target where the next call begins, 0 for the others");
    describe_gauge!(COOLING, Unit::Seconds, "For how long the target is still tried last");
    describe_gauge!(STRIKES, "The strikes against the target since it last answered well");
    describe_gauge!(UP, "1 if the target is up by its checks, 0 if it is down or that is not known");
    describe_gauge!(CONNECTIONS, "The connections to where the target leads, by whether they are in use");
}

/// The handles for the calls of a client.
#[derive(Default)]
pub(crate) struct CallMetrics {
    answered: OnceLock<(Counter, Histogram)>,
}

impl CallMetrics {
    /// A call of the client with this name ended.
    pub(crate) fn ended(&self, client: &str, outcome: &'static str, took: Duration) {
        let resolve = || {
            let labels = vec![client_label(client), Label::from_static_parts("outcome", outcome)];
            (counter!(CALLS, labels.clone()), histogram!(CALL_DURATION, labels))
        };
        let record = |(count, duration): &(Counter, Histogram)| {
            count.increment(1);
            duration.record(took);
        };
        if outcome == "answered" {
            record(self.answered.get_or_init(resolve));
        } else {
            record(&resolve());
        }
    }
}

/// The handles for the attempts at a target.
#[derive(Default)]
pub(crate) struct TargetMetrics {
    took: OnceLock<Histogram>,
    /// By class of status.
    answered: [OnceLock<Counter>; CLASSES.len()],
}

/// A target, as metrics tell it.
#[derive(Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) client: &'a str,
    /// Its name.
    pub(crate) target: &'a str,
    pub(crate) index: usize,
    pub(crate) kept: &'a TargetMetrics,
}

impl Series<'_> {
    /// An attempt was answered.
    pub(crate) fn answered(self, status: StatusCode, took: Duration) {
        let resolve = || self.attempts("answered", class(status));
        self.kept.answered[place(status)].get_or_init(resolve).increment(1);
        self.took(took);
    }

    /// An attempt was given up, with an answer that has a status, or without one.
    pub(crate) fn given_up(self, outcome: &'static str, status: Option<StatusCode>, took: Duration) {
        self.attempts(outcome, status.map_or("none", class)).increment(1);
        self.took(took);
    }

    /// A call moved from this target to another.
    pub(crate) fn failed_over(self, to: Self) {
        let name = |key, series: Self| Label::new(key, series.target.to_owned());
        counter!(FAILOVERS, vec![client_label(self.client), name("from", self), name("to", to)]).increment(1);
    }

    /// The body of an answer broke off.
    pub(crate) fn answer_broke_off(self) {
        counter!(BROKEN_ANSWERS, self.labels()).increment(1);
    }

    fn attempts(self, outcome: &'static str, status: &'static str) -> Counter {
        let mut labels = self.labels();
        labels.push(Label::from_static_parts("outcome", outcome));
        labels.push(Label::from_static_parts("status", status));
        counter!(ATTEMPTS, labels)
    }

    fn took(self, took: Duration) {
        self.kept.took.get_or_init(|| histogram!(ATTEMPT_DURATION, self.labels())).record(took);
    }

    fn labels(self) -> Vec<Label> {
        target_labels(self.client, self.target, self.index)
    }
}

/// The gauges that were recorded last.
#[derive(Default)]
pub(crate) struct Gauges(Mutex<Vec<(&'static str, Vec<Label>)>>);

impl Gauges {
    /// Records what is remembered of the targets of a client, by their names, and how many connections to each are idle and in use, where
    /// that is known. What was recorded before and is no more is 0.
    pub(crate) fn record(
        &self,
        client: &str,
        names: &[String],
        snapshot: &Snapshot,
        connections: &[(usize, usize)],
    ) {
        let mut gauges = Vec::new();
        for (index, (target, name)) in snapshot.targets.iter().zip(names).enumerate() {
            let labels = target_labels(client, name, index);
            let mut add = |name, value| gauges.push(((name, labels.clone()), value));
            add(STICKY, flag(index == snapshot.sticky));
            add(COOLING, target.cooling.map_or(0.0, |left| left.as_secs_f64()));
            add(STRIKES, target.strikes.into());
            if let Some(check) = target.check {
                add(UP, flag(check == CheckState::Up));
            }
            if let Some((idle, in_use)) = connections.get(index) {
                for (state, count) in [("idle", idle), ("in_use", in_use)] {
                    let state = Label::from_static_parts("state", state);
                    let labels = labels.iter().cloned().chain([state]).collect();
                    gauges.push(((CONNECTIONS, labels), u32::try_from(*count).unwrap_or(u32::MAX).into()));
                }
            }
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = mem::replace(&mut *last, gauges.iter().map(|(key, _)| key.clone()).collect());
        if before != *last {
            let gone = before.into_iter().filter(|key| !last.contains(key));
            gauges.extend(gone.map(|key| (key, 0.0)));
        }
        for ((name, labels), value) in gauges {
            gauge!(name, labels).set(value);
        }
    }
}

fn target_labels(client: &str, target: &str, index: usize) -> Vec<Label> {
    let target = Label::new("target", target.to_owned());
    vec![client_label(client), target, Label::new("index", index.to_string())]
}

fn client_label(client: &str) -> Label {
    Label::new("client", client.to_owned())
}

fn flag(is_set: bool) -> f64 {
    u8::from(is_set).into()
}

/// The class of a status, as a label has it.
fn class(status: StatusCode) -> &'static str {
    CLASSES[place(status)]
}

/// The place of a status's class.
fn place(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100 - 1)
}

const CLASSES: [&str; 9] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"];

const CALLS: &str = "failover_calls_total";
const CALL_DURATION: &str = "failover_call_duration_seconds";
const ATTEMPTS: &str = "failover_attempts_total";
const ATTEMPT_DURATION: &str = "failover_attempt_duration_seconds";
const FAILOVERS: &str = "failover_failovers_total";
const BROKEN_ANSWERS: &str = "failover_broken_answers_total";
const STICKY: &str = "failover_target_sticky";
const COOLING: &str = "failover_target_cooling_seconds";
const STRIKES: &str = "failover_target_strikes";
const UP: &str = "failover_target_up";
const CONNECTIONS: &str = "failover_target_connections";

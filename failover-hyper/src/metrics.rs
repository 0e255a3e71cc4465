//! The metrics, and their names in the convention of Prometheus.

use std::time::Duration;

use failover_core::Target;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

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
}

pub(crate) fn call(outcome: &'static str, took: Duration) {
    counter!(CALLS, "outcome" => outcome).increment(1);
    histogram!(CALL_DURATION, "outcome" => outcome).record(took);
}

pub(crate) fn attempt(target: &Target, outcome: &'static str, took: Duration) {
    let target = target.to_string();
    histogram!(ATTEMPT_DURATION, "target" => target.clone()).record(took);
    counter!(ATTEMPTS, "target" => target, "outcome" => outcome).increment(1);
}

pub(crate) fn failover(from: &Target, to: &Target) {
    counter!(FAILOVERS, "from" => from.to_string(), "to" => to.to_string()).increment(1);
}

pub(crate) fn broken_answer(target: &Target) {
    counter!(BROKEN_ANSWERS, "target" => target.to_string()).increment(1);
}

const CALLS: &str = "failover_calls_total";
const CALL_DURATION: &str = "failover_call_duration_seconds";
const ATTEMPTS: &str = "failover_attempts_total";
const ATTEMPT_DURATION: &str = "failover_attempt_duration_seconds";
const FAILOVERS: &str = "failover_failovers_total";
const BROKEN_ANSWERS: &str = "failover_broken_answers_total";

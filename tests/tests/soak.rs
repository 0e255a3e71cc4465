//! What must hold of each call while targets misbehave at random.
#![forbid(unsafe_code)]

use std::time::Duration;

use failover_tests::lab::LIMIT;
use failover_tests::soak::{Order, Over, soak};

/// Guards: `TransportBody::poll_frame` that takes the error by which a body broke off for its end.
#[test]
fn what_must_hold_of_calls_under_load_holds_over_tokio() {
    holds(Over::Tokio);
}

/// Guards: `TransportBody::poll_frame` that takes the error by which a body broke off for its end.
#[test]
fn what_must_hold_of_calls_under_load_holds_over_async_std() {
    holds(Over::AsyncStd);
}

fn holds(over: Over) {
    let order = Order { lasts: Duration::from_secs(5), callers: 64, seed: 1, slack: LIMIT };
    let report = soak(over, order, |_| {});
    assert!(report.broken().is_empty() && report.calls() > 64, "{report}{:#?}", report.broken());
}

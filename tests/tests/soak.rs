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

/// Each target speaks each protocol in one of three runs.
fn holds(over: Over) {
    for seed in [0, 1, 2] {
        let order =
            Order { lasts: Duration::from_secs(3), callers: 64, seed, slack: LIMIT, is_harsh: seed == 2 };
        let report = soak(over, order, |_| {});
        assert!(report.broken().is_empty() && report.calls() > 64, "{report}{:#?}", report.broken());
    }
}

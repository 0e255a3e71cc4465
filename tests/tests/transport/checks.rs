//! Checks: what they change, and that they end with their client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use failover_core::Checks;
use failover_tests::lab::{Reply, Server};

use crate::suite::{Call, PATIENCE, client_with, policy};

#[test]
fn checks_only_reorder_a_target_whose_checks_fail_is_asked_last_until_they_succeed() {
    let is_sick = Arc::new(AtomicBool::new(true));
    let first = Server::start({
        let is_sick = Arc::clone(&is_sick);
        move |request| match request.target.as_str() {
            "/healthz" if is_sick.load(Ordering::Relaxed) => Reply::status(503),
            _ => Reply::ok("first"),
        }
    });
    let second = Server::script([Reply::ok("second")]);
    let checks = Checks { every: Duration::from_millis(20), timeout: PATIENCE, ..Checks::at("/healthz") };
    let client = client_with([&first, &second], policy().checks(checks));
    // A round begins when the one before it was reported.
    drop(first.wait_for_requests(4));
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "second");
    is_sick.store(false, Ordering::Relaxed);
    drop(first.wait_for_requests(first.requests().len() + 4));
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "first");
    let check = &first.requests()[0];
    assert_eq!((check.method.as_str(), check.target.as_str(), check.body.len()), ("GET", "/healthz", 0));

    drop(client);
    first.wait_for_closed(first.connections());
}

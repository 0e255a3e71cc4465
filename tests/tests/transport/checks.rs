//! Checks: what they change, and that they end with their client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use failover_core::Checks;
use failover_tests::lab::{Reply, Server};
use http::header::{HeaderName, HeaderValue};

use crate::Client;
use crate::suite::{Call, PATIENCE, client_with, policy, target};

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

/// Guards: a list of targets, the first or a later one, whose checks have no headers but the targets'.
#[test]
fn per_target_request_a_check_has_the_headers_that_each_request_has_and_those_of_its_target_win() {
    let servers = [Server::start(|_| Reply::ok("")), Server::start(|_| Reply::ok(""))];
    let checks = Checks { every: Duration::from_millis(20), timeout: PATIENCE, ..Checks::at("/healthz") };
    let policy = policy().checks(checks);
    let own = || (HeaderName::from_static("x-tag"), HeaderValue::from_static("own"));
    let [first, second] =
        servers.each_ref().map(|server| target(&server.url()).with_header(own().0, own().1));
    let client = Client::built(vec![first], policy.clone(), |builder| {
        builder.default_header("authorization", "Bearer 7f3a").default_header("x-tag", "all")
    });
    drop(servers[0].wait_for_requests(1));
    client.set_targets(vec![second], policy);
    drop(servers[1].wait_for_requests(1));
    for server in &servers {
        let check = &server.requests()[0];
        assert_eq!(check.target, "/healthz");
        assert_eq!(check.header("authorization"), Some("Bearer 7f3a"));
        assert_eq!(check.headers("x-tag").collect::<Vec<_>>(), ["own"]);
    }
}

#[test]
fn failback_good_checks_make_a_probe_due_long_before_the_clock_and_the_call_decides() {
    let is_busy = Arc::new(AtomicBool::new(true));
    let first = Server::start({
        let is_busy = Arc::clone(&is_busy);
        move |request| match request.target.as_str() {
            "/" if is_busy.load(Ordering::Relaxed) => Reply::status(503),
            _ => Reply::ok("first"),
        }
    });
    let second = Server::start(|_| Reply::ok("second"));
    let checks = Checks { every: Duration::from_millis(20), timeout: PATIENCE, ..Checks::at("/healthz") };
    let client = client_with([&first, &second], policy().checks(checks).cool_down(None));
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "second");
    }
    assert_eq!(client.sticky(), 1);
    is_busy.store(false, Ordering::Relaxed);
    // A check that began before the cursor left, and two rounds after it that were reported.
    drop(first.wait_for_requests(first.requests().len() + 4));
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "first");
    assert_eq!(client.sticky(), 0);
}

//! Time: bounds that hold, as measured from below.

use std::time::{Duration, Instant};

use failover_core::{Evidence, Reason};
use failover_tests::lab::{Blackhole, LIMIT, Reply, Server};

use super::{ATTEMPT, Call, Client, client, client_with, policy, target};

#[test]
fn the_interval_is_waited_between_targets_and_not_before_the_first() {
    let interval = Duration::from_millis(200);
    let servers = [Reply::status(503), Reply::fin(), Reply::ok("right")].map(|reply| Server::script([reply]));
    let client = client_with([&servers[0], &servers[1], &servers[2]], policy().interval(interval));
    let began = Instant::now();
    assert_eq!(client.call(&Call::get("/")).unwrap().failures.len(), 2);
    assert!(began.elapsed() >= 2 * interval);
}

#[test]
fn no_doomed_pause_a_pause_gives_way_to_the_attempt_after_it() {
    let (first, second) =
        (Server::script([Reply::status(503).body("no")]), Server::script([Reply::ok("right")]));
    let deadline = Some(Duration::from_secs(6));
    let client = client_with([&first, &second], policy().interval(100 * LIMIT).deadline(deadline));
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

/// Guards: `Settings::effective_policy` whose time to connect is the attempt's.
#[test]
fn connect_bound_a_connect_that_nobody_answers_takes_its_bound_and_not_the_attempts() {
    let connect_timeout = Duration::from_millis(300);
    for call in [Call::get("/"), Call::post("money")] {
        let (blackhole, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
        let targets = [blackhole.url(), works.url()].map(|url| target(&url));
        let policy = policy().connect_timeout(connect_timeout).attempt_timeout(100 * LIMIT).deadline(None);
        let began = Instant::now();
        let answer = Client::new(targets.into(), policy).call(&call).unwrap();
        assert!(began.elapsed() >= connect_timeout);
        assert_eq!((answer.text(), answer.failures[0].evidence), ("right", Some(Evidence::NoConnection)));
    }
}

#[test]
fn attempt_bound_a_target_that_never_answers_takes_its_bound_and_no_less() {
    let (first, second) = (Server::script([Reply::stall()]), Server::script([Reply::ok("right")]));
    let began = Instant::now();
    let targets = vec![target(&first.url()).attempt_timeout(ATTEMPT), target(&second.url())];
    assert_eq!(Client::new(targets, policy()).call(&Call::get("/")).unwrap().text(), "right");
    assert!(began.elapsed() >= ATTEMPT);
    // The attempt that was given up holds no connection.
    first.wait_for_closed(1);
}

#[test]
fn share_slow_targets_leave_time_for_the_one_that_works() {
    let stalls = [(); 2].map(|()| Server::script([Reply::stall()]));
    let works = Server::script([Reply::ok("right")]);
    let bound = 6 * ATTEMPT;
    let policy = policy().attempt_timeout(bound).deadline(bound);
    let answer = client_with([&stalls[0], &stalls[1], &works], policy).call(&Call::get("/")).unwrap();
    assert_eq!((answer.text(), answer.failures.len()), ("right", 2));
}

#[test]
fn deadline_a_call_ends_with_its_deadline() {
    let stalls = [(); 2].map(|()| Server::script([Reply::stall()]));
    let policy = policy().deadline(ATTEMPT).interval(ATTEMPT / 4);
    let began = Instant::now();
    let stopped = client_with([&stalls[0], &stalls[1]], policy).call(&Call::get("/")).unwrap_err();
    assert!(matches!(stopped.reason, Reason::Deadline | Reason::TargetsTried), "{:?}", stopped.reason);
    assert!(began.elapsed() >= ATTEMPT / 2);
}

#[test]
fn retry_after_garbage_and_huge_values_delay_nothing() {
    for value in
        ["99999999999999999999999", "-1", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "18446744073709551615"]
    {
        let first = Server::script([Reply::status(503).header("retry-after", value)]);
        let second = Server::script([Reply::ok("right")]);
        assert_eq!(client([&first, &second]).call(&Call::get("/")).unwrap().text(), "right");
    }
}

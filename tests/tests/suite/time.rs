//! Time: bounds that hold, as measured from below.

use std::time::{Duration, Instant};

use failover_core::{Policy, Reason};
use failover_tests::lab::{LIMIT, Reply, Server};

use super::{ATTEMPT, Call, client, client_with, policy};

#[test]
fn the_interval_is_waited_between_targets_and_not_before_the_first() {
    let interval = Duration::from_millis(200);
    let servers = [Reply::status(503), Reply::fin(), Reply::ok("right")].map(|reply| Server::script([reply]));
    let client = client_with([&servers[0], &servers[1], &servers[2]], Policy { interval, ..policy() });
    let began = Instant::now();
    assert_eq!(client.call(&Call::get("/")).unwrap().failures.len(), 2);
    assert!(began.elapsed() >= 2 * interval);
}

#[test]
fn no_doomed_pause_a_call_that_has_no_time_for_its_pause_ends_at_once() {
    let (first, second) =
        (Server::script([Reply::status(503).body("no")]), Server::script([Reply::ok("right")]));
    let interval = 100 * LIMIT;
    let client = client_with([&first, &second], Policy { interval, deadline: Some(interval), ..policy() });
    let stopped = client.call(&Call::get("/")).unwrap_err();
    assert_eq!((stopped.reason, stopped.answer), (Reason::Deadline, Some((503, b"no".to_vec()))));
    assert_eq!(second.connections(), 0);
}

#[test]
fn attempt_bound_a_target_that_never_answers_takes_its_bound_and_no_less() {
    let (first, second) = (Server::script([Reply::stall()]), Server::script([Reply::ok("right")]));
    let began = Instant::now();
    assert_eq!(client([&first, &second]).call(&Call::get("/")).unwrap().text(), "right");
    assert!(began.elapsed() >= ATTEMPT);
    // The attempt that was given up holds no connection.
    first.wait_for_closed(1);
}

#[test]
fn share_slow_targets_leave_time_for_the_one_that_works() {
    let stalls = [(); 2].map(|()| Server::script([Reply::stall()]));
    let works = Server::script([Reply::ok("right")]);
    let bound = 3 * ATTEMPT;
    let policy = Policy { attempt_timeout: bound, deadline: Some(bound), ..policy() };
    let answer = client_with([&stalls[0], &stalls[1], &works], policy).call(&Call::get("/")).unwrap();
    assert_eq!((answer.text(), answer.failures.len()), ("right", 2));
}

#[test]
fn deadline_a_call_ends_with_its_deadline() {
    let stalls = [(); 2].map(|()| Server::script([Reply::stall()]));
    let policy = Policy { deadline: Some(ATTEMPT), interval: ATTEMPT / 4, ..policy() };
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

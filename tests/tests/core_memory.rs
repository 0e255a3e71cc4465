//! What a call costs in memory.

use std::mem::size_of;
use std::sync::Arc;

use allocation_counter::measure;
use failover_core::{Action, Attempt, Evidence, Facts, Group, Policy, Stopped, Target, Timestamp};
use failover_tests::world::first;
use http::{HeaderMap, Method, StatusCode};

type Response = http::Response<()>;

#[test]
fn an_answer_at_once_allocates_nothing() {
    let group = Group::new(targets(), Policy::default()).expect("a valid group");
    let headers = HeaderMap::new();
    let call = || {
        let facts = Facts::of(&Method::GET, &headers);
        let attempt = first(group.begin::<_, &str>(facts, Timestamp::ORIGIN));
        assert!(!attempt.timeout().is_zero());
        let response = Response::default();
        match attempt.handle_response(StatusCode::OK, None, response, Timestamp::ORIGIN) {
            Action::Return(answer) => group.body_whole(answer.body(), Timestamp::ORIGIN),
            other => panic!("no answer: {other:?}"),
        }
    };
    assert_eq!(measure(call).count_total, 0);
}

#[test]
fn the_first_failure_allocates_twice_and_a_further_one_at_most_once() {
    let group = Group::new(targets(), Policy::default()).expect("a valid group");
    let facts = Facts::of(&Method::GET, &HeaderMap::new());
    let mut call = Some(first(group.begin::<Response, &str>(facts, Timestamp::ORIGIN)));
    for most in [2, 1] {
        let fail = || {
            let attempt = call.take().expect("an attempt");
            match attempt.handle_error(Evidence::NoConnection, "refused", Timestamp::ORIGIN) {
                Action::Send(next) => call = Some(next),
                other => panic!("it goes on: {other:?}"),
            }
        };
        let count = measure(fail).count_total;
        assert!(count <= most, "{count} allocations");
    }
}

#[test]
fn a_dropped_call_leaves_nothing() {
    let group = Group::new(targets(), Policy::default()).expect("a valid group");
    let leaked = measure(|| {
        let facts = Facts::of(&Method::GET, &HeaderMap::new());
        let attempt = first(group.begin::<Response, &str>(facts, Timestamp::ORIGIN));
        drop(attempt.handle_error(Evidence::NoConnection, "refused", Timestamp::ORIGIN));
    });
    assert_eq!((leaked.count_current, leaked.bytes_current), (0, 0));
}

#[test]
fn an_answer_holds_no_response_that_was_given_up() {
    let group = Group::new(targets(), Policy::default()).expect("a valid group");
    let facts = Facts::of(&Method::GET, &HeaderMap::new());
    let (given_up, now) = (Arc::new(()), Timestamp::ORIGIN);
    let call = first(group.begin::<_, &str>(facts, now));
    let busy = call.handle_response(StatusCode::SERVICE_UNAVAILABLE, None, given_up.clone(), now);
    let Action::Send(call) = busy else { panic!("it goes on") };
    assert_eq!(Arc::strong_count(&given_up), 2, "it is held while the call goes on");
    let Action::Return(answer) = call.handle_response(StatusCode::OK, None, Arc::new(()), now) else {
        panic!("an answer")
    };
    assert_eq!((answer.failures().len(), Arc::strong_count(&given_up)), (1, 1));
}

#[test]
fn states_are_small() {
    assert!(size_of::<Attempt<Target, Response, String>>() <= 72);
    assert!(size_of::<Action<Target, (), String>>() <= 80);
    assert_eq!(size_of::<Stopped<Response, String>>(), 16);
}

fn targets() -> [&'static str; 3] {
    ["http://a", "http://b", "http://c"]
}

//! The words that calls share, under every interleaving that the memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p failover-core --test loom`.
#![cfg(loom)]
#![allow(missing_docs, reason = "a test crate")]

use std::time::Duration;

use failover_core::{Action, Attempt, Budget, CoolDown, Evidence, Facts, Group, Policy, Reason, Timestamp};
use http::{HeaderMap, Method, StatusCode};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

type Call = Attempt<usize, (), ()>;

#[test]
fn single_flight_no_two_calls_probe_at_a_time_and_a_failed_probe_is_the_only_one() {
    loom::model(|| {
        let group = away(Policy { cool_down: None, ..Policy::default() });
        let (probing, probes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = || {
            let (group, probing, probes) = (group.clone(), probing.clone(), probes.clone());
            move || {
                let attempt = begin(&group, at(40));
                if attempt.index() == 0 {
                    assert_eq!(probing.fetch_add(1, Ordering::SeqCst), 0);
                    probes.fetch_add(1, Ordering::SeqCst);
                    probing.fetch_sub(1, Ordering::SeqCst);
                    drop(fail(attempt, at(40)));
                }
            }
        };
        in_parallel([call(), call()]);
        assert_eq!(probes.load(Ordering::SeqCst), 1);
        assert_eq!(group.snapshot(at(40)).failed_probes, 1);
    });
}

#[test]
fn single_flight_a_lease_is_free_again_when_its_call_was_answered_or_dropped() {
    loom::model(|| {
        let group = away(Policy { cool_down: None, ..Policy::default() });
        let (answered, dropped) = (group.clone(), group.clone());
        let first = thread::spawn(move || drop(begin(&dropped, at(40))));
        let second = thread::spawn(move || answer(begin(&answered, at(40))));
        first.join().expect("no panic");
        second.join().expect("no panic");
        if group.sticky() != 0 {
            assert_eq!(begin(&group, at(40)).index(), 0, "the probe was dropped, so the next call has it");
        }
    });
}

#[test]
fn epoch_calls_that_fail_together_move_the_cursor_by_one_step_and_arm_the_clock() {
    loom::model(|| {
        let group = Group::new(0..3, Policy { cool_down: None, ..Policy::default() }).expect("a valid group");
        let calls = [begin(&group, at(1)), begin(&group, at(2))];
        in_parallel(calls.map(|call| move || answer_after_failure(call, at(3))));
        assert_eq!(group.sticky(), 1);
        let due = group.snapshot(Timestamp::ORIGIN).failback_in.expect("it is away");
        assert!(due >= Duration::from_secs(33) && due <= Duration::from_secs(39), "{due:?}");
    });
}

#[test]
fn failback_a_call_that_sees_the_cursor_elsewhere_sees_the_clock() {
    loom::model(|| {
        let group = Group::new(0..2, Policy { cool_down: None, ..Policy::default() }).expect("a valid group");
        let (call, other) = (begin(&group, at(1)), group.clone());
        let leaves = thread::spawn(move || answer_after_failure(call, at(1)));
        let looks = thread::spawn(move || drop(begin(&other, at(2))));
        leaves.join().expect("no panic");
        looks.join().expect("no panic");
        assert_eq!(group.snapshot(at(2)).probes, 0, "nothing is due so soon");
    });
}

#[test]
fn budget_exact_is_never_issued_over_or_under() {
    loom::model(|| {
        let budget = Some(Budget { percent: 0, reserve: 1 });
        let policy = Policy { cool_down: None, failback: None, budget, ..Policy::default() };
        let group = Group::new(0..2, policy).expect("a valid group");
        let granted = Arc::new(AtomicUsize::new(0));
        let call = |late| {
            let (group, granted) = (group.clone(), granted.clone());
            move || match begin(&group, at(late)).handle_error(Evidence::MaybeProcessed, (), at(late)) {
                Action::Send(_) => drop(granted.fetch_add(1, Ordering::SeqCst)),
                Action::Fail(stopped) => assert_eq!(stopped.reason(), Reason::Budget),
                other => panic!("{other:?}"),
            }
        };
        in_parallel([call(1), call(2)]);
        assert_eq!(granted.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn concurrent_failures_at_the_same_mark_count_once_and_an_answer_clears_only_what_it_saw() {
    loom::model(|| {
        let cool_down = Some(CoolDown { strikes: 1, ..CoolDown::default() });
        let group = Group::new(0..2, Policy { failback: None, cool_down, ..Policy::default() });
        let group = group.expect("a valid group");
        let calls = [begin(&group, at(1)), begin(&group, at(1))];
        let answered = begin(&group, at(1));
        let answered = thread::spawn(move || answer(answered));
        in_parallel(calls.map(|call| move || answer_after_failure(call, at(1))));
        answered.join().expect("no panic");
        assert_eq!(group.snapshot(at(1)).targets[0].strikes, 1);
    });
}

/// A group of two whose cursor left target 0 at the origin.
fn away(policy: Policy) -> Group<usize> {
    let group = Group::new(0..2, policy).expect("a valid group");
    group.prefer(1, Timestamp::ORIGIN).expect("a target");
    group
}

fn begin(group: &Group<usize>, now: Timestamp) -> Call {
    match group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now) {
        Action::Send(attempt) => attempt,
        other => panic!("{other:?} of a call with time"),
    }
}

fn fail(call: Call, now: Timestamp) -> Call {
    match call.handle_error(Evidence::MaybeProcessed, (), now) {
        Action::Send(next) => next,
        other => panic!("{other:?}"),
    }
}

fn answer(call: Call) {
    let now = call.began();
    assert!(matches!(call.handle_response(StatusCode::OK, None, (), now), Action::Return(_)));
}

fn answer_after_failure(call: Call, now: Timestamp) {
    answer(fail(call, now));
}

/// Runs both in threads of their own: loom never lets a new thread run ahead of the one that made it.
fn in_parallel<F: FnOnce() + Send + 'static>(both: [F; 2]) {
    for thread in both.map(thread::spawn) {
        thread.join().expect("no panic");
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from(Duration::from_secs(seconds))
}

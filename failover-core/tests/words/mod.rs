//! What holds for the words that calls share, whoever schedules the threads.

use std::time::Duration;

use failover_core::{
    Action, Attempt, BodyToken, Budget, CheckNext, Checker, Checks, Evidence, Facts, Group, Policy, Reason,
    Timestamp,
};
use http::{HeaderMap, Method, StatusCode};

use crate::scheduler::{Arc, AtomicUsize, Ordering, explore, explore_some, thread};

type Call = Attempt<usize, (), ()>;

#[test]
fn single_flight_no_two_calls_probe_at_a_time_and_a_failed_probe_is_the_only_one() {
    explore(|| {
        let group = away(Policy::default().cool_down(None));
        let (probing, probes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = || {
            let (group, probing, probes) = (group.clone(), probing.clone(), probes.clone());
            move || {
                let attempt = begin(&group, at(40));
                if attempt.is_probe() {
                    assert_eq!(probing.fetch_add(1, Ordering::SeqCst), 0);
                    probes.fetch_add(1, Ordering::SeqCst);
                    probing.fetch_sub(1, Ordering::SeqCst);
                    drop(fail(attempt, at(40)));
                }
            }
        };
        in_parallel([call(), call()]);
        assert_eq!(probes.load(Ordering::SeqCst), 1);
        assert_eq!(group.snapshot(at(40)).targets[0].failed_probes, 1);
    });
}

#[test]
fn best_first_a_failed_probe_doubles_its_own_clock_and_leaves_the_next_target_to_the_next_probe() {
    explore(|| {
        let group = Group::new(0..3, Policy::default().cool_down(None)).expect("a valid group");
        group.prefer(2, Timestamp::ORIGIN).expect("a target");
        let probes = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let call = || {
            let (group, probes) = (group.clone(), probes.clone());
            move || {
                let attempt = begin(&group, at(40));
                probes[attempt.index()].fetch_add(usize::from(attempt.is_probe()), Ordering::SeqCst);
                if attempt.is_probe() {
                    drop(fail(attempt, at(40)));
                }
            }
        };
        in_parallel([call(), call()]);
        let probed = probes.map(|probes| probes.load(Ordering::SeqCst));
        assert!(probed == [1, 0, 0] || probed == [1, 1, 0], "{probed:?}");
        let told = group.snapshot(at(40));
        let failed = [0, 1].map(|target| usize::from(told.targets[target].failed_probes));
        assert_eq!((failed, told.probes), ([probed[0], probed[1]], (probed[0] + probed[1]) as u64));
    });
}

#[test]
fn nobodys_fault_a_probe_that_said_nothing_is_the_only_one_for_a_second_and_its_clock_stays_due() {
    explore(|| {
        let group = away(Policy::default().cool_down(None));
        let probes = Arc::new(AtomicUsize::new(0));
        let call = || {
            let (group, probes) = (group.clone(), probes.clone());
            move || {
                let attempt = begin(&group, at(40));
                probes.fetch_add(usize::from(attempt.is_probe()), Ordering::SeqCst);
            }
        };
        in_parallel([call(), call()]);
        assert_eq!(probes.load(Ordering::SeqCst), 1);
        assert!(begin(&group, at(41)).is_probe());
    });
}

#[test]
fn single_flight_a_probe_moves_the_cursor_when_its_body_is_whole_and_a_dropped_one_gives_way() {
    explore(|| {
        let group = away(Policy::default().cool_down(None));
        let (answered, dropped) = (group.clone(), group.clone());
        let first = thread::spawn(move || drop(begin(&dropped, at(40))));
        let second = thread::spawn(move || {
            let attempt = begin(&answered, at(40));
            let is_probe = attempt.is_probe();
            let body = answer(attempt);
            assert_eq!(answered.sticky(), 1);
            answered.body_whole(body, at(40));
            assert_eq!(answered.sticky(), usize::from(!is_probe));
        });
        first.join().expect("no panic");
        second.join().expect("no panic");
        if group.sticky() != 0 {
            assert!(begin(&group, at(41)).is_probe(), "the probe was dropped, so another call has it");
        }
    });
}

#[test]
fn epoch_calls_that_failed_together_move_the_cursor_by_one_step_and_arm_the_clock() {
    explore(|| {
        let group = Group::new(0..3, without_cool_down(2)).expect("a valid group");
        let calls = [begin(&group, at(1)), begin(&group, at(2))];
        let calls = calls.map(|call| fail(call, at(3)));
        in_parallel(calls.map(|call| move || answer(call)));
        assert_eq!(group.sticky(), 1);
        let due = group.snapshot(Timestamp::ORIGIN).targets[0].probe_in.expect("it is away");
        assert!(due >= Duration::from_secs(33) && due <= Duration::from_secs(39), "{due:?}");
    });
}

#[test]
fn failback_a_call_that_sees_the_cursor_elsewhere_sees_the_clock() {
    explore(|| {
        let group = Group::new(0..2, without_cool_down(1)).expect("a valid group");
        let (call, other) = (begin(&group, at(1)), group.clone());
        let leaves = thread::spawn(move || answer(fail(call, at(1))));
        let looks = thread::spawn(move || drop(begin(&other, at(2))));
        leaves.join().expect("no panic");
        looks.join().expect("no panic");
        assert_eq!((group.sticky(), group.snapshot(at(2)).probes), (1, 0), "nothing is due so soon");
    });
}

#[test]
fn failback_a_call_that_was_held_up_sets_no_clock_back() {
    explore_some(|| {
        let group = Group::new(0..2, without_cool_down(1)).expect("a valid group");
        let calls = [begin(&group, at(1)), begin(&group, at(1))];
        let [held_up, other] = calls;
        let probing = group.clone();
        let leaves = thread::spawn(move || drop(answer(fail(held_up, at(1)))));
        let probes = thread::spawn(move || {
            drop(answer(fail(other, at(1))));
            let attempt = begin(&probing, at(40));
            let is_probe = attempt.is_probe();
            drop(fail(attempt, at(40)));
            is_probe
        });
        leaves.join().expect("no panic");
        if probes.join().expect("no panic") {
            let told = &group.snapshot(at(40)).targets[0];
            assert_eq!(told.failed_probes, 1);
            assert!(told.probe_in.is_some_and(|left| left >= Duration::from_secs(60)), "{told:?}");
        }
    });
}

#[test]
fn failback_a_check_that_began_before_the_cursor_left_makes_no_clock_due() {
    explore(|| {
        let policy = without_cool_down(1).checks(Checks { rise: 1, ..Checks::at("/") });
        let group = Group::new(0..2, policy).expect("a valid group");
        let (call, mut checker) = (begin(&group, at(1)), asked(&group, at(1)));
        let leaves = thread::spawn(move || drop(answer(fail(call, at(1)))));
        let checks = thread::spawn(move || checker.report(0, Ok(StatusCode::OK)));
        leaves.join().expect("no panic");
        checks.join().expect("no panic");
        let told = group.snapshot(at(1));
        assert_eq!(told.sticky, 1);
        assert!(told.targets[0].probe_in >= Some(Duration::from_secs(30)), "{told:?}");
    });
}

#[test]
fn flap_a_check_makes_no_clock_due_that_a_failed_probe_has_doubled_meanwhile() {
    explore(|| {
        let group = away(without_cool_down(1).checks(Checks { rise: 1, ..Checks::at("/") }));
        let (probe, mut checker) = (begin(&group, at(40)), asked(&group, at(5)));
        assert!(probe.is_probe());
        let fails = thread::spawn(move || drop(fail(probe, at(40))));
        let checks = thread::spawn(move || checker.report(0, Ok(StatusCode::OK)));
        fails.join().expect("no panic");
        checks.join().expect("no panic");
        let told = &group.snapshot(at(40)).targets[0];
        assert_eq!(told.failed_probes, 1);
        assert!(told.probe_in >= Some(Duration::from_secs(60)), "{told:?}");
    });
}

#[test]
fn budget_exact_is_never_issued_over_or_under() {
    explore_some(|| {
        let budget = Some(Budget { percent: 0, reserve: 1 });
        let policy = Policy::default().cool_down(None).failback(None).budget(budget);
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
fn budget_exact_of_calls_at_once_in_a_new_era_none_is_forgotten() {
    // The next window, and one after a pause.
    for (before, after) in [(10_235, 10_241), (5, 10_261)] {
        explore_some(move || {
            let budget = Budget { percent: 0, reserve: 1 };
            let policy = Policy::default().cool_down(None).failback(None).budget(budget);
            let group = Group::new(0..2, policy).expect("a valid group");
            drop(fail(begin(&group, at(before)), at(before)));
            let granted = Arc::new(AtomicUsize::new(0));
            let call = || {
                let (group, granted) = (group.clone(), granted.clone());
                move || match begin(&group, at(after)).handle_error(Evidence::MaybeProcessed, (), at(after)) {
                    Action::Send(_) => drop(granted.fetch_add(1, Ordering::SeqCst)),
                    Action::Fail(stopped) => assert_eq!(stopped.reason(), Reason::Budget),
                    other => panic!("{other:?}"),
                }
            };
            in_parallel([call(), call()]);
            assert_eq!(granted.load(Ordering::SeqCst), 1, "{after} s after {before} s");
        });
    }
}

#[test]
fn per_attempt_each_failure_is_a_strike_and_the_last_that_is_needed_cools_once() {
    explore(|| {
        let policy = Policy::default().leave_after(2);
        let group = Group::new(0..2, policy).expect("a valid group");
        let calls = [begin(&group, at(1)), begin(&group, at(1))];
        let last = begin(&group, at(1));
        in_parallel(calls.map(|call| move || drop(fail(call, at(1)))));
        let cooling = group.snapshot(at(1)).targets[0].cooling;
        assert_eq!(group.snapshot(at(1)).targets[0].strikes, 2);
        assert!(cooling.is_some_and(|left| left >= Duration::from_secs(5) && left <= Duration::from_secs(6)));
        drop(fail(last, at(2)));
        let told = group.snapshot(at(1)).targets;
        assert_eq!((told[0].strikes, told[0].cooling), (2, cooling), "while it cools nothing adds");
    });
}

#[test]
fn broken_body_no_strike_is_lost_between_a_head_that_clears_and_a_body_that_restores() {
    explore(|| {
        let group = Group::new(0..2, without_cool_down(9)).expect("a valid group");
        let calls = [(); 3].map(|()| begin(&group, at(1)));
        let [before, fails, breaks] = calls;
        drop(fail(before, at(1)));
        let broken = group.clone();
        let breaks = thread::spawn(move || broken.body_broke_off(answer(breaks), at(1)));
        let fails = thread::spawn(move || drop(fail(fails, at(1))));
        breaks.join().expect("no panic");
        fails.join().expect("no panic");
        assert_eq!(group.snapshot(at(1)).targets[0].strikes, 3);
    });
}

#[test]
fn an_answer_leaves_only_the_strikes_that_came_after_it() {
    explore(|| {
        let group = Group::new(0..2, without_cool_down(9)).expect("a valid group");
        let calls = [(); 3].map(|()| begin(&group, at(1)));
        let [before, fails, clears] = calls;
        drop(fail(before, at(1)));
        let clears = thread::spawn(move || answer(clears));
        let fails = thread::spawn(move || drop(fail(fails, at(1))));
        clears.join().expect("no panic");
        fails.join().expect("no panic");
        assert!(group.snapshot(at(1)).targets[0].strikes <= 1, "the first one is cleared in any case");
    });
}

#[test]
fn abandoned_callers_who_leave_attempts_that_began_within_half_a_floor_are_one_strike() {
    for (second, strikes) in [(1_400, 1), (1_500, 2)] {
        explore(move || {
            let group = Group::new(0..2, Policy::default()).expect("a valid group");
            let calls = [begin(&group, at(1)), begin(&group, millis(second))];
            in_parallel(calls.map(|mut call| move || call.abandon(at(3))));
            let counted = group.snapshot(at(3)).targets[0].strikes;
            // The one that began first is no strike after the one that began later.
            assert!((1..=strikes).contains(&counted), "{counted}");
        });
    }
}

/// A policy that leaves a target after so many strikes, and orders none of them last.
fn without_cool_down(leave_after: u8) -> Policy {
    Policy::default().cool_down(None).leave_after(leave_after)
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

/// The checker of a group that has just asked both targets, a moment after `now`.
fn asked(group: &Group<usize>, mut now: Timestamp) -> Checker<usize> {
    let mut checker = group.checker().expect("there are checks");
    let mut left = 2;
    while left > 0 {
        match checker.next(now) {
            CheckNext::Ask(_) => left -= 1,
            CheckNext::Wait(time) => now = now + time,
        }
    }
    checker
}

fn fail(call: Call, now: Timestamp) -> Call {
    match call.handle_error(Evidence::MaybeProcessed, (), now) {
        Action::Send(next) => next,
        other => panic!("{other:?}"),
    }
}

fn answer(call: Call) -> BodyToken {
    let now = call.began();
    match call.handle_response(StatusCode::OK, None, (), now) {
        Action::Return(answer) => answer.body(),
        other => panic!("{other:?}"),
    }
}

/// Runs both in threads of their own: loom never lets a new thread run ahead of the one that made it.
fn in_parallel<R: Send + 'static, F: FnOnce() -> R + Send + 'static>(both: [F; 2]) {
    for thread in both.map(thread::spawn) {
        thread.join().expect("no panic");
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from(Duration::from_secs(seconds))
}

fn millis(millis: u64) -> Timestamp {
    Timestamp::from(Duration::from_millis(millis))
}

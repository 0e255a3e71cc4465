//! The requirements on time: bounds, deadlines and pauses, and any origin of time, each a test with its name.

use std::time::Duration;

use failover_core::{
    Action, Attempt, Budget, CoolDown, Evidence, Expired, Failback, Group, Late, Policy, Reason, Timestamp,
};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, DEAD, OK, READ, STREAM, UNCLEAR, WRITE, World, at, codes, first, plain, seconds,
};

/// Guards: `Call::go_on` that does not look at the deadline.
#[test]
fn deadline_no_attempt_starts_after_it() {
    let mut world = World::new(2, plain().deadline(seconds(10.0)));
    let call = world.begin(READ);
    world.sleep(9.999);
    let Action::Send(second) = report(call, 0, UNCLEAR, None, world.now) else { panic!("there is time") };
    assert_eq!(second.timeout(), Duration::from_millis(1));
    world.sleep(0.001);
    let Action::Fail(stopped) =
        report(first(world.group.begin(facts(READ), Timestamp::ORIGIN)), 0, UNCLEAR, None, world.now)
    else {
        panic!("it is too late")
    };
    assert_eq!(stopped.reason(), Reason::Deadline);
}

/// Guards: `Call::time_for_body` that keeps nothing, or half of what there was when the call began.
#[test]
fn standby_an_answer_that_is_held_back_leaves_half_of_what_is_left_to_another_target() {
    for (targets, request, left) in [(2, READ, 2.0), (2, WRITE, 2.0), (2, STREAM, 4.0), (1, READ, 4.0)] {
        let policy = plain().attempt_timeout(seconds(60.0)).deadline(seconds(10.0));
        let mut world = World::new(targets, policy);
        let call = world.begin(request);
        world.sleep(6.0);
        assert_eq!(call.time_left(world.now), seconds(left), "{targets} {request:?}");
    }
    let mut world = World::new(2, plain().attempt_timeout(seconds(5.0)).deadline(None));
    let call = world.begin(READ);
    world.sleep(1.0);
    assert_eq!(call.time_left(world.now), seconds(4.0));
    world.sleep(9.0);
    assert_eq!(call.time_left(world.now), Duration::ZERO);
}

/// Guards: `Group::begin` that begins a call in the moment at which its time is over.
#[test]
fn deadline_a_call_whose_time_is_over_before_it_begins_is_refused_unsent() {
    let mut world = World::new(2, Policy::default());
    world.sleep(1.0);
    let before = world.group.snapshot(world.now);
    let action = world.group.begin::<(), &str>(facts(READ).within(Duration::ZERO), world.now);
    let Action::Fail(stopped) = action else { panic!("{action:?} of a call without time") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::Deadline, 0));
    assert_eq!(stopped.to_string(), "the time of the call was over before it began");
    assert!(stopped.ballerina().to_string().starts_with("All the failover endpoints failed. "));
    assert_eq!(world.group.snapshot(world.now), before);
    let shortest = facts(READ).within(Duration::from_nanos(1));
    assert!(matches!(world.group.begin::<usize, Outcome>(shortest, world.now), Action::Send(_)));
}

/// Guards: `Group::begin` that takes the policy's deadline only.
#[test]
fn deadline_the_callers_own_holds_if_it_is_shorter() {
    let world = World::new(3, plain());
    let within =
        |time| first(world.group.begin::<usize, Outcome>(facts(READ).within(seconds(time)), world.now));
    assert_eq!(within(3.0).timeout(), seconds(1.5), "half of it, so that it can still fail over inside it");
    assert_eq!(within(3000.0).timeout(), seconds(10.0));
}

/// Guards: `Call::timeout` that goes by the deadline alone.
#[test]
fn attempt_bound_every_attempt_has_one() {
    let world = World::new(3, Policy::ballerina());
    assert_eq!(world.begin(READ).timeout(), seconds(30.0));
}

/// Guards: `Call::time_left` that never halves.
#[test]
fn attempt_bound_the_deadline_holds_where_it_is_shorter_and_every_target_gets_its_turn() {
    let patient = plain().attempt_timeout(seconds(60.0)).deadline(seconds(9.0));
    assert_eq!(World::new(1, patient.clone()).begin(READ).timeout(), seconds(9.0));
    let mut world = World::new(3, patient);
    let mut action = Action::Send(world.begin(READ));
    for (target, bound) in [4.5, 2.25, 2.25].into_iter().enumerate() {
        let Action::Send(attempt) = action else { panic!("target {target} is untried: {action:?}") };
        assert_eq!((attempt.index(), attempt.timeout()), (target, seconds(bound)));
        world.sleep(bound);
        action = report(attempt, target, UNCLEAR, None, world.now);
    }
    let Action::Fail(stopped) = action else { panic!("{action:?} after all targets") };
    assert_eq!(stopped.reason(), Reason::TargetsTried);
}

#[test]
fn attempt_bound_and_deadline_are_defaults_that_give_way_to_what_was_chosen() {
    let bounds = |attempt: Option<f64>, deadline: Option<f64>| {
        let policy = Policy::default().with_bounds(attempt.map(seconds), deadline.map(seconds));
        (policy.attempt_timeout.as_secs_f64(), policy.deadline.map(|deadline| deadline.as_secs_f64()))
    };
    assert_eq!(bounds(None, None), (10.0, Some(30.0)));
    assert_eq!(bounds(None, Some(5.0)), (5.0, Some(5.0)));
    assert_eq!(bounds(None, Some(20.0)), (10.0, Some(20.0)));
    assert_eq!(bounds(Some(60.0), None), (60.0, Some(60.0)));
    assert_eq!(bounds(Some(20.0), None), (20.0, Some(30.0)));
    assert_eq!(bounds(Some(60.0), Some(5.0)), (60.0, Some(5.0)), "what was chosen stays");
    let unbounded = Policy::ballerina().with_bounds(Some(seconds(60.0)), None);
    assert_eq!((unbounded.attempt_timeout, unbounded.deadline), (seconds(60.0), None));
    let own = Policy::default().rounds(3).attempt_timeout(seconds(2.0));
    assert_eq!(own.clone().with_bounds(None, None), own);
}

/// Guards: `Call::timeout` that halves the time of a call which could not go on after a timeout.
#[test]
fn standby_a_further_target_takes_nothing_from_a_call_that_the_first_would_answer() {
    for targets in 1..=5 {
        let deadline = |time| plain().deadline(seconds(time));
        let share = if targets == 1 { 1.0 } else { 0.5 };
        assert_eq!(
            World::new(targets, deadline(1.0)).begin(READ).timeout(),
            seconds(share),
            "{targets} targets"
        );
        assert_eq!(World::new(targets, deadline(30.0)).begin(READ).timeout(), seconds(10.0));
        // A timeout would be the end of the call.
        assert_eq!(World::new(targets, deadline(9.0)).begin(WRITE).timeout(), seconds(9.0));
        assert_eq!(World::new(targets, deadline(9.0)).begin(STREAM).timeout(), seconds(9.0));
    }
    let once = plain().max_attempts(1).deadline(seconds(9.0));
    assert_eq!(World::new(5, once).begin(READ).timeout(), seconds(9.0));
}

/// Guards: `Call::connect_timeout` that leaves no time to a request without proof.
#[test]
fn connect_bound_leaves_time_for_an_untried_target_whatever_the_method() {
    let connect = |targets, policy, request| World::new(targets, policy).begin(request).connect_timeout();
    let deadline = |time| plain().deadline(seconds(time));
    for request in Request::ALL {
        assert_eq!(connect(3, plain(), request), seconds(3.0));
        assert_eq!(connect(3, deadline(4.0), request), seconds(2.0), "half of the time, {request:?}");
        assert_eq!(connect(1, deadline(2.0), request), seconds(2.0), "there is no other target");
    }
    let hasty = plain().attempt_timeout(seconds(1.0));
    assert_eq!(connect(3, hasty, WRITE), seconds(1.0), "at most the attempt's");
    assert_eq!(connect(3, Policy::ballerina(), WRITE), seconds(15.0));

    let world = World::new(2, deadline(4.0));
    let mut gone = world.begin(WRITE);
    gone.body_gone();
    assert_eq!(gone.connect_timeout(), seconds(3.0), "it cannot go to another target");
}

/// Guards: `Call::waits_on` that lets a dial go on until the attempt's bound; `Call::harm_of_waiting` that takes a connect
/// timeout for less than it is.
#[test]
fn connect_bound_a_dial_that_hangs_is_given_up_whatever_the_method() {
    for request in Request::ALL {
        let mut world = World::new(2, plain());
        let call = world.begin(request);
        world.sleep(2.999);
        let Expired::WaitOn(call) = call.expired(Evidence::NoConnection, DEAD, world.now) else {
            panic!("it has 3 s")
        };
        world.sleep(0.001);
        let Expired::Next(Action::Send(second)) = call.expired(Evidence::NoConnection, DEAD, world.now)
        else {
            panic!("{request:?} was not sent")
        };
        assert_eq!((second.index(), world.strikes()), (1, vec![3, 0]));
    }
}

/// Guards: `Call::harm_of_waiting` that blames a target for the hurry of a caller.
#[test]
fn connect_bound_a_shorter_one_is_no_proof_that_the_target_is_down() {
    for (within, bound, strikes) in [(0.9, 0.45, 0), (3.0, 1.5, 1), (6.0, 3.0, 3), (20.0, 3.0, 3)] {
        let mut world = World::new(2, plain());
        let call: Attempt<usize, usize, Outcome> =
            first(world.group.begin(facts(WRITE).within(seconds(within)), world.now));
        assert_eq!(call.connect_timeout(), seconds(bound));
        world.sleep(bound);
        let Expired::Next(Action::Send(second)) = call.expired(Evidence::NoConnection, DEAD, world.now)
        else {
            panic!("it was not sent")
        };
        assert_eq!((second.index(), world.strikes()), (1, vec![strikes, 0]), "within {within} s");
    }
}

/// Guards: `Call::pause` that takes more than half of the time that is left.
#[test]
fn no_doomed_pause_but_one_that_gives_way_to_the_attempt() {
    let policy = |interval| plain().interval(seconds(interval)).deadline(seconds(10.0));
    for (interval, pause) in [(4.0, 4.0), (5.0, 5.0), (9.0, 5.0), (3000.0, 5.0)] {
        let world = World::new(2, policy(interval));
        let Action::Wait(wait) = report(world.begin(READ), 0, DEAD, None, world.now) else {
            panic!("a pause")
        };
        assert_eq!(wait.pause(), seconds(pause));
        assert!(matches!(wait.resume(at(pause)), Action::Send(_)));
    }
    // Two targets that hang, an interval, and a third that works: it is asked.
    let mut world = World::new(3, policy(4.0).deadline(seconds(12.0)));
    let mut action = Action::Send(world.begin(READ));
    let mut asked = vec![];
    loop {
        action = match action {
            Action::Send(attempt) if attempt.index() == 2 => break asked.push(2),
            Action::Send(attempt) => {
                asked.push(attempt.index());
                world.now = world.now + attempt.timeout();
                report(attempt, 0, UNCLEAR, None, world.now)
            }
            Action::Wait(wait) => {
                world.now = world.now + wait.pause();
                wait.resume(world.now)
            }
            ended => panic!("{ended:?} before target 2 was asked"),
        }
    }
    assert_eq!(asked, [0, 1, 2]);
}

/// Guards: `Call::next` that does not look at the deadline.
#[test]
fn no_doomed_pause_a_driver_that_wakes_late_starts_no_attempt() {
    let policy = plain().interval(seconds(1.0)).deadline(seconds(10.0));
    let world = World::new(2, policy);
    let Action::Wait(wait) = report(world.begin(READ), 0, DEAD, None, world.now) else { panic!("a pause") };
    let Action::Fail(stopped) = wait.resume(at(10.0)) else { panic!("it is too late") };
    assert_eq!(stopped.reason(), Reason::Deadline);
}

/// Guards: `Timestamp::add` or `since` that overflows.
#[test]
fn saturating_no_time_is_too_long_and_none_runs_backwards() {
    let forever = Policy::default()
        .attempt_timeout(Duration::MAX)
        .deadline(Duration::MAX)
        .interval(Duration::MAX)
        .retry_after(Duration::MAX)
        .failback(Failback { after: Duration::MAX, max: Duration::MAX })
        .leave_after(1)
        .late(Late { factor: u32::MAX, floor: Duration::MAX })
        .cool_down(CoolDown { base: Duration::MAX, max: Duration::MAX });
    for now in [Timestamp::ORIGIN, Timestamp::from_nanos(u64::MAX - 1), Timestamp::from_nanos(u64::MAX)] {
        let group = Group::new(0..2, forever.clone()).expect("a valid group");
        let Action::Send(call) = group.begin::<usize, Outcome>(facts(READ).within(Duration::MAX), now) else {
            assert_eq!(now, Timestamp::from_nanos(u64::MAX), "there is no time after it");
            continue;
        };
        let _ = (call.timeout(), call.bound(), call.connect_timeout());
        let asked = Some(Duration::MAX);
        match report(call, 0, BUSY, asked, Timestamp::ORIGIN) {
            Action::Wait(wait) => {
                assert!(!wait.pause().is_zero());
                let _ = wait.resume(Timestamp::ORIGIN);
            }
            other => drop(other),
        }
        let _ = group.snapshot(Timestamp::from_nanos(u64::MAX));
    }
    assert_eq!(at(1.0).since(at(2.0)), Duration::ZERO);
}

#[test]
fn a_caller_in_a_hurry_still_fails_over_inside_its_own_time() {
    let mut world = World::new(3, Policy::default());
    let facts = facts(READ).within(seconds(1.0));
    let mut action: Action<_, usize, Outcome> = world.group.begin(facts, world.now);
    let mut hung = 0;
    let answer = loop {
        action = match action {
            Action::Send(attempt) if attempt.index() < 2 => {
                hung += 1;
                world.now = world.now + attempt.timeout();
                report(attempt, 0, UNCLEAR, None, world.now)
            }
            Action::Send(attempt) => report(attempt, 0, OK, None, world.now),
            Action::Return(answer) => break answer,
            other => panic!("{other:?}"),
        };
    };
    assert_eq!((answer.target(), hung), (2, 2));
    assert!(world.now < at(1.0));
}

// Any pause, any origin

/// Guards: arithmetic that is right only near the origin, such as `Mark::until` that loses the upper bits.
#[test]
fn idle_a_group_does_the_same_whatever_the_origin() {
    let story = |origin: u64| {
        let budget = Some(Budget { percent: 50, reserve: 1 });
        let mut world = World::new(3, Policy::default().budget(budget).failover_codes(codes("5xx")));
        world.now = Timestamp::from(Duration::from_secs(origin));
        let mut told = vec![];
        for pause in [0.0, 0.3, 5.0, 3.0 * DAY, 1.0, 40.0, 11.0 * DAY, 700.0, 0.1, 900.0 * DAY, 31.0] {
            world.sleep(pause);
            for broken in [0, 0, 0, 3, 1, 3, 0] {
                let trace = world.by_target(READ, |target| if target == broken { BUSY } else { OK });
                told.push(format!("{trace:?} {:?}", world.group.snapshot(world.now)));
            }
            let waiting = world.begin(READ);
            world.sleep(1.2);
            told.push(match waiting.expired(Evidence::MaybeProcessed, UNCLEAR, world.now) {
                Expired::WaitOn(attempt) => format!("waits {:?}", attempt.bound()),
                Expired::Next(Action::Send(next)) => format!("goes on to {}", next.index()),
                Expired::Next(_) => "ends".to_owned(),
            });
        }
        told
    };
    let from_zero = story(0);
    for windows in [1, 174_804, 308_179, 1_787_000] {
        // After so many turns of the budget's windows: up to the end of time, past today since the UNIX epoch.
        let origin = windows * 10_240;
        for (nth, (expected, told)) in from_zero.iter().zip(story(origin)).enumerate() {
            assert_eq!(*expected, told, "event {nth} from {origin} s on");
        }
    }
}

/// Guards: `Pace::usual` that is known for ever; a clock, a cool-down or a budget that a pause freezes.
#[test]
fn idle_after_days_of_pause_a_group_is_right_at_once() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    let mut world = World::new(2, Policy::default().budget(budget));
    for _ in 0..20 {
        world.sleep(0.1);
        assert_eq!(world.answered(0.02), 0);
    }
    for days in [1.0, 3.0, 40.0] {
        let unclear = |target| if target == 0 { UNCLEAR } else { OK };
        assert_eq!(world.by_target(READ, unclear).end, Ok(1), "one replay is granted");
        assert_eq!(world.by_target(READ, unclear).end, Err(Reason::Budget));
        assert_eq!(world.by_target(READ, unclear).end, Err(Reason::Budget));
        assert_eq!(world.by_target(READ, |_| OK).cursor, 1, "target 0 cools");

        world.sleep(days * DAY);
        let told = world.group.snapshot(world.now);
        assert_eq!((told.targets[0].cooling, told.targets[0].usual), (None, None));
        assert_eq!(told.targets[0].probe_in, Some(Duration::ZERO));
        assert_eq!(world.answered(8.0), 0, "the probe is not late");
        assert_eq!(world.group.sticky(), 0);
    }
}

const DAY: f64 = 86_400.0;

//! What an administrator wants of a target, drain and maintenance, and what is told of targets that were passed over: each
//! rule a test with its name.

use failover_core::{
    Action, AdminState, Attempt, CheckNext, Checks, CoolDown, Entry, Evidence, Expired, Follow, Group,
    PassedOver, Policy, Reason,
};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::Outcome;
use failover_tests::world::{BUSY, DEAD, OK, READ, UNCLEAR, WRITE, World, entries, plain, seconds};
use http::StatusCode;

use AdminState::{Drain, Maintenance, Ready};

// Drain

/// Guards: `Shared::next_target` that ranks what cools after what is drained, or leaves the circle.
#[test]
fn drain_a_target_is_tried_after_all_others_also_those_that_cool() {
    let world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    set(&world, 1, Drain);
    set(&world, 3, Drain);
    assert_eq!(world.call(READ, &[UNCLEAR; 4]).tried, [2, 0, 1, 3], "ready, cooling, drained");
}

#[test]
fn drain_one_that_works_is_tried_when_no_other_answers() {
    for request in [READ, WRITE] {
        let world = World::new(3, Policy::default());
        set(&world, 0, Drain);
        let trace = world.call(request, &[DEAD, DEAD, OK]);
        assert_eq!((trace.tried, trace.end), (vec![1, 2, 0], Ok(0)));
    }
}

/// Guards: `Shared::next_target` that takes drained targets for ready ones where it asks whether all cool.
#[test]
fn drain_all_cool_is_asked_of_those_that_are_ready_and_never_of_maintenance() {
    // Target 1 is done with its cool-down before target 0.
    for (states, tried) in [
        ([Ready, Ready, Ready], &[2, 1, 0][..]),
        ([Ready, Ready, Drain], &[0, 1, 2]),
        ([Ready, Ready, Maintenance], &[0, 1]),
        ([Drain, Drain, Maintenance], &[0, 1]),
        ([Drain, Drain, Drain], &[2, 1, 0]),
    ] {
        let mut world = World::new(3, Policy::default().failback(None));
        world.group.prefer(1, world.now).expect("a target");
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [1, 2]);
        world.sleep(2.0);
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 2]);
        world.sleep(1.0);
        world.group.prefer(0, world.now).expect("a target");
        assert!(world.cooling(1) > 0.0 && world.cooling(0) > world.cooling(1));
        (0..3).for_each(|target| set(&world, target, states[target]));
        assert_eq!(world.call(READ, &[UNCLEAR; 3]).tried, tried, "{states:?}");
    }
}

/// Guards: `Shared::next_target` that takes all for cooling where none is ready.
#[test]
fn drain_of_targets_that_are_all_drained_those_that_cool_are_last() {
    let world = World::new(3, Policy::default());
    for target in 0..3 {
        set(&world, target, Drain);
    }
    assert_eq!(world.begin(READ).index(), 0, "the order is as if none was drained");
    assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.call(READ, &[UNCLEAR; 3]).tried, [1, 2, 0]);
}

/// Guards: `Health::may_be_probed` that asks only whether a target cools.
#[test]
fn drain_a_target_is_not_probed_until_it_is_ready_again() {
    for state in [Drain, Maintenance] {
        let mut world = World::new(3, Policy::default());
        world.group.prefer(2, world.now).expect("a target");
        world.sleep(40.0);
        set(&world, 0, state);
        let probe = world.begin(READ);
        assert_eq!((probe.index(), probe.is_probe()), (1, true), "the next one that is due");
        drop(probe);
        set(&world, 1, state);
        world.sleep(2.0);
        let call = world.begin(READ);
        assert_eq!((call.index(), call.is_probe()), (2, false));
        set(&world, 0, Ready);
        let probe = world.begin(READ);
        assert_eq!((probe.index(), probe.is_probe()), (0, true));
    }
}

// Maintenance

/// Guards: `Shared::is_usable` that is not asked, so that a target in maintenance is tried last.
#[test]
fn maintenance_a_target_is_never_tried() {
    for request in [READ, WRITE] {
        for target in 0..3 {
            let world = World::new(3, Policy::default());
            set(&world, target, Maintenance);
            let trace = world.call(request, &[DEAD; 2]);
            assert_eq!(trace.tried, (0..3).filter(|other| *other != target).collect::<Vec<_>>());
            assert_eq!(trace.end, Err(Reason::TargetsTried), "nobody waits for it");
        }
    }
}

/// Guards: `Call::rounds` that counts the tries of a target in maintenance, so that no round ends.
#[test]
fn maintenance_rounds_are_those_of_the_others() {
    let world = World::new(3, plain().rounds(3));
    set(&world, 1, Maintenance);
    let trace = world.call(READ, &[UNCLEAR; 6]);
    assert_eq!((trace.tried, trace.pauses), (vec![0, 2, 0, 2, 0, 2], vec![2, 4]));
    assert_eq!(trace.end, Err(Reason::TargetsTried));
}

/// Guards: `Call::has_another_try` that saves half of the time for a target that is not tried.
#[test]
fn standby_a_target_in_maintenance_takes_no_time_from_others() {
    let policy = || Policy::default().deadline(seconds(2.0));
    let bounds = |attempt: Attempt<usize, usize, Outcome>| {
        [attempt.bound(), attempt.timeout(), attempt.connect_timeout()]
    };
    let world = World::new(2, policy());
    assert_eq!(bounds(world.begin(READ)), [seconds(1.0); 3]);
    set(&world, 1, Drain);
    assert_eq!(bounds(world.begin(READ)), [seconds(1.0); 3], "one that is drained may be tried");
    set(&world, 1, Maintenance);
    assert_eq!(bounds(world.begin(READ)), [seconds(2.0); 3]);
    assert_eq!(bounds(World::new(1, policy()).begin(READ)), [seconds(2.0); 3]);
}

/// Guards: `Group::begin` that makes an attempt, or takes another reason.
#[test]
fn maintenance_of_all_targets_stops_a_call_before_it_began() {
    for targets in [1, 3] {
        let world = World::new(targets, Policy::default());
        for target in 0..targets {
            assert!(world.call(READ, &[OK]).end.is_ok());
            set(&world, target, Maintenance);
        }
        let trace = world.call(READ, &[]);
        assert_eq!((trace.tried, trace.end), (vec![], Err(Reason::Maintenance)));
        let action = world.group.begin::<usize, &str>(facts(READ), world.now);
        let Action::Fail(stopped) = action else { panic!("{action:?}") };
        assert_eq!(stopped.to_string(), "every target is in maintenance");
        assert_eq!((stopped.reason().as_str(), stopped.failures().len()), ("maintenance", 0));
        assert_eq!(world.strikes(), vec![0; targets]);
        set(&world, targets - 1, Drain);
        assert_eq!(world.call(READ, &[OK]).end, Ok(targets - 1), "one that is drained is tried");
    }
}

/// Guards: `Health::copied` that keeps a state, `Entry` that has none.
#[test]
fn a_state_is_that_of_the_entry_in_a_new_list() {
    let list =
        [Entry::new(0).named("0").state(Maintenance), Entry::new(1).named("1").state(Drain), Entry::new(2)];
    let world =
        World { group: Group::of(list, Policy::default()).expect("a group"), ..World::new(1, plain()) };
    assert_eq!(
        (states(&world), world.call(READ, &[DEAD; 2]).tried),
        (vec![Maintenance, Drain, Ready], vec![2, 1])
    );
    let group = world.group.with_targets(entries(0..3), Policy::default()).expect("a group");
    assert_eq!(states(&World { group, ..world }), [Ready; 3]);
}

#[test]
fn rejected_a_state_of_a_target_that_is_not_there() {
    let world = World::new(2, Policy::default());
    let refused = world.group.set_state(2, Drain).expect_err("no target");
    assert_eq!((refused.key(), refused.value()), ("index", "2"));
    assert_eq!(states(&world), [Ready; 2]);
}

// The cursor

/// Guards: `Health::is_to_be_left` that asks for strikes alone; `Call::settle` that does so under `Follow::Answer`.
#[test]
fn the_cursor_leaves_a_target_that_is_not_ready_with_the_next_answer() {
    for (policy, follow) in [
        (Policy::default(), Follow::Strikes),
        (plain(), Follow::Strikes),
        (Policy::ballerina(), Follow::Answer),
    ] {
        assert_eq!(policy.follow, follow);
        for state in [Drain, Maintenance] {
            let world = World::new(3, policy.clone());
            set(&world, 0, state);
            assert_eq!(world.group.sticky(), 0, "no answer yet");
            let trace = world.call(READ, &[OK]);
            assert_eq!((trace.tried, trace.cursor), (vec![1], 1), "{follow:?} and {state:?}");
            let world = World::new(3, policy.clone());
            set(&world, 0, state);
            let trace = world.call(READ, &[BUSY, OK]);
            assert_eq!((trace.tried, trace.cursor), (vec![1, 2], 2), "{follow:?} and {state:?}");
        }
    }
}

/// Guards: `Call::settle` that moves with an answer by which nobody is well; `Health::leaves` that gives a drained target
/// another chance.
#[test]
fn not_well_the_cursor_does_not_follow_a_500() {
    let world = World::new(2, Policy::default());
    set(&world, 0, Drain);
    assert_eq!(world.call(READ, &[Outcome::Status(500)]).cursor, 0);
    for _ in 0..3 {
        assert!(world.call(WRITE, &[UNCLEAR]).end.is_err());
    }
    assert_eq!(world.strikes(), [0, 3]);
    assert_eq!(world.call(READ, &[OK]).cursor, 1, "it was to be left too, but the other one is drained");
}

/// Guards: `Shared::probe` that asks for the cursor alone: maintenance must not need a failover to be undone.
#[test]
fn failback_brings_back_a_target_that_was_in_maintenance() {
    let mut world = World::new(2, Policy::default());
    set(&world, 0, Maintenance);
    assert_eq!(world.answered(0.01), 1);
    assert_eq!(world.group.sticky(), 1);
    world.sleep(40.0);
    assert_eq!(world.answered(0.01), 1, "still");
    set(&world, 0, Ready);
    assert_eq!((world.answered(0.01), world.group.sticky()), (0, 0));
}

// During a call

/// Guards: `Call::next_target` that heeds only what was when the call began.
#[test]
fn a_state_that_is_set_during_a_call_holds_from_the_next_attempt_on() {
    let world = World::new(4, Policy::default());
    let attempt = world.begin(READ);
    set(&world, 1, Maintenance);
    set(&world, 2, Drain);
    let attempt = world.went_on(attempt, BUSY);
    assert_eq!(attempt.index(), 3);
    set(&world, 1, Ready);
    let attempt = world.went_on(attempt, BUSY);
    assert_eq!(attempt.index(), 1);
    set(&world, 2, Maintenance);
    let action = report(attempt, 0, BUSY, None, world.now);
    let Action::Fail(stopped) = action else { panic!("{action:?}") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::TargetsTried, 3));
}

/// Guards: `Attempt::gives_up` that gives an answer up because its target is in maintenance by now.
#[test]
fn handle_pin_an_attempt_at_a_target_that_goes_to_maintenance_is_finished() {
    for state in [Drain, Maintenance] {
        let world = World::new(2, Policy::default());
        let attempt = world.begin(READ);
        set(&world, 0, state);
        assert_eq!(world.returned(attempt, OK), 0);
        let attempt = world.begin(READ);
        assert_eq!(attempt.index(), 1);
    }
}

/// Guards: `Call::rounds` of a call whose targets all left meanwhile; `Call::none_left` that says that they were tried.
#[test]
fn maintenance_of_all_targets_during_a_call_ends_it() {
    let put_away = |world: &World, state| (0..3).for_each(|target| set(world, target, state));
    let reason = |action| match action {
        Action::<usize, usize, Outcome>::Fail(stopped) => (stopped.reason(), stopped.failures().len()),
        other => panic!("{other:?}"),
    };
    for rounds in [1, 3] {
        for ending in [BUSY, UNCLEAR, DEAD, Outcome::Error(Evidence::NoRoom)] {
            let world = World::new(3, plain().rounds(rounds));
            let attempt = world.begin(READ);
            put_away(&world, Maintenance);
            let stopped = reason(report(attempt, 0, ending, None, world.now));
            assert_eq!(stopped, (Reason::Maintenance, 1), "{ending:?}");

            let world = World::new(3, plain().rounds(rounds).interval(seconds(1.0)));
            let action = report(world.begin(READ), 0, ending, None, world.now);
            let Action::Wait(wait) = action else { panic!("{action:?}") };
            put_away(&world, Maintenance);
            let stopped = reason(wait.resume(world.now + seconds(1.0)));
            assert_eq!(stopped, (Reason::Maintenance, 1), "{ending:?} and a pause");
        }
    }
    let world = World::new(3, plain());
    let last = world.went_on(world.went_on(world.begin(READ), BUSY), BUSY);
    put_away(&world, Drain);
    let stopped = reason(report(last, 2, BUSY, None, world.now));
    assert_eq!(stopped, (Reason::TargetsTried, 3), "drained ones may be tried, and were");
    let world = World::new(3, plain());
    let write = world.begin(WRITE);
    put_away(&world, Maintenance);
    let stopped = reason(report(write, 0, UNCLEAR, None, world.now));
    assert_eq!(stopped, (Reason::NoProof, 1), "whether it may be sent again is asked first");
}

/// Guards: `Call::has_ready_target` that goes on from a late attempt to one that is drained.
#[test]
fn late_a_call_does_not_leave_for_a_target_that_is_drained() {
    for (state, goes) in [(Ready, true), (Drain, false), (Maintenance, false)] {
        let mut world = World::new(2, Policy::default().leave_after(1));
        for _ in 0..8 {
            assert_eq!(world.answered(0.1), 0);
        }
        let attempt = world.begin(READ);
        set(&world, 1, state);
        world.sleep(6.0);
        let expired = attempt.expired(Evidence::MaybeProcessed, UNCLEAR, world.now);
        assert_eq!(matches!(expired, Expired::Next(_)), goes, "{state:?}");
        assert_eq!(world.strikes(), [1, 0], "it is late");
    }
}

// Why not

/// Guards: `Call::why_not` that takes one reason for another, or tells of what was tried.
#[test]
fn why_not_each_target_that_was_passed_over_has_its_reason() {
    let policy =
        Policy::default().checks(Checks { fall: 1, ..Checks::at("/") }).cool_down(CoolDown::default());
    let world = World::new(6, policy);
    check(&world, |target| if target == 1 { Err(Evidence::MaybeProcessed) } else { Ok(StatusCode::OK) });
    assert_eq!(world.begin(READ).passed_over().count(), 0);
    let first = world.begin(READ);
    assert_eq!(first.index(), 0);
    let second = world.went_on(first, DEAD);
    assert_eq!(
        (second.index(), told(&second)),
        (2, vec![(1, PassedOver::Down)]),
        "what was tried is a failure"
    );
    drop(second);
    set(&world, 2, Drain);
    set(&world, 3, Maintenance);
    let call = world.begin(READ);
    let all = [
        (0, PassedOver::Cooling),
        (1, PassedOver::Down),
        (2, PassedOver::Drain),
        (3, PassedOver::Maintenance),
    ];
    assert_eq!((call.index(), told(&call)), (4, all.into()));
    let words = all.map(|(_, why)| why.as_str());
    assert_eq!(words, ["cooling", "down", "drain", "maintenance"]);
    let call = world.went_on(call, BUSY);
    assert_eq!((call.index(), told(&call)), (5, all.into()), "4 was tried");
    let call = world.went_on(call, BUSY);
    assert_eq!((call.index(), told(&call)), (0, vec![]), "nothing stands before the first one in order");
    let call = world.went_on(call, BUSY);
    assert_eq!((call.index(), told(&call)), (1, vec![]));
    let call = world.went_on(call, BUSY);
    assert_eq!((call.index(), told(&call)), (2, vec![]));
}

/// Guards: `Attempt::passed_over` that begins at target 0 and not at the cursor; a reason that hides a stronger one.
#[test]
fn why_not_the_order_is_that_of_the_cursor_and_the_strongest_reason_is_told() {
    let policy = Policy::default().checks(Checks { fall: 1, ..Checks::at("/") }).failback(None);
    let world = World::new(4, policy);
    world.group.prefer(2, world.now).expect("a target");
    assert_eq!(world.call(READ, &[DEAD, DEAD, DEAD, OK]).tried, [2, 3, 0, 1]);
    world.group.prefer(2, world.now).expect("a target");
    let bad = |target| if target == 1 { Ok(StatusCode::OK) } else { Err(Evidence::MaybeProcessed) };
    check(&world, bad);
    set(&world, 3, Drain);
    set(&world, 0, Maintenance);
    let call = world.begin(READ);
    let all = [(2, PassedOver::Down), (3, PassedOver::Drain), (0, PassedOver::Maintenance)];
    assert_eq!((call.index(), told(&call)), (1, all.into()));
}

#[test]
fn why_not_a_probe_passes_over_nobody() {
    let mut world = World::new(3, Policy::default());
    world.group.prefer(2, world.now).expect("a target");
    set(&world, 0, Drain);
    world.sleep(40.0);
    let probe = world.begin(READ);
    assert_eq!((probe.index(), probe.is_probe(), told(&probe)), (1, true, vec![]));
}

#[test]
fn why_not_if_all_cool_none_is_passed_over() {
    let world = World::new(3, Policy::default());
    assert!(world.call(READ, &[DEAD; 3]).end.is_err());
    let mut call = world.begin(READ);
    for target in 0..3 {
        assert_eq!((call.index(), told(&call)), (target, vec![]));
        if target < 2 {
            call = world.went_on(call, BUSY);
        }
    }
}

fn set(world: &World, target: usize, state: AdminState) {
    world.group.set_state(target, state).expect("a target");
}

fn states(world: &World) -> Vec<AdminState> {
    world.group.snapshot(world.now).targets.iter().map(|target| target.state).collect()
}

fn told(attempt: &Attempt<usize, usize, Outcome>) -> Vec<(usize, PassedOver)> {
    attempt.passed_over().collect()
}

/// One round of checks.
fn check(world: &World, result: impl Fn(usize) -> Result<StatusCode, Evidence>) {
    let mut checker = world.group.checker().expect("there are checks");
    let (mut now, mut left) = (world.now, world.group.targets().len());
    while left > 0 {
        match checker.next(now) {
            CheckNext::Ask(target) => {
                checker.report(target, result(target));
                left -= 1;
            }
            CheckNext::Wait(time) => now = now + time,
        }
    }
}

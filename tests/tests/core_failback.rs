//! The way back to a preferred target: each requirement a test with its name.

use std::time::Duration;

use failover_core::{Action, CoolDown, Evidence, Expired, Failback, Follow, Policy, Timestamp};
use failover_tests::drive::report;
use failover_tests::oracle::Outcome;
use failover_tests::world::{
    BUSY, DEAD, HANDED_BACK, LOCAL, OK, READ, REFUSED, STALE, UNCLEAR, WRITE, World, at, codes, plain,
    seconds,
};

// The probe

/// Guards: `Group::body_whole` that moves nothing; `Call::settle` that moves the cursor by the head alone.
#[test]
fn failback_a_probe_returns_the_cursor_when_the_clock_is_due_and_its_body_is_whole() {
    let mut world = away();
    world.sleep(29.9);
    assert_eq!(world.answered(0.0), 1);
    world.sleep(6.2);
    let probe = world.begin(READ);
    assert!((probe.index(), probe.is_probe()) == (0, true));
    let Action::Return(answer) = report(probe, 0, OK, None, world.now) else { panic!("an answer") };
    assert_eq!((world.group.sticky(), world.begin(READ).index()), (1, 1), "until the body has ended");
    world.group.body_whole(answer.body(), world.now);
    assert_eq!((world.group.sticky(), world.strikes()[0]), (0, 0));
}

/// Guards: `Group::body_broke_off` that keeps the lease, or leaves the clock as it was.
#[test]
fn broken_body_a_probe_fails_by_it() {
    let mut world = away();
    world.sleep(37.0);
    let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) else {
        panic!("an answer")
    };
    world.group.body_broke_off(answer.body(), world.now);
    let told = world.group.snapshot(world.now);
    assert_eq!((told.sticky, told.targets[0].failed_probes, told.targets[0].strikes), (1, 1, 4));
    assert!(told.targets[0].probe_in >= Some(seconds(60.0)));
}

/// Guards: `Clocks::failed` that doubles nothing, or doubles without bound; `Call::allowed_tries` that takes the probe for a try.
#[test]
fn failback_a_failed_probe_costs_no_answer_and_doubles_the_clock() {
    for failure in [DEAD, UNCLEAR, BUSY, REFUSED] {
        let mut world = away();
        let mut due: f64 = 30.0;
        for failed in 1..10_u8 {
            world.sleep(due * 1.2 + 0.1);
            let probe = world.call(READ, &[failure, OK]);
            assert_eq!((probe.tried, probe.end, probe.cursor), (vec![0, 1], Ok(1), 1), "{failure:?}");
            due = (due * 2.0).min(300.0);
            let told = world.group.snapshot(world.now);
            assert_eq!((told.targets[0].failed_probes, told.probes), (failed, failed.into()));
            let next = told.targets[0].probe_in.expect("it is away").as_secs_f64();
            assert!((due - 0.001..=due * 1.2).contains(&next), "{next} instead of {due}");
        }
    }
}

#[test]
fn a_probe_never_uses_up_the_attempts_of_its_call() {
    for most in 1..=2 {
        let mut world = World::new(3, Policy::default().max_attempts(most));
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(40.0);
        let answered = world.by_target(READ, |target| if target == usize::from(most) { OK } else { UNCLEAR });
        assert_eq!(answered.end, Ok(usize::from(most)), "as without the probe");
    }
}

/// Guards: `Clocks::lease` whose patience with requests that may not be replayed is none, or endless.
#[test]
fn a_probe_of_a_write_is_the_last_resort() {
    let world = away();
    let due = world.group.snapshot(world.now).targets[0].probe_in.expect("it is away").as_secs_f64();
    for (time, write, read) in
        [(due - 0.01, 1, 1), (due + 0.01, 1, 0), (due + 29.99, 1, 0), (due + 30.01, 0, 0)]
    {
        for (request, target) in [(WRITE, write), (READ, read)] {
            let mut world = away();
            world.sleep(time);
            assert_eq!(world.begin(request).index(), target, "{request:?} after {time} s");
        }
    }
}

/// Guards: `Shared::probe` that goes to a target which cools.
#[test]
fn retry_after_no_probe_goes_to_a_target_before_it_is_over() {
    for (base, asked) in [(60.0, None), (5.0, Some(seconds(70.0)))] {
        let policy =
            Policy::default().leave_after(1).cool_down(CoolDown { base: seconds(base), max: seconds(300.0) });
        let mut world = World::new(2, policy);
        let second = report(world.begin(READ), 0, BUSY, asked, world.now);
        let Action::Send(second) = second else { panic!("{second:?} at once") };
        assert_eq!(world.returned(second, OK), 1);
        let cooling = world.group.snapshot(world.now).targets[0].cooling.expect("it cools");
        world.now = world.now + cooling.saturating_sub(Duration::from_nanos(1));
        assert_eq!(world.group.snapshot(world.now).targets[0].probe_in, Some(Duration::ZERO));
        assert_eq!(world.answered(0.0), 1);
        world.now = world.now + Duration::from_nanos(1);
        assert_eq!(world.answered(0.0), 0);
    }
}

// Which target

/// Guards: `Clocks::lease` that tries the first target only, or the nearest first; one clock for all.
#[test]
fn best_first_failback_goes_to_the_best_target_that_works() {
    let mut world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, DEAD, DEAD, OK]).cursor, 3);
    world.sleep(36.1);
    for (probed, expected) in [(0, vec![0, 3]), (1, vec![1, 3])] {
        let trace = world.by_target(READ, |target| if target < 2 { DEAD } else { OK });
        assert_eq!((trace.tried, trace.cursor), (expected, 3), "target {probed} is probed and dead");
    }
    assert_eq!(world.answered(0.0), 2, "the next best works");
    assert_eq!(world.group.sticky(), 2);

    world.sleep(11.0);
    let told = world.group.snapshot(world.now);
    assert_eq!([0, 1, 2].map(|target| told.targets[target].failed_probes), [1, 1, 0]);
    assert!(told.targets[2].probe_in.is_none() && told.targets[0].probe_in > Some(Duration::ZERO));
    world.sleep(62.0);
    assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0), "the best of all has recovered");
}

/// Guards: `Group::body_whole` that keeps the lease of a probe which moved the cursor.
#[test]
fn best_first_a_better_target_is_probed_right_after_a_good_one() {
    let mut world = World::new(3, Policy::default().leave_after(1));
    let second = report(world.begin(READ), 0, BUSY, Some(seconds(37.0)), world.now);
    let Action::Send(second) = second else { panic!("{second:?} at once") };
    assert_eq!(world.returned(world.went_on(second, BUSY), OK), 2);
    world.sleep(36.1);
    assert_eq!((world.answered(0.0), world.group.sticky()), (1, 1), "target 0 asked for more time");
    world.sleep(1.0);
    assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0));
}

/// Guards: `Clocks::leave` that starts the clock of the target it leaves only, or starts those anew that it passes.
#[test]
fn best_first_each_target_that_the_cursor_passes_has_a_clock_of_its_own() {
    let mut world = World::new(3, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world.sleep(25.0);
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 2);
    let in_time = |target: usize| world.group.snapshot(world.now).targets[target].probe_in.expect("away");
    assert!(in_time(0) <= seconds(36.0) && in_time(1) >= seconds(30.0), "none is shortened");
    world.sleep(36.1);
    assert_eq!(world.answered(0.0), 0);

    let mut by_hand = World::new(3, Policy::default());
    by_hand.group.prefer(2, by_hand.now).expect("a target");
    by_hand.sleep(29.9);
    assert_eq!(by_hand.answered(0.0), 2, "passed like left");
    by_hand.sleep(6.2);
    assert_eq!([by_hand.answered(0.0), by_hand.answered(0.0)], [0, 0]);
}

/// Guards: `Clocks::leave` that shortens a clock which runs.
#[test]
fn failback_arming_a_clock_only_raises_it() {
    for seed in 1..=50 {
        let world = World::new(3, Policy::default().seed(seed));
        let mut before = Duration::ZERO;
        for target in [2, 0, 2, 0, 2] {
            world.group.prefer(target, world.now).expect("a target");
            if let Some(after) = world.group.snapshot(world.now).targets[1].probe_in {
                assert!(after >= before, "{after:?} instead of {before:?}");
                before = after;
            }
        }
    }
}

// Flapping

/// Guards: `times_after_stay` that forgets a short stay.
#[test]
fn flap_a_target_that_fails_when_it_is_chosen_returns_ever_more_seldom() {
    let mut world = World::new(2, Policy::default());
    let (mut left, mut away): (Option<Timestamp>, Vec<Duration>) = (None, vec![]);
    for _ in 0..10_000 {
        world.sleep(0.7);
        if world.group.sticky() == 1 {
            let _ = world.answered(0.0);
            if world.group.sticky() == 0 {
                away.extend(left.map(|left| world.now.since(left)));
            }
        } else if world.call(READ, &[UNCLEAR, OK]).cursor == 1 {
            left = Some(world.now);
        }
    }
    let mut least: f64 = 30.0;
    for time in &away {
        assert!((least..=least * 1.2 + 1.4).contains(&time.as_secs_f64()), "{time:?} instead of {least}");
        least = (least * 2.0).min(300.0);
    }
    assert!((20..=26).contains(&away.len()), "{} in 7,000 s", away.len());
}

/// Guards: `times_after_stay` that never forgets, or forgets by another wait than the last.
#[test]
fn flap_the_doubling_is_forgotten_after_a_stay_as_long_as_the_last_wait() {
    let wait = |stay: f64, failed_probes: usize| {
        let mut world = away();
        for _ in 0..failed_probes {
            world.sleep(400.0);
            assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
        }
        world.sleep(400.0);
        assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0));
        world.sleep(stay);
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
        let next = world.begin(READ);
        let cursor = if world.group.sticky() == 0 {
            world.returned(world.went_on(next, UNCLEAR), OK)
        } else {
            world.group.sticky()
        };
        assert_eq!(cursor, 1);
        world.group.snapshot(world.now).targets[0].probe_in.expect("it is away").as_secs_f64()
    };
    for (stay, failed_probes, least) in [
        (29.0, 0, 60.0),
        (31.0, 0, 30.0),
        (31.0, 2, 240.0),
        (119.0, 2, 240.0),
        (121.0, 2, 30.0),
        (299.0, 9, 300.0),
        (301.0, 9, 30.0),
    ] {
        let wait = wait(stay, failed_probes);
        assert!((least - 0.001..=least * 1.2).contains(&wait), "{wait} after {stay} s, not {least}");
    }
}

// No recovery, and nobody's fault

/// Guards: `Call::settle` that takes any answer for a recovery.
#[test]
fn not_well_a_500_is_no_recovery() {
    for code in 100..=999 {
        let mut world = away();
        world.sleep(40.0);
        let probe = world.begin(READ);
        if probe.verdict(http::StatusCode::from_u16(code).expect("a status")).gives_up() {
            assert!(matches!(code, 421 | 425 | 501..=504));
            continue;
        }
        assert_eq!(world.returned(probe, Outcome::Status(code)), 0, "{code} is passed on");
        let well = !matches!(code, 429 | 500..=599);
        let told = world.group.snapshot(world.now);
        assert_eq!((told.sticky, told.targets[0].strikes), if well { (0, 0) } else { (1, 3) }, "{code}");
        assert_eq!(told.targets[0].failed_probes, u8::from(!well), "{code}");
        assert_eq!(world.answered(0.0), usize::from(!well));
    }
}

/// Guards: `Call::give_up` that fails a probe by what is no strike; `Clocks::undecided` that keeps the lease.
#[test]
fn nobodys_fault_a_neutral_probe_is_followed_by_another_a_second_later() {
    let error = Outcome::Error;
    for neutral in [
        &[Outcome::Status(501)][..],
        &[Outcome::Status(425)],
        &[Outcome::Status(400)],
        &[error(Evidence::NotSent)],
        &[error(Evidence::NoRoom)],
        &[LOCAL],
        &[HANDED_BACK, HANDED_BACK],
        &[],
    ] {
        let policy = Policy::default().failover_codes(codes("400, 501-504"));
        let mut world = World::new(2, policy);
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(40.0);
        for nth in 1..=5 {
            let mut action = Action::Send(world.begin(READ));
            for &outcome in neutral {
                let Action::Send(attempt) = action else { panic!("{action:?} of {neutral:?}") };
                assert!((attempt.index(), attempt.is_probe()) == (0, true));
                action = report(attempt, 0, outcome, None, world.now);
            }
            if let Action::Send(attempt) = action {
                world.left(attempt);
            }
            world.sleep(0.999);
            let told = world.group.snapshot(world.now);
            assert_eq!((told.targets[0].failed_probes, told.probes), (0, nth), "{neutral:?}");
            assert_eq!(told.targets[0].probe_in, Some(Duration::ZERO));
            assert_eq!(world.begin(READ).index(), 1);
            world.sleep(0.001);
        }
        assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0), "{neutral:?}");
    }
}

/// Guards: what holds failback up by requests that no target can serve: a clock that each of them doubles, a lease that they
/// keep, a cool-down that they lengthen.
#[test]
fn nobodys_fault_501s_and_poison_among_the_calls_hold_no_failback_up() {
    for odd in [Outcome::Status(501), UNCLEAR] {
        let mut returned: Vec<Duration> = (1..=20)
            .map(|seed| {
                let mut world = World::new(3, Policy::default().seed(seed));
                assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
                let mut choice = seed;
                while world.group.sticky() != 0 && world.now < at(3_600.0) {
                    world.sleep(0.1);
                    choice = choice
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    if (choice >> 33) % 10 == 0 {
                        assert_eq!(world.by_target(READ, |_| odd).tried.len(), 3);
                    } else {
                        let _ = world.answered(0.0);
                    }
                }
                world.now.since(Timestamp::ORIGIN)
            })
            .collect();
        returned.sort_unstable();
        assert!(returned[14] <= seconds(60.0), "{odd:?}: {returned:?}");
        assert!(returned[19] <= seconds(400.0), "{odd:?}: {returned:?}");
    }
}

/// Guards: `Call::drop` that keeps the lease, or doubles the clock.
#[test]
fn cancel_neutral_a_dropped_probe_frees_its_lease_and_blames_nobody() {
    let mut world = away();
    world.sleep(40.0);
    let before = world.group.snapshot(world.now).targets;
    drop(world.begin(READ));
    assert_eq!(world.group.snapshot(world.now).targets, before);
    world.sleep(1.0);
    assert_eq!(world.answered(0.0), 0);
}

// One at a time

/// Guards: `Clocks::lease` that gives it twice.
#[test]
fn single_flight_one_call_at_a_time_probes() {
    let mut world = away();
    world.sleep(40.0);
    let calls: Vec<_> = (0..100).map(|_| world.begin(READ)).collect();
    assert_eq!(calls.iter().filter(|call| call.index() == 0).count(), 1);
    drop(calls);
    world.sleep(0.5);
    assert_eq!(world.begin(READ).index(), 1, "what said nothing is followed by another a second later");
}

/// Guards: `Clocks::lease` that waits until the lease is given back.
#[test]
fn single_flight_the_lease_expires_by_itself() {
    let mut world = away();
    world.sleep(40.0);
    let stuck = world.begin(READ);
    world.sleep(9.999);
    assert_eq!(world.begin(READ).index(), 1);
    world.sleep(0.001);
    let next = world.begin(READ);
    assert_eq!(next.index(), 0);
    drop(stuck);
    assert_eq!(world.begin(READ).index(), 1, "what has expired frees nobody else's lease");
}

/// Guards: `Group::body_whole` that frees nothing where the cursor has moved meanwhile.
#[test]
fn single_flight_a_probe_that_comes_too_late_frees_its_lease_and_moves_nothing() {
    let mut world = away();
    world.sleep(40.0);
    let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) else {
        panic!("an answer")
    };
    world.group.prefer(2, world.now).expect("a target");
    world.group.body_whole(answer.body(), world.now);
    assert_eq!(world.group.sticky(), 2);
    assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0), "the next probe");
}

/// Guards: `Clocks::lease` whose leases of one moment are alike, `Clocks::failed` that does not ask whose it is.
#[test]
fn single_flight_a_body_that_ended_before_frees_no_other_lease() {
    let mut world = World::new(4, Policy::default());
    world.group.prefer(3, world.now).expect("a target");
    world.sleep(40.0);
    let action = report(world.begin(READ), 0, OK, None, world.now);
    let Action::Return(answer) = action else { panic!("{action:?} instead of an answer") };
    world.group.prefer(2, world.now).expect("a target");
    world.group.body_whole(answer.body(), world.now);
    let probe = world.begin(READ);
    assert!(probe.is_probe(), "the cursor had moved, so target 0 is due still");
    for _ in 0..2 {
        world.group.body_broke_off(answer.body(), world.now);
        assert!(!world.begin(READ).is_probe(), "one at a time");
    }
    assert_eq!(world.group.snapshot(world.now).targets[0].failed_probes, 0, "it was no probe's any more");
    drop(probe);
}

/// Guards: `Shared::probe` whose lease lasts for the attempt timeout although the deadline is shorter.
#[test]
fn single_flight_the_lease_outlasts_no_deadline() {
    let policy = Policy::default().attempt_timeout(Duration::MAX).deadline(seconds(5.0));
    let mut world = World::new(2, policy);
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(40.0);
    let _stuck = world.begin(READ);
    world.sleep(4.999);
    assert_eq!(world.begin(READ).index(), 1);
    world.sleep(0.001);
    assert_eq!(world.begin(READ).index(), 0, "target 0 is not given up for good");
}

/// Guards: `Call::give_up` that ends the probe before a free repeat.
#[test]
fn single_flight_a_free_repeat_is_the_same_probe() {
    let mut world = away();
    world.sleep(40.0);
    let probe = world.begin(READ);
    let again = world.went_on(probe, STALE);
    assert!((again.index(), again.is_probe(), world.begin(READ).index()) == (0, true, 1));
    assert_eq!(world.returned(again, OK), 0);
    assert_eq!((world.group.sticky(), world.group.snapshot(world.now).probes), (0, 1));
}

// A late probe

/// Guards: `Call::waits_on` that lets a late probe keep its lease, or its call wait on for it.
#[test]
fn late_a_probe_that_is_late_has_failed_and_its_call_goes_on() {
    for request in [READ, WRITE] {
        let mut world = World::new(2, Policy::default());
        for _ in 0..8 {
            assert_eq!(world.answered(0.1), 0);
        }
        assert_eq!(world.call(READ, &[BUSY, OK]).end, Ok(1));
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(80.0);
        let probe = world.begin(request);
        assert!(probe.is_probe());
        assert_eq!(probe.bound(), seconds(1.0));
        world.sleep(1.0);
        let expired = probe.expired(Evidence::MaybeProcessed, UNCLEAR, world.now);
        let told = world.group.snapshot(world.now);
        assert_eq!((told.targets[0].failed_probes, told.targets[0].strikes), (1, 2), "{request:?}");
        match expired {
            Expired::Next(Action::Send(second)) if request == READ => assert_eq!(second.index(), 1),
            Expired::WaitOn(attempt) if request == WRITE => {
                world.sleep(3.0);
                assert_eq!(world.returned(attempt, OK), 0);
                assert_eq!((world.group.sticky(), world.strikes()[0]), (1, 0), "it moves nothing any more");
            }
            other => panic!("{other:?} of {request:?}"),
        }
    }
}

/// Guards: `Call::settle` that takes a late probe's answer for one after the sticky target was given up.
#[test]
fn follow_answer_a_late_probe_moves_nothing_any_more() {
    for code in [200, 500] {
        let mut world = World::new(2, Policy::default().follow(Follow::Answer));
        for _ in 0..8 {
            assert_eq!(world.answered(0.1), 0);
        }
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(80.0);
        let probe = world.begin(WRITE);
        assert!(probe.is_probe());
        world.sleep(2.0);
        let expired = probe.expired(Evidence::MaybeProcessed, UNCLEAR, world.now);
        let Expired::WaitOn(probe) = expired else { panic!("{expired:?} of a write") };
        assert_eq!(world.returned(probe, Outcome::Status(code)), 0);
        assert_eq!(world.group.sticky(), 1, "nothing was given up before the {code}");
    }
}

#[test]
fn no_failback_no_probe() {
    let mut world = World::new(2, plain());
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(1e6);
    assert_eq!(world.answered(0.0), 1);
    let told = world.group.snapshot(world.now);
    assert_eq!((told.targets[0].probe_in, told.probes), (None, 0));
}

/// Guards: `Shared::probe` that goes to a target which cools.
#[test]
fn failback_shorter_than_the_cool_down_waits_for_its_end() {
    let policy = Policy::default()
        .failback(Failback { after: seconds(1.0), max: seconds(1.0) })
        .cool_down(CoolDown { base: seconds(60.0), max: seconds(60.0) });
    let mut world = World::new(2, policy);
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world.sleep(1.3);
    assert_eq!(world.answered(0.0), 1);
    world.sleep(71.0);
    assert_eq!((world.answered(0.0), world.group.sticky()), (0, 0));
}

// Helpers

/// A group of three whose cursor has just left target 0, which refused a connection.
fn away() -> World {
    let world = World::new(3, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world
}

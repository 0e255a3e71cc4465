//! What counts against a target, when it cools and what it asks for: each requirement a test with its name.

use std::time::Duration;

use failover_core::{Action, Backoff, BodyToken, Cause, CoolDown, Evidence, Late, Policy, Reason};
use failover_tests::drive::report;
use failover_tests::oracle::Outcome;
use failover_tests::world::{
    BUSY, DEAD, HANDED_BACK, LOCAL, OK, READ, REFUSED, STALE, UNCLEAR, WRITE, World, at, codes, plain,
    seconds,
};

// What is a strike

/// Guards: each row of `Ending::row` and each arm of `harm`.
#[test]
fn per_attempt_each_ending_says_of_its_target_what_the_table_has() {
    let not_sent = Outcome::Error(Evidence::NotSent);
    let no_room = Outcome::Error(Evidence::NoRoom);
    for (ending, strikes) in [
        (DEAD, 3),
        (UNCLEAR, 1),
        (REFUSED, 1),
        (not_sent, 0),
        (no_room, 0),
        (LOCAL, 0),
        (HANDED_BACK, 0),
        (STALE, 0),
        (BUSY, 1),
    ] {
        for request in [READ, WRITE] {
            let world = World::new(2, Policy::default());
            drop(report(world.begin(request), 0, ending, None, world.now));
            assert_eq!(world.strikes(), [strikes, 0], "{ending:?}");
        }
    }
    for (not_processed, codes_that_give_up) in
        [("100-599", ""), ("421, 425, 501", "100-599"), ("", "100-599")]
    {
        let policy =
            Policy::default().failover_codes(codes(codes_that_give_up)).not_processed(codes(not_processed));
        for code in 100..=599 {
            let strikes = u8::from(matches!(code, 421 | 429 | 500 | 502..=599 | 100..=399));
            let world = World::new(2, policy.clone());
            drop(report(world.begin(READ), 0, Outcome::Status(code), None, world.now));
            assert_eq!(world.strikes(), [strikes, 0], "{code}");
        }
    }
}

/// Guards: `Call::give_up` that books the first failure of a call only.
#[test]
fn per_attempt_every_failure_of_a_call_is_booked() {
    let world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, BUSY, UNCLEAR, OK]).end, Ok(3));
    assert_eq!(world.strikes(), [3, 1, 1, 0]);
}

/// Guards: `Call::give_up` that books only once its call is answered.
#[test]
fn per_attempt_a_failure_is_booked_at_once_whatever_becomes_of_its_call() {
    let world = World::new(3, Policy::default());
    let second = world.went_on(world.begin(READ), UNCLEAR);
    assert_eq!(world.strikes(), [1, 0, 0], "while the call goes on");
    drop(second);
    assert_eq!(world.call(WRITE, &[UNCLEAR]).end, Err(Reason::NoProof));
    assert_eq!(world.strikes(), [2, 0, 0]);
    let told = world.group.snapshot(world.now).targets[0].last_failure;
    assert_eq!(told, Some(Cause::Error(Evidence::MaybeProcessed, ())));
}

/// Guards: `Attempt::abandon` that books a strike however short the wait was.
#[test]
fn cancel_neutral_a_dropped_attempt_books_nothing() {
    let world = World::new(3, Policy::default());
    let before = world.group.snapshot(world.now);
    drop(world.begin(READ));
    world.left(world.begin(READ));
    assert_eq!(world.group.snapshot(world.now), before);
}

/// Guards: `Ending::row` that blames the target for a local fault, or goes on after it.
#[test]
fn local_fault_is_never_the_targets_fault_and_ends_the_call() {
    let world = World::new(2, Policy::default());
    let trace = world.call(READ, &[LOCAL]);
    assert_eq!((trace.end, trace.cursor), (Err(Reason::LocalFault), 0));
    assert_eq!(world.strikes(), [0, 0]);
}

/// Guards: `Ending::without_free_repeat` that blames the target for a request that the pool gave back twice.
#[test]
fn stale_connection_is_no_target_failure() {
    for (outcome, second_time) in [(STALE, 1), (HANDED_BACK, 0)] {
        let world = World::new(2, Policy::default().interval(seconds(1.0)));
        let trace = world.call(READ, &[outcome, OK]);
        assert_eq!((&trace.tried[..], trace.pauses.len(), trace.cursor), (&[0, 0][..], 0, 0));
        let trace = world.call(READ, &[outcome, outcome, OK]);
        assert_eq!((&trace.tried[..], trace.cursor), (&[0, 0, 1][..], 0));
        assert_eq!(world.strikes(), [second_time, 0]);
    }
}

/// Guards: `Shared::next_target` that leaves out what cools.
#[test]
fn sole_target_is_tried_whatever_happened_before() {
    let world = World::new(1, Policy::default());
    for _ in 0..20 {
        let trace = world.call(READ, &[DEAD]);
        assert_eq!((trace.tried, trace.end), (vec![0], Err(Reason::TargetsTried)));
    }
    assert_eq!(world.call(WRITE, &[OK]).end, Ok(0));
}

/// Guards: `Health::strike` that takes a refused connection for the end of a target that has just answered, or for a blip at
/// one that has not.
#[test]
fn blip_a_failed_connection_is_one_strike_where_the_target_answers() {
    let floor = |floor| plain().late(Late { floor: seconds(floor), ..Late::default() });
    for (policy, floor) in [(plain(), 1.0), (floor(4.0), 4.0), (plain().late(None), 1.0)] {
        let after = |silent: f64| {
            let mut world = World::new(2, policy.clone());
            world.sleep(100.0);
            let _ = world.answered(0.0);
            world.sleep(silent);
            drop(report(world.begin(READ), 0, DEAD, None, world.now));
            world.strikes()[0]
        };
        assert_eq!([0.0, 0.4, 0.99].map(|floors| after(floors * floor)), [1; 3], "within the last floor");
        assert_eq!([1.01, 2.0, 60.0].map(|floors| after(floors * floor)), [3; 3], "before it");
    }
    for outcome in [OK, BUSY] {
        let mut world = World::new(2, plain());
        let dialing = world.begin(READ);
        world.sleep(0.5);
        drop(report(world.begin(READ), 0, outcome, None, world.now));
        world.sleep(2.5);
        let before = world.strikes()[0];
        drop(report(dialing, 0, DEAD, None, world.now));
        assert_eq!(world.strikes()[0], before + 1, "{outcome:?} came since the attempt began");
    }
    let world = World::new(2, plain());
    for strikes in [3, 4, 5] {
        drop(report(world.begin(READ), 0, DEAD, None, world.now));
        assert_eq!(world.strikes(), [strikes, 0]);
        world.group.prefer(0, world.now).expect("a target");
    }
}

/// Guards: `Health::cools` that takes the time of a mark with fewer strikes for the end of a cool-down.
#[test]
fn blip_a_strike_is_no_cool_down_for_a_call_that_reads_an_earlier_clock() {
    for policy in [plain(), Policy::default()] {
        let mut world = World::new(2, policy);
        world.sleep(1.0);
        drop(report(world.begin(READ), 0, UNCLEAR, None, world.now));
        world.now = at(0.999);
        assert_eq!((world.strikes()[0], world.cooling(0), world.begin(READ).index()), (1, 0.0, 0));
    }
}

// What forgives

/// Guards: `is_well` that lets an answer of 5xx or 429 forgive, or does not let one of 4xx; `SharedMark::clear` that keeps
/// a part.
#[test]
fn not_well_a_500_clears_no_strikes() {
    let strikes = |code| {
        let world = World::new(2, Policy::default());
        for _ in 0..2 {
            assert_eq!(world.call(READ, &[BUSY, OK]).tried, [0, 1]);
        }
        assert_eq!(world.call(READ, &[Outcome::Status(code)]).end, Ok(0));
        world.strikes()[0]
    };
    assert_eq!([200, 204, 304, 401, 404, 422].map(strikes), [0; 6]);
    assert_eq!([429, 500, 505, 599].map(strikes), [2; 4]);
}

/// Guards: `Health::answered` that lets only attempts forgive that began after the strikes.
#[test]
fn an_answer_clears_strikes_level_and_cool_down_whenever_its_attempt_began() {
    let mut world = World::new(2, Policy::default().failback(None));
    let slow = world.begin(READ);
    for level in 1..=3 {
        drop(report(world.begin(READ), 0, DEAD, None, world.now));
        assert_eq!(world.strikes()[0], 2 + level);
        world.sleep(world.cooling(0) + 0.1);
    }
    drop(report(world.begin(READ), 0, UNCLEAR, None, world.now));
    assert!(world.cooling(0) >= 40.0);
    assert_eq!(world.returned(slow, OK), 0);
    assert_eq!((world.strikes(), world.cooling(0)), (vec![0, 0], 0.0));
    drop(report(world.begin(READ), 0, DEAD, None, world.now));
    assert!(world.cooling(0) <= 6.0, "the level is forgotten");
}

// The cool-down

/// Guards: `Health::add` that adds attempts which began before the end of a cool-down.
#[test]
fn one_step_concurrent_failures_cool_a_target_once() {
    for failure in [UNCLEAR, DEAD, BUSY] {
        let mut world = World::new(2, Policy::default().failback(None));
        let calls: Vec<_> = (0..100).map(|_| world.begin(READ)).collect();
        world.sleep(0.5);
        for call in calls {
            drop(world.went_on(call, failure));
        }
        assert_eq!(world.strikes(), [3, 0], "{failure:?}");
        assert!((5.0..=6.0).contains(&world.cooling(0)));
    }
}

/// Guards: `Health::add` that lets last-resort attempts drive a target to its longest cool-down.
#[test]
fn one_step_nothing_adds_to_a_cool_down_while_it_lasts() {
    let mut world = World::new(1, plain_with_cool_down());
    for _ in 0..3 {
        assert_eq!(world.call(READ, &[UNCLEAR]).tried, [0]);
    }
    let cooling = world.cooling(0);
    world.sleep(cooling / 2.0);
    let last_resort = world.begin(READ);
    drop(report(world.begin(READ), 0, DEAD, None, world.now));
    assert_eq!(world.strikes(), [3]);
    assert!((cooling / 2.0 - world.cooling(0)).abs() < 1e-6);
    world.sleep(cooling);
    drop(report(last_resort, 0, UNCLEAR, None, world.now));
    assert_eq!((world.strikes(), world.cooling(0)), (vec![3], 0.0), "it began before the end");
    drop(report(world.begin(READ), 0, UNCLEAR, None, world.now));
    assert_eq!(world.strikes(), [4], "and this one after it");
    assert!(world.cooling(0) >= 10.0);
}

/// Guards: `Health::add` whose levels are off by one, or that needs all strikes anew after a cool-down; `doubled` without
/// its bound.
#[test]
fn a_target_that_fails_cools_down_is_tried_last_and_has_its_place_back() {
    let mut world = World::new(3, Policy::default().failback(None));
    for strikes in 1..=2 {
        assert_eq!(world.call(READ, &[UNCLEAR, OK]).tried, [0, 1]);
        assert_eq!((world.strikes()[0], world.cooling(0)), (strikes, 0.0));
    }
    let mut least: f64 = 5.0;
    for strikes in 3..12 {
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.call(READ, &[UNCLEAR, OK]).tried, [0, 1]);
        assert_eq!(world.strikes()[0], strikes);
        let cooling = world.cooling(0);
        assert!((least - 0.001..=least * 1.2).contains(&cooling), "{cooling} instead of {least}");
        world.group.prefer(0, world.now).expect("a target");
        let unsent = Outcome::Error(Evidence::NotSent);
        assert_eq!(world.by_target(READ, |_| unsent).tried, [1, 2, 0], "last, but tried");
        world.sleep(cooling + 0.001);
        least = (least * 2.0).min(300.0);
    }
}

/// Guards: `Health::cools` and `Shared::next_target` with one comparison turned.
#[test]
fn a_cool_down_is_over_at_the_moment_at_which_it_ends() {
    let mut world = World::new(3, Policy::default().failback(None));
    drop(report(world.begin(READ), 0, DEAD, None, world.now));
    let cooling = world.group.snapshot(world.now).targets[0].cooling.expect("it cools");
    let end = world.now + cooling;
    let order = |world: &World, sticky| {
        world.group.prefer(sticky, world.now).expect("a target");
        world.by_target(READ, |_| Outcome::Error(Evidence::NotSent)).tried
    };
    world.now = world.now + cooling.saturating_sub(Duration::from_nanos(1));
    assert_eq!((order(&world, 0), order(&world, 2)), (vec![1, 2, 0], vec![2, 1, 0]));
    world.now = end;
    assert_eq!((order(&world, 0), order(&world, 2)), (vec![0, 1, 2], vec![2, 0, 1]));
}

/// Guards: `Shared::next_target` that tries those that cool in the order of the list.
#[test]
fn of_those_that_cool_the_soonest_to_be_done_is_tried_first() {
    let mut world = World::new(4, Policy::default().failback(None));
    for target in [2, 0, 1] {
        world.group.prefer(target, world.now).expect("a target");
        drop(report(world.begin(READ), 0, DEAD, None, world.now));
        world.sleep(0.5);
    }
    let unsent = Outcome::Error(Evidence::NotSent);
    for sticky in 0..4 {
        world.group.prefer(sticky, world.now).expect("a target");
        assert_eq!(world.by_target(READ, |_| unsent).tried, [3, 2, 0, 1]);
    }
}

/// Guards: `Jitter::lengthen_alike` that draws anew for each target, or the same for each seed.
#[test]
fn herd_what_failed_together_is_done_together() {
    let cool_downs = |seed| {
        let world = World::new(3, Policy::default().seed(seed));
        assert_eq!(world.by_target(READ, |_| DEAD).tried.len(), 3);
        [0, 1, 2].map(|target| world.cooling(target))
    };
    let drawn: Vec<f64> = (1..=200)
        .map(|seed| {
            let [first, second, third] = cool_downs(seed);
            assert!(first.to_bits() == second.to_bits() && second.to_bits() == third.to_bits());
            first
        })
        .collect();
    for fifth in 0..5 {
        let (least, most) = (5.0 + 0.2 * f64::from(fifth), 5.2 + 0.2 * f64::from(fifth));
        let count = drawn.iter().filter(|cooling| (least..most).contains(cooling)).count();
        assert!(count > 20, "{count} of 200 seeds between {least} and {most}");
    }
}

/// Guards: `Health::add` that begins anew after 255 strikes.
#[test]
fn saturating_strikes_stop_at_the_largest() {
    let mut world = World::new(2, Policy::default().failback(None));
    for _ in 0..300 {
        world.group.prefer(0, world.now).expect("a target");
        world.sleep(400.0);
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    }
    assert_eq!(world.strikes()[0], 255);
}

#[test]
fn strikes_count_on_where_nothing_cools() {
    let world = World::new(1, plain());
    for strikes in 1..=9 {
        assert_eq!(world.call(READ, &[UNCLEAR]).tried, [0]);
        assert_eq!((world.strikes(), world.cooling(0)), (vec![strikes], 0.0));
    }
}

// Bodies

/// Guards: `Health::broke_off` that does not restore what the head cleared, or restores it without its own strike.
#[test]
fn broken_body_three_in_a_row_are_left_and_a_whole_one_between_them_forgives() {
    let world = World::new(2, Policy::default());
    for expected in [1, 2] {
        let (target, body) = head(&world);
        assert_eq!((target, world.strikes()[0]), (0, 0), "the head clears");
        world.group.body_broke_off(body, world.now);
        assert_eq!(world.strikes()[0], expected, "and its end restores");
    }
    let (_, whole) = head(&world);
    world.group.body_whole(whole, world.now);
    assert_eq!(world.strikes()[0], 0);
    for _ in 0..3 {
        assert_eq!(world.cooling(0).to_bits(), 0);
        world.group.body_broke_off(head(&world).1, world.now);
    }
    assert_eq!((world.strikes()[0], world.begin(READ).index()), (3, 1), "it cools");
}

/// Guards: `Health::broke_off` that restores nothing.
#[test]
fn broken_body_restores_strikes_of_another_kind_and_their_level() {
    let mut world = World::new(2, Policy::default().failback(None));
    for _ in 0..2 {
        drop(report(world.begin(READ), 0, BUSY, None, world.now));
    }
    world.group.body_broke_off(head(&world).1, world.now);
    assert_eq!(world.strikes()[0], 3, "two answers of 503 and a broken body");
    world.sleep(world.cooling(0) + 0.1);
    world.group.body_broke_off(head(&world).1, world.now);
    assert_eq!(world.strikes()[0], 4);
    assert!(world.cooling(0) >= 10.0, "the next level");
}

/// Guards: `Health::broke_off` that restores nothing.
#[test]
fn broken_body_each_of_those_that_came_at_once_counts() {
    let world = World::new(2, Policy::default());
    drop(report(world.begin(READ), 0, BUSY, None, world.now));
    let ((_, first), (_, second)) = (head(&world), head(&world));
    world.group.body_broke_off(second, world.now);
    assert_eq!(world.strikes()[0], 1, "it found nothing to clear");
    world.group.body_broke_off(first, world.now);
    assert_eq!((world.strikes()[0], world.begin(READ).index()), (3, 1));
    world.group.body_broke_off(first, world.now);
    assert_eq!(world.strikes()[0], 3, "while it cools, nothing adds");
}

/// Guards: `Health::add` that takes what a head cleared and what came since for a cool-down that was over.
#[test]
fn broken_body_strikes_before_and_after_its_head_make_a_first_cool_down() {
    let world = World::new(2, Policy::default());
    let two_strikes = || {
        for _ in 0..2 {
            drop(report(world.begin(READ), 0, BUSY, None, world.now));
        }
    };
    two_strikes();
    let (_, body) = head(&world);
    two_strikes();
    world.group.body_broke_off(body, world.now);
    assert_eq!(world.strikes()[0], 3, "it has never cooled");
    assert!((5.0..=6.0).contains(&world.cooling(0)), "{}", world.cooling(0));
}

/// Guards: `Health::broke_off` that counts nothing where nothing cools.
#[test]
fn broken_body_counts_where_nothing_cools() {
    let world = World::new(2, plain());
    for strikes in 1..=3 {
        world.group.body_broke_off(head(&world).1, world.now);
        assert_eq!(world.strikes()[0], strikes);
    }
    let slow = world.begin(READ);
    assert_eq!(world.returned(world.went_on(slow, BUSY), OK), 1);
    assert_eq!(world.group.sticky(), 1);
}

// Retry-After

/// Guards: `Health::lengthen` that cools a target which has fewer strikes, shortens a cool-down, or heeds no knob.
#[test]
fn retry_after_only_lengthens_a_cool_down_and_by_at_most_the_knob() {
    let cooled = |policy: &Policy, before: usize, asked: f64| {
        let world = World::new(1, policy.clone());
        for _ in 0..before {
            drop(report(world.begin(READ), 0, BUSY, None, world.now));
        }
        drop(report(world.begin(READ), 0, BUSY, Some(seconds(asked)), world.now));
        world.cooling(0)
    };
    let default = Policy::default();
    for asked in [0.0, 7.0, 4_000.0, 1e18] {
        assert_eq!([0, 1].map(|before| cooled(&default, before, asked).to_bits()), [0; 2], "no cool-down");
    }
    let own = cooled(&default, 2, 0.0);
    assert!((5.0..=6.0).contains(&own), "{own}");
    for (asked, expected) in [(3.0, own), (7.0, 7.0), (299.0, 299.0), (4_000.0, 300.0), (1e18, 300.0)] {
        for before in [2, 3] {
            let cooling = cooled(&default, before, asked);
            assert!((cooling - expected).abs() < 1e-6, "{cooling} after {asked}");
        }
    }
    let minute = Policy::default().retry_after(seconds(60.0));
    assert!((cooled(&minute, 2, 4_000.0) - 60.0).abs() < 1e-6);
    let ignored = Policy::default().retry_after(None);
    assert!((cooled(&ignored, 2, 4_000.0) - own).abs() < 1e-6);
    assert_eq!(cooled(&plain(), 9, 60.0).to_bits(), 0.0_f64.to_bits(), "nothing cools");
}

/// Guards: `Health::answered` that lets any answer forgive what a target asked for, or that lets none.
#[test]
fn retry_after_is_not_forgotten_by_an_answer_to_what_was_sent_before_it() {
    let mut world = World::new(2, Policy::default().failback(None));
    let (old, broken, uploading) = (world.begin(READ), world.begin(READ), world.begin(READ));
    for _ in 0..3 {
        world.sleep(0.1);
        drop(report(world.begin(WRITE), 0, BUSY, Some(seconds(300.0)), world.now));
    }
    assert_eq!(world.begin(READ).index(), 1, "target 0 asked for five minutes");
    world.sleep(0.1);
    assert_eq!(world.returned(old, OK), 0);
    let Action::Return(answer) = report(broken, 0, OK, None, world.now) else { panic!("an answer") };
    world.group.body_broke_off(answer.body(), world.now);
    assert_eq!(world.strikes(), [3, 0]);
    assert!((world.cooling(0) - 299.9).abs() < 1e-6);

    let mut uploading = uploading;
    uploading.progress(world.now);
    assert_eq!(world.returned(uploading, OK), 0);
    assert_eq!((world.strikes(), world.cooling(0).to_bits()), (vec![0, 0], 0), "it took more since");
}

/// Guards: `Health::answered` that lets a target which asked for time not be forgiven by what was sent at that moment;
/// `Health::lengthen` that notes what a target asked for which is not to be left.
#[test]
fn retry_after_is_over_with_an_answer_to_a_last_resort() {
    let asked = |strikes| {
        let mut world = World::new(1, Policy::default());
        let before = world.begin(READ);
        world.sleep(0.1);
        for _ in 0..strikes {
            drop(report(world.begin(READ), 0, BUSY, Some(seconds(300.0)), world.now));
        }
        (before, world)
    };
    let (before, world) = asked(2);
    assert_eq!((world.returned(before, OK), world.strikes()), (0, vec![0]), "nothing was heeded");
    let (_before, world) = asked(3);
    let last_resort = world.begin(READ);
    assert_eq!((world.returned(last_resort, OK), world.strikes()), (0, vec![0]));
    assert_eq!(world.cooling(0).to_bits(), 0);
}

/// Guards: `Call::pause` that heeds what another target asked for, or what was asked within a round.
#[test]
fn retry_after_between_rounds_the_pause_heeds_the_target_that_is_next() {
    let pause = |asked: [Option<f64>; 2], policy: Policy| {
        let world = World::new(2, policy);
        let first = report(world.begin(READ), 0, BUSY, asked[0].map(seconds), world.now);
        let Action::Send(second) = first else { panic!("{first:?} within a round") };
        match report(second, 1, BUSY, asked[1].map(seconds), world.now) {
            Action::Wait(wait) => {
                let pause = wait.pause().as_secs_f64();
                let resumed = wait.resume(world.now + seconds(pause));
                assert!(matches!(resumed, Action::Send(next) if next.index() == 0));
                pause
            }
            Action::Send(_) => 0.0,
            ended => panic!("{ended:?}"),
        }
    };
    let rounds = || Policy::default().rounds(2);
    assert!((pause([Some(2.0), Some(9.0)], rounds()) - 2.0).abs() < 1e-9, "not what target 1 asked for");
    assert!((pause([Some(9.0), Some(2.0)], rounds()) - 9.0).abs() < 1e-9);
    assert!(pause([None, Some(9.0)], rounds()) <= 0.025, "target 0 asked for nothing");
    assert!((pause([Some(3_600.0), None], rounds()) - 10.0).abs() < 1e-9, "no pause is longer");
    let ignored = rounds().retry_after(None);
    assert!(pause([Some(9.0), Some(9.0)], ignored) <= 0.025);
    let hasty = rounds().deadline(seconds(8.0));
    assert!((pause([Some(9.0), None], hasty) - 4.0).abs() < 1e-9, "half of the time that is left");
}

#[test]
fn retry_after_between_rounds_a_target_that_cools_is_not_next() {
    let world = World::new(2, Policy::default().rounds(2).leave_after(1));
    let asked = |seconds_asked: f64| Some(seconds(seconds_asked));
    let second = report(world.begin(READ), 0, BUSY, asked(60.0), world.now);
    let Action::Send(second) = second else { panic!("{second:?} within a round") };
    let action = report(second, 1, Outcome::Status(501), asked(2.0), world.now);
    let Action::Wait(wait) = action else { panic!("{action:?} between rounds") };
    assert_eq!(wait.pause(), seconds(2.0), "target 0 is not next");
    let action = wait.resume(world.now + seconds(2.0));
    assert!(matches!(action, Action::Send(next) if next.index() == 1));
}

/// Guards: `Call::give_up` that lengthens the cool-down after it chose what is next.
#[test]
fn retry_after_between_rounds_is_heeded_by_the_call_that_was_asked() {
    let backoff = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    let mut world = World::new(2, Policy::default().rounds(2).leave_after(1).backoff(backoff));
    drop(report(world.begin(WRITE), 0, UNCLEAR, None, world.now));
    let call = world.begin(READ);
    assert_eq!(call.index(), 1, "target 0 cools");
    world.sleep(7.0);
    let last = world.went_on(call, HANDED_BACK);
    let last = world.went_on(last, HANDED_BACK);
    assert_eq!((last.index(), world.cooling(0).to_bits()), (0, 0), "it cools no longer");
    let action = report(last, 0, Outcome::Status(501), Some(seconds(60.0)), world.now);
    assert!(matches!(action, Action::Send(next) if next.index() == 1), "target 0 asked for a minute");
    assert!((world.cooling(0) - 60.0).abs() < 1e-6);
}

// Helpers

/// The head of a good answer to a new call: from which target, and what its body is booked by.
fn head(world: &World) -> (usize, BodyToken) {
    let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) else {
        panic!("an answer")
    };
    (answer.target(), answer.body())
}

/// The default policy without failback.
fn plain_with_cool_down() -> Policy {
    plain().cool_down(CoolDown::default())
}

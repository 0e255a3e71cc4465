//! The requirements on recovery, health and load, each a test with its name; and the traps of a first design.

use std::time::Duration;

use failover_core::{Action, Budget, Cause, CoolDown, Evidence, Failback, Group, Policy, Reason, Timestamp};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::{Outcome, Trace};
use failover_tests::world::{
    BUSY, DEAD, LOCAL, OK, READ, REFUSED, STALE, UNCLEAR, WRITE, World, at, codes, first, plain, seconds,
};

// Failback

#[test]
fn failback_a_probe_returns_the_cursor_when_the_clock_is_due() {
    let mut world = away();
    world.sleep(29.9);
    assert_eq!(world.call(READ, &[OK]).tried, [1]);
    world.sleep(6.2);
    let probe = world.call(READ, &[OK]);
    assert_eq!((probe.tried, probe.cursor), (vec![0], 0));
}

#[test]
fn failback_a_failed_probe_costs_no_answer_and_doubles_the_clock() {
    let mut world = away();
    let mut due: f64 = 30.0;
    for failed in 1..10_u8 {
        world.sleep(due * 1.2 + 0.1);
        let probe = world.call(READ, &[DEAD, OK]);
        assert_eq!((probe.tried, probe.end, probe.cursor), (vec![0, 1], Ok(1), 1));
        due = (due * 2.0).min(300.0);
        let told = world.group.snapshot(world.now);
        assert_eq!((told.failed_probes, told.probes), (failed, failed.into()));
        let next = told.failback_in.expect("it is away").as_secs_f64();
        assert!((due - 0.001..=due * 1.2).contains(&next), "{next} instead of {due}");
    }
}

#[test]
fn failback_returns_at_most_once_per_interval_however_target_0_flaps() {
    let mut world = World::new(2, Policy::default());
    let mut returns: Vec<Timestamp> = vec![];
    for _ in 0..10_000 {
        world.sleep(0.7);
        let before = world.group.sticky();
        // Target 0 works when it is probed, and fails as soon as it has been chosen.
        let trace = if before == 1 { world.call(READ, &[OK]) } else { world.call(READ, &[UNCLEAR, OK]) };
        if (before, trace.cursor) == (1, 0) {
            returns.push(world.now);
        }
    }
    assert!(returns.len() > 100, "{}", returns.len());
    assert!(returns.windows(2).all(|pair| pair[1].since(pair[0]) >= seconds(30.0)));
}

#[test]
fn failback_moves_among_the_others_do_not_restart_the_clock() {
    let mut world = World::new(3, Policy::default());
    assert_eq!(world.call(READ, &[UNCLEAR, OK]).cursor, 1);
    world.sleep(25.0);
    assert_eq!(world.call(READ, &[UNCLEAR, OK]).cursor, 2);
    world.sleep(11.1);
    assert_eq!(world.call(READ, &[OK]).tried, [0]);
}

#[test]
fn not_well_a_500_is_no_recovery() {
    for code in 100..=999 {
        let mut world = away();
        world.sleep(40.0);
        let trace = world.call(READ, &[Outcome::Status(code), OK]);
        if matches!(code, 421 | 425 | 501..=504) {
            assert_eq!((&trace.tried[..], trace.cursor), (&[0, 1][..], 1), "{code} gives up");
            continue;
        }
        let well = !matches!(code, 429 | 500..=599);
        assert_eq!((trace.end, trace.cursor), (Ok(0), usize::from(!well)), "{code} is passed on");
        assert_eq!(world.group.snapshot(world.now).failed_probes, u8::from(!well), "{code}");
        assert_eq!(world.call(READ, &[OK]).tried, [usize::from(!well)]);
    }
}

#[test]
fn not_well_a_500_clears_no_strikes() {
    let strikes = |code| {
        let world = World::new(2, Policy::default());
        let _ = world.call(READ, &[BUSY, OK]);
        world.group.prefer(0, world.now).expect("a target");
        let _ = world.call(READ, &[Outcome::Status(code)]);
        world.group.snapshot(world.now).targets[0].strikes
    };
    assert_eq!([200, 404, 429, 500, 599].map(strikes), [0, 0, 1, 1, 1]);
}

#[test]
fn broken_body_three_in_a_row_are_left_and_a_whole_one_between_them_forgives() {
    let world = World::new(2, Policy::default());
    let head = |world: &World| {
        let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) else {
            panic!("an answer")
        };
        (answer.target(), answer.body())
    };
    let strikes = |world: &World| world.group.snapshot(world.now).targets[0].strikes;
    for expected in [1, 2] {
        let (target, body) = head(&world);
        world.group.body_broke_off(body, world.now);
        assert_eq!((target, strikes(&world)), (0, expected), "what the head cleared is restored");
    }
    // The next one is whole.
    let _ = head(&world);
    assert_eq!(strikes(&world), 0);
    for _ in 0..2 {
        world.group.body_broke_off(head(&world).1, world.now);
    }
    assert_eq!(strikes(&world), 2);
    // Of answers that came at once, one cleared what the others find cleared, and each counts.
    let ((_, first), (_, second)) = (head(&world), head(&world));
    world.group.body_broke_off(second, world.now);
    assert_eq!(strikes(&world), 1);
    world.group.body_broke_off(first, world.now);
    assert_eq!((strikes(&world), head(&world).0), (4, 1), "it cools");
    world.group.body_broke_off(first, world.now);
    assert_eq!(strikes(&world), 4, "while it cools, nothing adds");
}

#[test]
fn broken_body_is_nobodys_concern_without_a_cool_down() {
    let world = World::new(2, plain());
    for _ in 0..9 {
        let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) else {
            panic!("an answer")
        };
        world.group.body_broke_off(answer.body(), world.now);
    }
    assert_eq!((world.group.snapshot(world.now).targets[0].strikes, world.begin(READ).index()), (0, 0));
}

#[test]
fn single_flight_one_call_at_a_time_probes() {
    let mut world = away();
    world.sleep(40.0);
    let first: Vec<usize> = (0..100).map(|_| world.begin(READ)).map(|call| call.index()).collect();
    assert_eq!(first, [0; 100], "each of these was dropped before the next began");
    let calls: Vec<_> = (0..100).map(|_| world.begin(READ)).collect();
    assert_eq!(calls.iter().filter(|call| call.index() == 0).count(), 1);
}

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

#[test]
fn single_flight_the_lease_outlasts_no_deadline() {
    let policy = Policy { attempt_timeout: Duration::MAX, deadline: Some(seconds(5.0)), ..Policy::default() };
    let mut world = World::new(2, policy);
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(40.0);
    let _stuck = world.begin(READ);
    world.sleep(4.999);
    assert_eq!(world.begin(READ).index(), 1);
    world.sleep(0.001);
    assert_eq!(world.begin(READ).index(), 0, "target 0 is not given up for good");
}

#[test]
fn single_flight_a_free_repeat_is_the_same_probe() {
    let mut world = away();
    world.sleep(40.0);
    let probe = world.begin(READ);
    let Action::Send(again) = report(probe, 0, STALE, None, world.now) else { panic!("it is repeated") };
    assert_eq!((again.index(), world.begin(READ).index()), (0, 1));
    let Action::Return(_) = report(again, 1, OK, None, world.now) else { panic!("an answer") };
    assert_eq!((world.group.sticky(), world.group.snapshot(world.now).probes), (0, 1));
}

#[test]
fn cancel_neutral_a_dropped_probe_frees_its_lease_and_blames_nobody() {
    let mut world = away();
    world.sleep(40.0);
    drop(world.begin(READ));
    assert_eq!(world.group.snapshot(world.now).failed_probes, 0);
    let Action::Fail(_) = report(world.begin(READ), 0, LOCAL, None, world.now) else { panic!("it stops") };
    assert_eq!(world.group.snapshot(world.now).failed_probes, 0, "nor does a local fault");
    assert_eq!(world.begin(READ).index(), 0);
}

#[test]
fn a_probe_never_uses_up_the_attempts_of_its_call() {
    for most in 1..=2 {
        let mut world = World::new(3, Policy { max_attempts: Some(most), ..Policy::default() });
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(40.0);
        let answered = world.by_target(READ, |target| if target == usize::from(most) { OK } else { UNCLEAR });
        assert_eq!(answered.end, Ok(usize::from(most)), "as without the probe");
    }
}

// Cool-down

#[test]
fn a_target_that_fails_cools_down_is_tried_last_and_has_its_place_back() {
    let mut world = World::new(3, Policy { failback: None, ..Policy::default() });
    let mut cooling: f64 = 5.0;
    for strikes in 3..12_u8 {
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
        let told = world.group.snapshot(world.now).targets[0].clone();
        assert_eq!(
            (told.strikes, told.last_failure),
            (strikes, Some(Cause::Error(Evidence::NoConnection, ())))
        );
        let left = told.cooling.expect("it cools").as_secs_f64();
        assert!((cooling - 0.001..=cooling * 1.2).contains(&left), "{left} instead of {cooling}");
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.call(READ, &[DEAD, DEAD, OK]).tried, [1, 2, 0], "last, but tried");
        world.group.prefer(0, world.now).expect("a target");
        world.sleep(cooling * 1.2 + 0.1);
        assert_eq!(world.begin(READ).index(), 0);
        // The answer has cleared the mark: bring it back to where it was.
        for _ in 0..=strikes - 3 {
            assert_eq!(world.call(READ, &[DEAD, OK]).end, Ok(1));
            world.group.prefer(0, world.now).expect("a target");
            world.sleep(400.0);
        }
        cooling = (cooling * 2.0).min(300.0);
    }
}

#[test]
fn two_answers_without_connection_trouble_are_no_cool_down() {
    let world = World::new(2, Policy { failback: None, ..Policy::default() });
    for strikes in 1..=3 {
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.call(READ, &[BUSY, OK]).tried, [0, 1]);
        assert_eq!(world.group.snapshot(world.now).targets[0].cooling.is_some(), strikes == 3);
    }
}

#[test]
fn poison_a_request_that_fails_everywhere_marks_nobody() {
    let world = World::new(3, Policy::default());
    for _ in 0..60 {
        let poison = world.call(READ, &[UNCLEAR; 3]);
        assert_eq!((poison.end, poison.cursor), (Err(Reason::TargetsTried), 0));
    }
    let told = world.group.snapshot(world.now);
    assert!(told.targets.iter().all(|target| target.strikes == 0 && target.cooling.is_none()));
}

#[test]
fn per_attempt_every_failure_of_a_call_is_booked() {
    let world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, BUSY, UNCLEAR, OK]).end, Ok(3));
    let strikes: Vec<u8> =
        world.group.snapshot(world.now).targets.iter().map(|target| target.strikes).collect();
    assert_eq!(strikes, [3, 1, 1, 0]);
}

#[test]
fn concurrent_failures_at_the_same_mark_count_once() {
    let world = World::new(2, Policy::default());
    let calls: Vec<_> = (0..50).map(|_| world.begin(READ)).collect();
    for call in calls {
        let Action::Send(call) = report(call, 0, UNCLEAR, None, world.now) else { panic!("it goes on") };
        let Action::Return(_) = report(call, 1, OK, None, world.now) else { panic!("an answer") };
    }
    assert_eq!(world.group.snapshot(world.now).targets[0].strikes, 1);
}

#[test]
fn saturating_strikes_stop_at_the_largest() {
    let mut world = World::new(2, Policy { failback: None, ..Policy::default() });
    for _ in 0..300 {
        world.group.prefer(0, world.now).expect("a target");
        world.sleep(400.0);
        assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    }
    assert_eq!(world.group.snapshot(world.now).targets[0].strikes, 255);
}

// Retry-After

#[test]
fn retry_after_capped_it_cools_the_target_for_at_most_the_knob() {
    for (asked, cooled) in [(0.0, None), (7.0, Some(7.0)), (4_000.0, Some(300.0)), (1e18, Some(300.0))] {
        let world = World::new(2, Policy { failback: None, ..Policy::default() });
        let asked = Some(seconds(asked));
        let Action::Send(second) = report(world.begin(READ), 0, BUSY, asked, world.now) else {
            panic!("there is no pause within a round")
        };
        let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
        let left = world.group.snapshot(world.now).targets[0].cooling.map(|left| left.as_secs_f64().round());
        assert_eq!(left, cooled);
    }
}

#[test]
fn a_cool_down_is_over_at_the_moment_at_which_it_ends() {
    let mut world = World::new(3, Policy { failback: None, ..Policy::default() });
    let asked = Some(seconds(7.0));
    let Action::Send(second) = report(world.begin(READ), 0, BUSY, asked, world.now) else {
        panic!("it goes on")
    };
    let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
    world.group.prefer(2, world.now).expect("a target");
    world.sleep(6.0);
    assert_eq!(world.call(READ, &[UNCLEAR; 3]).tried, [2, 1, 0]);
    world.sleep(1.0);
    assert_eq!(world.call(READ, &[UNCLEAR; 3]).tried, [2, 0, 1]);
}

#[test]
fn retry_after_capped_a_pause_between_rounds_is_at_most_ten_seconds() {
    for (asked, least, most) in [(2, 2.0, 2.0), (3_600, 10.0, 10.0)] {
        let world = World::new(1, Policy { rounds: 2, ..Policy::default() });
        let asked = Some(Duration::from_secs(asked));
        let Action::Wait(wait) = report(world.begin(READ), 0, BUSY, asked, world.now) else {
            panic!("a pause")
        };
        assert!((seconds(least)..=seconds(most)).contains(&wait.pause()), "{:?}", wait.pause());
    }
    let ignored = Policy { rounds: 2, retry_after: None, ..Policy::default() };
    let world = World::new(1, ignored);
    let pause = match report(world.begin(READ), 0, BUSY, Some(seconds(9.0)), world.now) {
        Action::Wait(wait) => wait.pause(),
        _ => Duration::ZERO,
    };
    assert!(pause <= Duration::from_millis(25));
}

// Rounds

#[test]
fn rounds_try_every_target_again_after_a_backoff() {
    let policy = Policy { rounds: 3, interval: Duration::from_millis(1), ..plain() };
    let trace = World::new(2, policy).call(READ, &[UNCLEAR; 6]);
    assert_eq!(trace.tried, [0, 1, 0, 1, 0, 1]);
    assert_eq!((trace.pauses, trace.end), (vec![1, 2, 3, 4, 5], Err(Reason::TargetsTried)));
}

#[test]
fn herd_jitter_follows_the_seed_and_only_lengthens() {
    let clock = |seed| {
        let world = World::new(2, Policy { seed, ..Policy::default() });
        world.group.prefer(1, world.now).expect("a target");
        world.group.snapshot(world.now).failback_in.expect("it is away")
    };
    let drawn: Vec<Duration> = (1..=200).map(clock).collect();
    assert_eq!(drawn, (1..=200).map(clock).collect::<Vec<_>>(), "same seed, same trace");
    assert!(drawn.iter().all(|clock| (seconds(29.999)..=seconds(36.0)).contains(clock)));
    for sixth in 0..6 {
        let (least, most) = (seconds(30.0 + f64::from(sixth)), seconds(31.0 + f64::from(sixth)));
        assert!(
            drawn.iter().filter(|clock| (least..most).contains(clock)).count() > 10,
            "spread over {least:?}"
        );
    }
}

// Identity

#[test]
fn identity_targets_keep_what_is_known_of_them_when_the_list_changes() {
    let world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, BUSY, OK]).cursor, 2);
    let told = |list: &[usize]| {
        let group = world
            .group
            .with_targets(list.iter().copied(), Policy::default(), PartialEq::eq)
            .expect("a valid group");
        let strikes: Vec<u8> =
            group.snapshot(world.now).targets.iter().map(|target| target.strikes).collect();
        (group.targets()[group.sticky()], strikes)
    };
    assert_eq!(told(&[0, 1, 2, 3]), (2, vec![3, 1, 0, 0]));
    assert_eq!(told(&[3, 2, 1, 0]), (2, vec![0, 0, 1, 3]));
    assert_eq!(told(&[0, 9, 1, 3]), (3, vec![3, 0, 1, 0]), "the first survivor after the one that is gone");
    assert_eq!(told(&[8, 0, 1]), (8, vec![0, 3, 1]), "no survivor after it");
    assert!(world.group.with_targets([], Policy::default(), PartialEq::eq).is_err());
}

#[test]
fn identity_of_equal_targets_the_nth_is_the_nth() {
    let world = World::new(1, Policy::default());
    let group = world.group.with_targets([0, 0, 0], Policy::default(), PartialEq::eq).expect("a valid group");
    group.prefer(1, world.now).expect("a target");
    let group = group.with_targets([5, 0, 0], Policy::default(), PartialEq::eq).expect("a valid group");
    assert_eq!(group.sticky(), 2);
}

#[test]
fn identity_what_a_new_policy_no_longer_has_is_forgotten() {
    let world = World::new(2, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world.group.prefer(0, world.now).expect("a target");
    let with = |policy| world.group.with_targets([0, 1], policy, PartialEq::eq).expect("a valid group");
    let cools = |group: &Group<usize>| group.snapshot(world.now).targets[0].cooling.is_some();
    assert!(cools(&with(Policy::default())));
    let group = with(Policy { cool_down: None, ..Policy::default() });
    assert!(!cools(&group));
    assert_eq!(first(group.begin::<usize, Outcome>(facts(READ), world.now)).index(), 0);
}

#[test]
fn identity_failback_is_due_at_once_if_target_0_is_another() {
    let mut world = World::new(3, Policy::default());
    world.group.prefer(1, world.now).expect("a target");
    let changed = |list: [usize; 3]| {
        let group = world.group.with_targets(list, Policy::default(), PartialEq::eq).expect("a valid group");
        first(group.begin::<usize, Outcome>(facts(READ), world.now)).index()
    };
    assert_eq!(changed([0, 1, 9]), 1, "the clock runs on");
    assert_eq!(changed([9, 1, 0]), 0, "a new one is tried");
    world.sleep(40.0);
    assert_eq!(world.begin(READ).index(), 0);
}

#[test]
fn handle_pin_a_call_finishes_on_the_list_that_it_began_with() {
    let world = World::new(2, Policy::default());
    let call = world.begin(READ);
    let group = world.group.with_targets([7, 8], Policy::default(), PartialEq::eq).expect("a valid group");
    let Action::Send(second) = report(call, 0, DEAD, None, world.now) else { panic!("it goes on") };
    assert_eq!(*second.target(), 1);
    let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
    assert_eq!((world.group.sticky(), group.sticky()), (1, 0));
    assert_eq!(group.snapshot(world.now).targets[0].strikes, 0);
}

// Load

#[test]
fn budget_exact_replays_are_a_part_of_the_calls_and_a_reserve() {
    let budget = Some(Budget { percent: 20, reserve: 3 });
    let mut world = World::new(2, Policy { budget, ..plain() });
    let replays = |world: &World, calls: usize| {
        let traces = (0..calls).map(|_| {
            world.group.prefer(0, world.now).expect("a target");
            world.call(READ, &[UNCLEAR, OK])
        });
        traces.filter(|trace| trace.end.is_ok()).count()
    };
    assert_eq!(replays(&world, 100), 23, "20 % of 100, and 3");
    world.sleep(10.0);
    assert_eq!(replays(&world, 10), 10, "the busier of this window and the last counts");
    assert_eq!(replays(&world, 100), 13 + 2, "20 % of 110, and 3, less 10");
    world.sleep(20.0);
    assert_eq!(replays(&world, 1), 1);
    assert_eq!(replays(&world, 9), 4, "20 % of 10, and 3, less 1: nothing is left of an older window");
    world.sleep(10.0 * 1024.0);
    assert_eq!(
        world.call(READ, &[UNCLEAR]).end,
        Err(Reason::Budget),
        "the number of the window wraps after 1024"
    );
}

#[test]
fn budget_exact_time_that_goes_backwards_grants_nothing_new() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    let mut world = World::new(2, Policy { budget, ..plain() });
    for (time, granted) in [(5_000.0, true), (4_999.0, false), (4_991.0, false), (5_010.0, true)] {
        world.now = at(time);
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.by_target(READ, |target| [UNCLEAR, OK][target]).end.is_ok(), granted, "at {time}");
    }
}

#[test]
fn idle_the_budget_is_exact_after_any_pause_but_a_whole_turn_of_its_windows() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    for windows in (2..40_000_u32).filter(|windows| !matches!(windows % 1024, 0 | 1 | 1023)).step_by(97) {
        let mut world = World::new(2, Policy { budget, ..plain() });
        let replayed = |world: &World| {
            world.group.prefer(0, world.now).expect("a target");
            world.by_target(READ, |target| [UNCLEAR, OK][target]).end.is_ok()
        };
        assert_eq!([replayed(&world), replayed(&world)], [true, false]);
        world.sleep(10.0 * f64::from(windows));
        assert_eq!([replayed(&world), replayed(&world)], [true, false], "after {windows} windows");
    }
}

#[test]
fn budget_exact_what_needs_no_proof_is_exempt() {
    let budget = Some(Budget { percent: 0, reserve: 0 });
    let mut world = World::new(3, Policy { budget, cool_down: None, ..Policy::default() });
    assert_eq!(world.call(READ, &[UNCLEAR]).end, Err(Reason::Budget));
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.call(READ, &[DEAD, REFUSED, OK]).end, Ok(2));
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.call(READ, &[STALE, OK]).end, Ok(0), "the free repeat");
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(40.0);
    let probe = world.call(READ, &[UNCLEAR, OK]);
    assert_eq!((probe.tried, probe.end), (vec![0, 1], Ok(1)), "the replay after a failed probe");
}

#[test]
fn budget_exact_the_count_of_calls_stands_still_where_it_ends() {
    let budget = Some(Budget { percent: 1, reserve: 0 });
    let world = World::new(2, Policy { budget, ..plain() });
    for _ in 0..(1 << 18) + 1_000 {
        drop(world.begin(READ));
    }
    let mut granted = 0;
    while world.call(READ, &[UNCLEAR, OK]).end.is_ok() {
        world.group.prefer(0, world.now).expect("a target");
        granted += 1;
    }
    assert_eq!(granted, ((1 << 18) - 1) / 100);
}

// Traps of a first design

#[test]
fn a_target_that_always_refuses_does_not_cost_every_call_an_attempt_for_ever() {
    for refusal in [REFUSED, Outcome::Status(421)] {
        let mut world = World::new(2, Policy::default());
        let mut attempts = 0;
        for _ in 0..1_000 {
            attempts += world.by_target(WRITE, |target| if target == 0 { refusal } else { OK }).tried.len();
            world.sleep(0.01);
        }
        assert!(attempts <= 1_010, "{attempts} attempts for 1,000 calls");
    }
}

#[test]
fn sixty_posts_that_every_target_answers_with_501_move_nothing() {
    let world = World::new(3, Policy::default());
    for _ in 0..60 {
        let trace = world.call(WRITE, &[Outcome::Status(501); 3]);
        assert_eq!((trace.end, trace.cursor), (Err(Reason::TargetsTried), 0));
    }
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

#[test]
fn a_thousand_reads_in_flight_when_the_first_target_hangs_are_all_answered() {
    let mut world = World::new(2, Policy::default());
    let calls: Vec<_> = (0..1_000).map(|_| world.begin(READ)).collect();
    world.sleep(10.0);
    for call in calls {
        assert_eq!(call.index(), 0);
        let Action::Send(call) = report(call, 0, UNCLEAR, None, world.now) else { panic!("it goes on") };
        let Action::Return(answer) = report(call, 1, OK, None, world.now) else { panic!("an answer") };
        assert_eq!(answer.target(), 1);
    }
}

#[test]
fn a_probe_of_a_write_is_the_last_resort() {
    let mut world = away();
    world.sleep(40.0);
    assert_eq!(world.begin(WRITE).index(), 1);
    assert_eq!(world.begin(READ).index(), 0);
    world.sleep(40.0);
    assert_eq!(world.begin(WRITE).index(), 0);
}

#[test]
fn cool_downs_can_be_shorter_than_the_wait_for_a_probe_and_the_other_way_round() {
    let policy = Policy {
        failback: Some(Failback { after: seconds(1.0), max: seconds(1.0) }),
        cool_down: Some(CoolDown { strikes: 1, base: seconds(60.0), max: seconds(60.0) }),
        failover_codes: codes("5xx"),
        ..Policy::default()
    };
    let mut world = World::new(2, policy);
    assert_eq!(world.call(READ, &[BUSY, OK]).cursor, 1);
    world.sleep(1.3);
    let Trace { tried, cursor, .. } = world.call(READ, &[OK]);
    assert_eq!((tried, cursor), (vec![0], 0), "a probe goes to target 0 although it cools");
    assert!(world.group.snapshot(world.now).targets[0].cooling.is_none(), "an answer clears the mark");
}

// Helpers

/// A group of three whose cursor has just left target 0 by an ambiguous failure.
fn away() -> World {
    let world = World::new(3, Policy::default());
    assert_eq!(world.call(READ, &[UNCLEAR, OK]).cursor, 1);
    world
}

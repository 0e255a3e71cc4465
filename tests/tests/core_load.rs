//! The requirements on load: rounds, jitter and the budget, each a test with its name.

use std::time::Duration;

use failover_core::{Action, Budget, Evidence, Facts, Group, Policy, Reason};
use failover_tests::world::{DEAD, OK, READ, REFUSED, STALE, UNCLEAR, World, at, first, plain, seconds};
use http::{HeaderMap, Method};

#[test]
fn rounds_try_every_target_again_after_a_backoff() {
    let policy = plain().rounds(3).interval(Duration::from_millis(1));
    let trace = World::new(2, policy).call(READ, &[UNCLEAR; 6]);
    assert_eq!(trace.tried, [0, 1, 0, 1, 0, 1]);
    assert_eq!((trace.pauses, trace.end), (vec![1, 2, 3, 4, 5], Err(Reason::TargetsTried)));
}

/// Guards: `Jitter::lengthen` by more than a fifth; `Jitter::up_to` that does not follow the seed.
#[test]
fn herd_jitter_follows_the_seed_and_only_lengthens() {
    let clock = |seed| {
        let world = World::new(2, Policy::default().seed(seed));
        world.group.prefer(1, world.now).expect("a target");
        world.group.snapshot(world.now).targets[0].probe_in.expect("it is away")
    };
    let drawn: Vec<Duration> = (1..=200).map(clock).collect();
    assert_eq!(drawn, (1..=200).map(clock).collect::<Vec<_>>(), "same seed, same trace");
    assert!(drawn.iter().all(|clock| (seconds(29.999)..=seconds(36.0)).contains(clock)));
    for sixth in 0..6 {
        let (least, most) = (seconds(30.0 + f64::from(sixth)), seconds(31.0 + f64::from(sixth)));
        assert!(
            drawn.iter().filter(|clock| (least..most).contains(*clock)).count() > 10,
            "spread over {least:?}"
        );
    }
}

/// Guards: a wait that is spread although jitter is off.
#[test]
fn herd_without_jitter_waits_are_as_they_are_set() {
    for seed in 1..=20 {
        let world = World::new(2, Policy::default().jitter(false).seed(seed));
        world.group.prefer(1, world.now).expect("a target");
        let probe_in = world.group.snapshot(world.now).targets[0].probe_in;
        assert_eq!(probe_in, Some(seconds(30.0)));
        let group = Group::new(["a"], plain().rounds(2).jitter(false).seed(seed)).expect("a group");
        let attempt = first(group.begin::<(), _>(Facts::of(&Method::GET, &HeaderMap::new()), at(0.0)));
        let Action::Wait(wait) = attempt.handle_error(Evidence::MaybeProcessed, (), at(0.0)) else {
            panic!("there is another round")
        };
        assert_eq!(wait.pause(), seconds(0.025));
    }
}

/// Guards: `Budget::allows` that grants one more.
#[test]
fn budget_exact_replays_are_a_part_of_the_calls_and_a_reserve() {
    let budget = Some(Budget { percent: 20, reserve: 3 });
    let mut world = World::new(2, plain().budget(budget));
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
}

/// Guards: `Window::at` that begins a window anew which is over.
#[test]
fn budget_exact_time_that_goes_backwards_grants_nothing_new() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    let mut world = World::new(2, plain().budget(budget));
    for (time, granted) in [(5_000.0, true), (4_999.0, false), (4_991.0, false), (5_010.0, true)] {
        world.now = at(time);
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.by_target(READ, |target| [UNCLEAR, OK][target]).end.is_ok(), granted, "at {time}");
    }
}

/// Guards: `Spent::enter_era` that forgets nothing after a pause that its windows' numbers do not show; `Window::at` that takes
/// a long pause for time that goes backwards.
#[test]
fn idle_the_budget_is_exact_after_a_pause_of_any_length() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    let pauses = (1..=4_u32).flat_map(|turns| (0..6).map(move |more| turns * 1024 - 3 + more));
    let pauses: Vec<u32> = pauses.chain((1..40_000).step_by(97)).chain([1_000_000, 184_467_440]).collect();
    for first in [0, 1, 2, 511, 1022, 1023, 1024, 1025, 178_000_000] {
        for &windows in &pauses {
            let group = World::new(2, plain().budget(budget)).group;
            let mut world = World { group, now: at(10.0 * f64::from(first)) };
            assert_eq!([replayed(&world), replayed(&world)], [true, false]);
            world.sleep(10.0 * f64::from(windows));
            assert_eq!(
                [replayed(&world), replayed(&world)],
                [true, false],
                "{windows} windows after {first}"
            );
        }
    }
}

/// Guards: `Window::at` that takes the calls of the last window for none, or those of an older one for its.
#[test]
fn budget_exact_the_last_window_counts_and_no_older_one() {
    let budget = Some(Budget { percent: 50, reserve: 0 });
    let (half_of_seven, half_of_own) = ([true, true, true, false, false], [false, true, false, true, false]);
    for first in [0_u32, 1, 1022, 1023, 1024, 2047, 5000] {
        for (later, granted) in [(0, [true; 5]), (1, half_of_seven)]
            .into_iter()
            .chain([2, 3, 1022, 1023, 1024, 1025, 2047, 2048].map(|later| (later, half_of_own)))
        {
            let group = World::new(2, plain().budget(budget)).group;
            let mut world = World { group, now: at(10.0 * f64::from(first)) };
            (0..7).for_each(|_| drop(world.begin(READ)));
            world.sleep(10.0 * f64::from(later));
            assert_eq!([(); 5].map(|()| replayed(&world)), granted, "{later} windows after {first}");
        }
    }
}

/// Guards: `Spent::enter_era` that forgets what is of the last window, or time that goes backwards over the boundary.
#[test]
fn budget_exact_calls_go_on_across_the_boundary_of_an_era() {
    let budget = Some(Budget { percent: 10, reserve: 2 });
    let group = World::new(2, plain().budget(budget)).group;
    let mut world = World { group, now: at(0.0) };
    let granted = |world: &World| (0..100).filter(|_| replayed(world)).count();
    for window in 0..3_000_u32 {
        world.now = at(10.0 * f64::from(window));
        assert_eq!(granted(&world), 12, "window {window}");
        world.sleep(9.99);
        assert!(!replayed(&world), "at its end");
        if window > 0 {
            world.now = at(10.0 * f64::from(window) - 0.01);
            assert!(!replayed(&world), "a clock that is behind, in window {window}");
        }
    }
}

/// Guards: `Call::go_on` that takes a replay of the budget where no proof is needed, or after a probe.
#[test]
fn budget_exact_what_needs_no_proof_is_exempt() {
    let budget = Some(Budget { percent: 0, reserve: 0 });
    let mut world = World::new(3, Policy::default().budget(budget).cool_down(None));
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

/// Guards: `Spent::call` whose count runs over.
#[test]
fn budget_exact_the_count_of_calls_stands_still_where_it_ends() {
    let budget = Some(Budget { percent: 1, reserve: 0 });
    let world = World::new(2, plain().budget(budget));
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

/// Makes a call whose first attempt ends so that a replay needs the budget: whether it was granted.
fn replayed(world: &World) -> bool {
    world.call(READ, &[UNCLEAR, OK]).end.is_ok()
}

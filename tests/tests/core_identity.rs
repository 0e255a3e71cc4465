//! The requirements on a change of targets or policy, each a test with its name.

use failover_core::{Action, Budget, Group, Policy, Reason};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::Outcome;
use failover_tests::world::{BUSY, DEAD, OK, READ, UNCLEAR, World, entries, first, plain, seconds};

/// Guards: `Group::with_targets` that takes what is known by place instead of by name.
#[test]
fn identity_targets_keep_what_is_known_of_them_when_the_list_changes() {
    let world = World::new(4, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, BUSY, OK]).cursor, 2);
    let told = |list: &[usize]| {
        let group = world
            .group
            .with_targets(entries(list.iter().copied()), Policy::default())
            .expect("a valid group");
        let strikes: Vec<u8> =
            group.snapshot(world.now).targets.iter().map(|target| target.strikes).collect();
        (group.targets()[group.sticky()], strikes)
    };
    assert_eq!(told(&[0, 1, 2, 3]), (2, vec![3, 1, 0, 0]));
    assert_eq!(told(&[3, 2, 1, 0]), (2, vec![0, 0, 1, 3]));
    assert_eq!(told(&[0, 9, 1, 3]), (3, vec![3, 0, 1, 0]), "the first survivor after the one that is gone");
    assert_eq!(told(&[8, 0, 1]), (8, vec![0, 3, 1]), "no survivor after it");
    assert!(world.group.with_targets(entries([]), Policy::default()).is_err());
}

/// Guards: `Entry::names` that gives the second of a name the name itself.
#[test]
fn identity_of_equal_targets_the_nth_is_the_nth() {
    let world = World::new(1, Policy::default());
    let group = world.group.with_targets(entries([0, 0, 0]), Policy::default()).expect("a valid group");
    group.prefer(1, world.now).expect("a target");
    let group = group.with_targets(entries([5, 0, 0]), Policy::default()).expect("a valid group");
    assert_eq!(group.sticky(), 2);
}

/// Guards: `Health::copied` that keeps a cool-down where there is none any more.
#[test]
fn identity_what_a_new_policy_no_longer_has_is_forgotten() {
    let world = World::new(2, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world.group.prefer(0, world.now).expect("a target");
    let with = |policy| world.group.with_targets(entries([0, 1]), policy).expect("a valid group");
    let cools = |group: &Group<usize>| group.snapshot(world.now).targets[0].cooling.is_some();
    assert!(cools(&with(Policy::default())));
    let group = with(Policy::default().cool_down(None));
    assert!(!cools(&group));
    assert_eq!(first(group.begin::<usize, Outcome>(facts(READ), world.now)).index(), 0);
}

/// Guards: `Group::with_targets` that keeps clocks which no policy reads.
#[test]
fn identity_what_failback_knew_is_forgotten_with_it() {
    let mut world = World::new(2, Policy::default());
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(40.0);
    assert_eq!(world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    let clock = |group: &Group<usize>| {
        let told = &group.snapshot(world.now).targets[0];
        (told.probe_in, told.failed_probes)
    };
    let with = |group: &Group<usize>, policy| group.with_targets(entries([0, 1]), policy).expect("a group");
    let before = clock(&world.group);
    assert_eq!(before.1, 1);
    assert_eq!(clock(&with(&world.group, Policy::default())), before, "it is kept with it");
    let off = with(&world.group, Policy::default().failback(None));
    assert_eq!(clock(&off), (None, 0));
    assert_eq!(clock(&with(&off, Policy::default())), (Some(seconds(0.0)), 0));
}

/// Guards: `Group::with_targets` that takes the clock of a target that stood in the place of a new one.
#[test]
fn identity_failback_is_due_at_once_if_target_0_is_another() {
    let mut world = World::new(3, Policy::default());
    world.group.prefer(1, world.now).expect("a target");
    let changed = |list: [usize; 3]| {
        let group = world.group.with_targets(entries(list), Policy::default()).expect("a valid group");
        first(group.begin::<usize, Outcome>(facts(READ), world.now)).index()
    };
    assert_eq!(changed([0, 1, 9]), 1, "the clock runs on");
    assert_eq!(changed([9, 1, 0]), 0, "a new one is tried");
    world.sleep(40.0);
    assert_eq!(world.begin(READ).index(), 0);
}

/// Guards: `Health::copied` that forgets strikes, `usual` or the last failure with a list that changed.
#[test]
fn identity_all_that_is_known_of_a_target_goes_where_it_goes() {
    let mut world = World::new(3, Policy::default());
    for _ in 0..8 {
        assert_eq!(world.answered(0.5), 0);
    }
    assert_eq!(world.call(READ, &[DEAD, BUSY, OK]).tried, [0, 1, 2]);
    world.group.prefer(2, world.now).expect("a target");
    let before = world.group.snapshot(world.now);
    assert_eq!(before.targets[0].usual, Some(seconds(0.5)));
    let group = world.group.with_targets(entries([0, 1, 9, 2]), Policy::default()).expect("a group");
    let after = group.snapshot(world.now);
    assert_eq!(after.targets[..2], before.targets[..2]);
    assert_eq!((after.targets[3].clone(), after.sticky), (before.targets[2].clone(), 3));
    assert_eq!((after.targets[2].last_failure, after.targets[2].strikes, after.probes), (None, 0, 0));
}

/// Guards: `Group::assemble` that begins with an empty window.
#[test]
fn identity_the_budget_is_kept() {
    let budget = Some(Budget { percent: 0, reserve: 1 });
    let world = World::new(2, plain().budget(budget));
    assert_eq!(world.call(READ, &[UNCLEAR, OK]).end, Ok(1));
    let policy = plain().budget(budget);
    let group = world.group.with_targets(entries([0, 1]), policy).expect("a valid group");
    let trace = World { group, now: world.now }.by_target(READ, |target| [UNCLEAR, OK][target]);
    assert_eq!(trace.end, Err(Reason::Budget), "the window's one replay was spent before");
}

/// Guards: `Health::is_to_be_left` that is asked with the old policy's number.
#[test]
fn identity_strikes_are_judged_by_the_new_policy() {
    let world = World::new(2, Policy::default().leave_after(5));
    for _ in 0..4 {
        assert_eq!(world.call(READ, &[UNCLEAR, OK]).cursor, 0);
    }
    let group = world.group.with_targets(entries([0, 1]), Policy::default()).expect("a valid group");
    let world = World { group, now: world.now };
    let slow = world.begin(READ);
    assert_eq!((slow.index(), world.cooling(0)), (0, 0.0));
    assert_eq!(world.returned(world.went_on(slow, BUSY), OK), 1);
    assert_eq!((world.strikes()[0], world.group.sticky()), (5, 1));
}

#[test]
fn handle_pin_a_call_finishes_on_the_list_that_it_began_with() {
    let world = World::new(2, Policy::default());
    let call = world.begin(READ);
    let group = world.group.with_targets(entries([7, 8]), Policy::default()).expect("a valid group");
    let Action::Send(second) = report(call, 0, DEAD, None, world.now) else { panic!("it goes on") };
    assert_eq!(*second.target(), 1);
    let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
    assert_eq!((world.group.sticky(), group.sticky()), (1, 0));
    assert_eq!(group.snapshot(world.now).targets[0].strikes, 0);
}

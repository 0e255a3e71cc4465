//! What a group remembers, read out and in again: each rule a test with its name.

use failover_core::{
    AdminState, CheckNext, CheckState, Checks, CoolDown, Entry, Evidence, Failback, Group, Policy, Snapshot,
};
use failover_tests::world::{BUSY, DEAD, OK, READ, UNCLEAR, WRITE, World, at, entries, plain, seconds};
use serde_json::{Value, json};

/// Guards: `Group::restore` that leaves out a part of what is told.
#[test]
fn identity_a_group_that_takes_a_snapshot_in_tells_the_same() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    assert_eq!(snapshot.sticky, 2);
    let told = |target: usize| {
        let target = &snapshot.targets[target];
        (
            target.strikes,
            target.cooling.is_some(),
            target.usual.is_some(),
            target.probe_in.is_some(),
            target.failed_probes,
        )
    };
    assert_eq!(
        [told(0), told(1), told(2), told(3)],
        [
            (4, true, true, true, 1),
            (1, false, false, true, 0),
            (0, false, false, false, 0),
            (0, false, false, false, 0),
        ]
    );
    // Another process has another origin.
    for now in [0.0, 77.0, 1.8e9].map(at) {
        let new = World { group: Group::of(entries(0..4), Policy::default()).expect("a group"), now };
        new.group.restore(&snapshot, now);
        let restored = new.group.snapshot(now);
        assert_alike(&restored, &snapshot);
        assert_eq!((restored.sticky, restored.probes), (2, 0), "the probes are those of this group");
    }
}

/// Guards: `Group::restore` that goes by place; one that moves the cursor to the same number.
#[test]
fn identity_a_snapshot_is_taken_in_by_name() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 9, 2, 0]] {
        let group = named(order);
        group.restore(&snapshot, old.now);
        let restored = group.snapshot(old.now);
        assert_eq!(order[restored.sticky], 2, "{order:?}");
        for (place, target) in order.into_iter().enumerate() {
            let new = &restored.targets[place];
            let Some(known) = snapshot.targets.get(target) else {
                assert_eq!((new.strikes, new.usual, &new.last_failure), (0, None, &None), "9 is another");
                continue;
            };
            assert_eq!((&new.name, new.strikes, new.state), (&known.name, known.strikes, known.state));
            assert_eq!((new.usual, &new.last_failure), (known.usual, &known.last_failure));
            assert_eq!(new.cooling.is_some(), known.cooling.is_some());
            if place < restored.sticky && known.probe_in.is_some() {
                assert_eq!((new.probe_in.is_some(), new.failed_probes), (true, known.failed_probes));
            }
        }
    }
}

/// Guards: `Group::restore` that begins at target 0 where the sticky one is gone.
#[test]
fn identity_what_is_not_there_is_left_alone() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    let mut world = World { group: named([7, 8, 3]), now: old.now };
    for _ in 0..8 {
        assert_eq!(world.answered(0.5), 0);
    }
    world.sleep(2.0);
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    world.group.set_state(0, AdminState::Drain).expect("a target");
    let before = world.group.snapshot(world.now);
    world.group.restore(&snapshot, world.now);
    let after = world.group.snapshot(world.now);
    assert_eq!((after.sticky, &after.targets[..2]), (1, &before.targets[..2]));
    let mut empty = snapshot.clone();
    empty.targets.clear();
    world.group.restore(&empty, world.now);
    assert_eq!(world.group.snapshot(world.now), after);
    // What is not known is not forgotten either.
    let mut unknown = before.clone();
    unknown.sticky = 99;
    for target in &mut unknown.targets {
        (target.usual, target.last_failure, target.probe_in) = (None, None, None);
    }
    world.group.restore(&unknown, world.now);
    let after = world.group.snapshot(world.now);
    assert_eq!((after.sticky, after.targets[0].usual), (1, before.targets[0].usual));
    assert_eq!(after.targets[0].last_failure, before.targets[0].last_failure);
    assert_eq!(after.targets[0].probe_in, before.targets[0].probe_in);
}

/// Guards: `Health::restore` by which a target cools under a policy without cool-down, or strikes are lost.
#[test]
fn identity_a_snapshot_is_judged_by_the_policy_that_takes_it_in() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    let restored = |policy: Policy| {
        let group = Group::of(entries(0..4), policy).expect("a group");
        group.restore(&snapshot, old.now);
        World { group, now: old.now }
    };
    let off = restored(Policy::default().cool_down(None));
    assert_eq!((off.strikes(), off.cooling(0)), (vec![4, 1, 0, 0], 0.0));
    off.group.prefer(0, off.now).expect("a target");
    assert_eq!(off.call(READ, &[UNCLEAR, OK]).tried, [0, 1], "nothing cools");
    assert_eq!(off.group.sticky(), 1, "but it had enough strikes");

    let mut off = restored(Policy::default().failback(None));
    assert!(off.group.snapshot(off.now).targets.iter().all(|target| target.probe_in.is_none()));
    off.sleep(10_000.0);
    assert_eq!((off.answered(0.01), off.group.sticky()), (2, 2), "it stays");

    let later = restored(Policy::default().leave_after(5));
    assert_eq!(
        (later.strikes(), later.cooling(0)),
        (vec![4, 1, 0, 0], 0.0),
        "it has too few strikes to cool"
    );
    let sooner = restored(Policy::default().leave_after(1));
    assert!(sooner.cooling(1) <= 0.0, "a cool-down that was not begun is not made up for");
    let long = restored(Policy::default().cool_down(CoolDown { base: seconds(60.0), max: seconds(60.0) }));
    assert!((old.cooling(0) - long.cooling(0)).abs() < 0.001, "what was begun runs on");
}

/// Guards: `Health::restore` whose marks read otherwise than those that calls wrote.
#[test]
fn identity_calls_go_on_as_they_would_have() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    let new = World { group: Group::of(entries(0..4), Policy::default()).expect("a group"), now: old.now };
    new.group.restore(&snapshot, new.now);
    for mut world in [old, new] {
        let probe = world.begin(READ);
        assert_eq!((probe.index(), probe.is_probe()), (1, true), "1 is due, 0 has failed");
        drop(world.went_on(probe, BUSY));
        let told = world.group.snapshot(world.now);
        assert_eq!((told.targets[1].strikes, told.targets[1].failed_probes), (2, 1));
        assert_eq!(world.call(READ, &[BUSY, BUSY, UNCLEAR, BUSY]).tried, [2, 3, 1, 0], "0 cools");
        assert_eq!(world.strikes(), [4, 3, 1, 1], "while it cools nothing adds");
        let left = told.targets[0].probe_in.expect("it is away");
        assert!((seconds(59.9)..=seconds(72.0)).contains(&left), "{left:?}");
        world.sleep(left.as_secs_f64() - 0.01);
        assert_ne!(world.begin(READ).index(), 0);
        world.sleep(1.1);
        assert_eq!((world.answered(0.5), world.group.sticky()), (0, 0));
        assert_eq!(world.strikes()[0], 0);
    }
}

/// Guards: `Pace::restore` that knows what is usual and does not use it.
#[test]
fn late_what_is_usual_is_known_after_a_restart() {
    let mut old =
        World { group: Group::of(entries(0..2), Policy::default()).expect("a group"), now: at(0.0) };
    for _ in 0..8 {
        assert_eq!(old.answered(0.5), 0);
    }
    let now = at(1e6);
    let new = World { group: Group::of(entries(0..2), Policy::default()).expect("a group"), now };
    assert_eq!(new.begin(WRITE).bound(), seconds(10.0));
    new.group.restore(&old.group.snapshot(old.now), now);
    assert_eq!(new.begin(WRITE).bound(), seconds(1.5));
    assert_eq!(new.group.snapshot(at(1e6 + 601.0)).targets[0].usual, None, "not for ever");
}

/// Guards: `Group::restore` that takes states or checks in as it should not.
#[test]
fn identity_states_are_taken_in_and_checks_are_not() {
    let policy = Policy::default().checks(Checks { fall: 1, ..Checks::at("/") });
    let old = Group::of(entries(0..3), policy.clone()).expect("a group");
    let (mut checker, mut now, mut asked) = (old.checker().expect("there are checks"), at(0.0), 0);
    while asked < 3 {
        match checker.next(now) {
            CheckNext::Ask(target) => {
                checker.report(target, Err(Evidence::MaybeProcessed));
                asked += 1;
            }
            CheckNext::Wait(time) => now = now + time,
        }
    }
    old.set_state(1, AdminState::Maintenance).expect("a target");
    let snapshot = old.snapshot(now);
    assert_eq!(snapshot.targets[0].check, Some(CheckState::Down));
    let new = Group::of(entries(0..3), policy).expect("a group");
    new.set_state(0, AdminState::Drain).expect("a target");
    new.restore(&snapshot, now);
    let told = new.snapshot(now).targets.into_iter().map(|target| (target.state, target.check));
    let unknown = Some(CheckState::Unknown);
    let (ready, maintenance) = (AdminState::Ready, AdminState::Maintenance);
    assert!(told.eq([(ready, unknown), (maintenance, unknown), (ready, unknown)]));
}

// As text

/// Guards: the serde of `Snapshot`: what is written as something else, or read as another one.
#[test]
fn identity_a_snapshot_goes_through_json_and_back() {
    let old = taught();
    let snapshot = old.group.snapshot(old.now);
    let json = serde_json::to_string(&snapshot).expect("JSON");
    assert_eq!(serde_json::from_str::<Snapshot>(&json).expect("a snapshot"), snapshot);
    let nothing = World::new(1, plain()).group.snapshot(at(0.0));
    let json = serde_json::to_value(&nothing).expect("JSON");
    assert_eq!(
        json,
        json!({
            "sticky": 0,
            "probes": 0,
            "targets": [{
                "name": "0",
                "state": "ready",
                "check": null,
                "cooling": null,
                "strikes": 0,
                "usual": null,
                "probe_in": null,
                "failed_probes": 0,
                "last_failure": null,
            }],
        })
    );
    for (state, name) in
        [(AdminState::Ready, "ready"), (AdminState::Drain, "drain"), (AdminState::Maintenance, "maintenance")]
    {
        let group = Group::of([Entry::new(0).state(state)], plain()).expect("a group");
        let told = serde_json::to_value(group.snapshot(at(0.0))).expect("JSON");
        assert_eq!(told["targets"][0]["state"], name);
        assert_eq!((state.as_str(), name.parse()), (name, Ok(state)));
    }
    let error = "Ready".parse::<AdminState>().expect_err("no state");
    assert_eq!(error.to_string(), "state = Ready: expected one of ready, drain, maintenance");
    for (state, name) in [
        (CheckState::Unknown, "unknown"),
        (CheckState::Up, "up"),
        (CheckState::Down, "down"),
        (CheckState::NoSuchPath, "no_such_path"),
    ] {
        assert_eq!(serde_json::to_value(state).expect("JSON"), name);
        assert_eq!(state.as_str(), name);
        assert_eq!(read(&changed("check", json!(name))).expect("a snapshot").targets[0].check, Some(state));
    }
    for evidence in Evidence::ALL {
        let told = read(&changed("last_failure", json!(evidence.as_str()))).expect("a snapshot");
        assert_eq!(
            serde_json::to_value(told).expect("JSON")["targets"][0]["last_failure"],
            evidence.as_str()
        );
    }
    for failure in [json!(100), json!(503), json!(999), json!("judged 100"), json!("judged 999")] {
        let told = read(&changed("last_failure", failure.clone())).expect("a snapshot");
        assert_eq!(serde_json::to_value(told).expect("JSON")["targets"][0]["last_failure"], failure);
    }
}

/// Guards: the serde of `Snapshot` that takes anything for a time, a state or a failure, or fails without saying what.
#[test]
fn rejected_json_that_is_no_snapshot_is_named() {
    let time = "a time in seconds must not be negative, and not be too long";
    let failure = "a last failure must be a status, one that was judged, or the name of an evidence";
    for (key, value, told) in [
        ("cooling", json!(-1.0), time),
        ("cooling", json!(1e300), time),
        ("usual", json!(-0.5), time),
        ("probe_in", json!("soon"), "invalid type: string \"soon\", expected f64"),
        ("last_failure", json!(99), failure),
        ("last_failure", json!(1000), failure),
        ("last_failure", json!("tired"), failure),
        (
            "state",
            json!("asleep"),
            "unknown variant `asleep`, expected one of `ready`, `drain`, `maintenance`",
        ),
        (
            "check",
            json!("fine"),
            "unknown variant `fine`, expected one of `unknown`, `up`, `down`, `no_such_path`",
        ),
        ("strikes", json!(256), "invalid value: integer `256`, expected u8"),
        ("name", json!(7), "invalid type: integer `7`, expected a string"),
    ] {
        let refused = read(&changed(key, value.clone())).expect_err(told).to_string();
        assert!(refused.starts_with(told), "{key} = {value}: {refused}");
    }
    let without = |key: &str| {
        let mut json = changed(key, Value::Null);
        json["targets"][0].as_object_mut().expect("an object").remove(key);
        read(&json)
    };
    let refused = without("name").expect_err("it is nobody's").to_string();
    assert!(refused.starts_with("missing field `name`"), "{refused}");
    for key in ["state", "check", "strikes", "cooling", "usual", "probe_in", "failed_probes", "last_failure"]
    {
        assert!(without(key).is_ok(), "an older process may not tell the {key}");
    }
}

/// Guards: `Group::restore` that panics, or does not end, by a snapshot that no group gave.
#[test]
fn saturating_any_numbers_can_be_taken_in() {
    for time in [0.0, 1e-9, 1e15] {
        for count in [0, 1, 255] {
            let mut json = changed("cooling", json!(time));
            let target = &mut json["targets"][0];
            (target["usual"], target["probe_in"]) = (json!(time), json!(time));
            (target["strikes"], target["failed_probes"]) = (json!(count), json!(count));
            json["sticky"] = json!(usize::MAX);
            let snapshot = read(&json).expect("a snapshot");
            for now in [0, 1, u64::MAX].map(failover_core::Timestamp::from_nanos) {
                let group = Group::of(entries(0..2), Policy::default()).expect("a group");
                group.prefer(1, now).expect("a target");
                group.restore(&snapshot, now);
                let told = group.snapshot(now);
                assert_eq!((told.sticky, told.targets[0].strikes), (1, count));
                let _ = World { group, now: at(5.0) }.by_target(READ, |target| [UNCLEAR, OK][target]);
            }
        }
    }
}

/// A group of four that knows something of each of its targets: 0 cools after a failed probe, 1 has a strike, 2 has the
/// cursor.
fn taught() -> World {
    let policy = Policy::default().failback(Failback::default()).seed(5);
    let mut world = World { group: Group::of(entries(0..4), policy).expect("a group"), now: at(0.0) };
    for _ in 0..8 {
        assert_eq!(world.answered(0.5), 0);
    }
    world.sleep(2.0);
    assert_eq!(world.call(READ, &[DEAD, BUSY, OK]).cursor, 2);
    world.sleep(36.0);
    let probe = world.begin(READ);
    assert_eq!((probe.index(), probe.is_probe()), (0, true));
    assert_eq!(world.returned(world.went_on(probe, DEAD), OK), 2);
    world
}

/// A group of targets that have these numbers for names.
fn named(names: impl IntoIterator<Item = usize>) -> Group<usize> {
    let list = (0..).zip(names).map(|(place, name)| Entry::new(place).known_as(name.to_string()));
    Group::of(list, Policy::default()).expect("a group")
}

/// The snapshot of a group of one in which a key has another value.
fn changed(key: &str, value: Value) -> Value {
    let mut json = serde_json::to_value(World::new(1, plain()).group.snapshot(at(0.0))).expect("JSON");
    json["targets"][0][key] = value;
    json
}

fn read(json: &Value) -> Result<Snapshot, serde_json::Error> {
    serde_json::from_str(&json.to_string())
}

/// That two snapshots are the same but for the grain of the marks.
fn assert_alike(one: &Snapshot, other: &Snapshot) {
    let (mut one, mut other) = (one.clone(), other.clone());
    for (one, other) in one.targets.iter_mut().zip(&mut other.targets) {
        for (one, other) in [(&mut one.cooling, &mut other.cooling), (&mut one.probe_in, &mut other.probe_in)]
        {
            if let Some((time, expected)) = one.as_mut().zip(*other) {
                assert!(time.abs_diff(expected) < seconds(0.000_001), "{time:?} and {expected:?}");
                *time = expected;
            }
        }
    }
    assert_eq!(one.targets, other.targets);
}

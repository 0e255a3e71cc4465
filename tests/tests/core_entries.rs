//! A target's entry: its name, its bounds, and what follows the name from list to list; each rule a test with its name.

use std::time::Duration;

use failover_core::{
    Action, BuildError, Config, Entry, Evidence, Expired, Facts, Group, Policy, Target, Timestamp,
};
use failover_tests::drive::facts;
use failover_tests::world::{
    BUSY, DEAD, OK, READ, UNCLEAR, WRITE, World, at, entries, first, plain, seconds,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

// Names

/// Guards: `Entry::names` that gives a name twice, counts from 0, or counts what has another name.
#[test]
fn identity_a_name_is_given_or_shared_or_its_place() {
    let place = || Entry::new(());
    let own = |name: &str| Entry::new(()).named(name);
    let common = |name: &str| Entry::new(()).known_as(name);
    for (list, names) in [
        (vec![place(), place(), place()], vec!["0", "1", "2"]),
        (vec![own("b"), place(), own("a")], vec!["b", "1", "a"]),
        (vec![common("x"), common("y"), common("x"), common("x")], vec!["x", "y", "x#2", "x#3"]),
        (vec![common("x").named("y"), common("x")], vec!["y", "x"]),
        (vec![own("y").known_as("x"), common("x")], vec!["x", "x#2"]),
    ] {
        let group = Group::of(list, Policy::default()).expect("a group");
        assert_eq!(group.names().iter().map(|name| &**name).collect::<Vec<_>>(), names);
        let told = group.snapshot(Timestamp::ORIGIN).targets.into_iter();
        assert_eq!(told.map(|target| target.name).collect::<Vec<_>>(), names);
    }
    let group = Group::new(["http://a", "http://a"], Policy::default()).expect("a group");
    assert_eq!(group.names(), ["0", "1"].map(Box::from), "equal targets are two places");
}

/// Guards: `Entry::names` that compares only names that were given.
#[test]
fn rejected_two_targets_of_one_name() {
    let place = || Entry::new(());
    let own = |name: &str| Entry::new(()).named(name);
    let common = |name: &str| Entry::new(()).known_as(name);
    for (list, error) in [
        (vec![own("a"), place(), own("a")], "targets[2].name = a"),
        (vec![own("1"), place()], "targets[1].name = 1"),
        (vec![own("a"), common("a")], "targets[1].name = a"),
        (vec![common("a"), own("a")], "targets[1].name = a"),
        (vec![own("a#2"), common("a"), common("a")], "targets[2].name = a#2"),
    ] {
        let refused = Group::of(list.clone(), Policy::default()).expect_err(error);
        assert_eq!(refused.to_string(), format!("{error}: expected a name that no other has"));
        let (key, name) = error.split_once(" = ").expect("a key and a name");
        assert_eq!((refused.key(), refused.value()), (key, name));
        let group = Group::new([()], Policy::default()).expect("a group");
        assert_eq!(group.with_targets(list, Policy::default()).expect_err(error), refused);
    }
}

/// Guards: `Target::name` that shows user information or drops the path; `Entry::from` that takes a URL for a given name.
#[test]
fn identity_the_name_of_a_target_is_its_url_without_user_information() {
    for (url, name) in [
        ("http://h", "http://h"),
        ("http://H:80/", "http://h"),
        ("https://h:8443/v1/", "https://h:8443/v1"),
        ("http://user:s3cret@h/v1", "http://h/v1"),
    ] {
        assert_eq!(target(url).name(), name, "{url}");
    }
    assert_eq!(target("http://user:s3cret@h").named("near").name(), "near");
    let urls = ["http://a", "http://u:p@a/", "http://a/v1", "http://a:80"];
    let group = group(urls.map(target)).expect("a group");
    assert_eq!(group.names(), ["http://a", "http://a#2", "http://a/v1", "http://a#3"].map(Box::from));
}

/// Guards: `Entry::from` that lets a name that was given be shared.
#[test]
fn rejected_two_urls_of_one_given_name() {
    let refused =
        group([target("http://a").named("x"), target("http://b").named("x")]).expect_err("one name");
    assert_eq!(refused.to_string(), "targets[1].name = x: expected a name that no other has");
    let config = "targets = [{ url = 'http://a', name = 'x' }, 'http://b', { url = 'http://c', name = 'x' }]";
    let refused = read(config).group().expect_err("one name");
    assert_eq!((refused.key(), refused.value()), ("targets[2].name", "x"));
    let config = "targets = ['http://a', { url = 'http://b', name = 'http://a' }]";
    let refused = read(config).group().expect_err("one name");
    assert_eq!((refused.key(), refused.value()), ("targets[1].name", "http://a"));
}

// Bounds

/// Guards: `Call::bounds` that is the policy's, or another target's.
#[test]
fn attempt_bound_a_target_has_bounds_of_its_own() {
    let policy = plain().deadline(seconds(1_000.0));
    let list = [
        Entry::new(0).attempt_timeout(seconds(2.0)),
        Entry::new(1).connect_timeout(seconds(1.0)),
        Entry::new(2),
        Entry::new(3).attempt_timeout(seconds(60.0)).connect_timeout(seconds(40.0)),
        Entry::new(4).attempt_timeout(seconds(2.0)).connect_timeout(seconds(40.0)),
    ];
    let world = World { group: Group::of(list, policy).expect("a group"), now: at(5.0) };
    let mut attempt = world.begin(READ);
    for (target, bound, connect) in [(0, 2, 2), (1, 10, 1), (2, 10, 3), (3, 60, 40), (4, 2, 2)] {
        let bounds = (attempt.bound(), attempt.timeout(), attempt.connect_timeout());
        let expected = [bound, bound, connect].map(Duration::from_secs);
        assert_eq!((attempt.index(), bounds), (target, expected.into()));
        if target < 4 {
            attempt = world.went_on(attempt, DEAD);
        }
    }
}

/// Guards: a target's bound that outlasts its call.
#[test]
fn deadline_holds_where_a_target_would_wait_longer() {
    let list = [Entry::new(0).attempt_timeout(seconds(60.0)).connect_timeout(seconds(50.0))];
    let group = Group::of(list, Policy::default()).expect("a group");
    let world = World { group, now: at(0.0) };
    let attempt = world.begin(READ);
    assert_eq!([attempt.bound(), attempt.timeout(), attempt.connect_timeout()], [seconds(30.0); 3]);
}

/// Guards: `Bounds::full_time` that is the policy's alone, so that a target with a short bound of its own is never left.
#[test]
fn a_timeout_is_a_strike_after_the_time_that_its_target_has() {
    for (own, waited, strikes) in
        [(None, 9.9, 0), (None, 10.0, 1), (Some(0.5), 0.4, 0), (Some(0.5), 0.5, 1), (Some(20.0), 14.9, 0)]
    {
        let entry = own.map_or(Entry::new(0), |own| Entry::new(0).attempt_timeout(seconds(own)));
        let policy = Policy::default().late(None);
        let mut world =
            World { group: Group::of([entry, Entry::new(1)], policy).expect("a group"), ..world() };
        let attempt = world.begin(WRITE);
        world.sleep(waited);
        drop(attempt.timed_out(Evidence::MaybeProcessed, UNCLEAR, world.now));
        assert_eq!(world.strikes(), [strikes, 0], "{own:?} and {waited}");
    }
    for (own, waited, strikes) in [(None, 2.9, 0), (None, 3.0, 3), (Some(0.5), 0.4, 0), (Some(0.5), 0.5, 3)] {
        let entry = own.map_or(Entry::new(0), |own| Entry::new(0).connect_timeout(seconds(own)));
        let policy = Policy::default().late(None);
        let mut world =
            World { group: Group::of([entry, Entry::new(1)], policy).expect("a group"), ..world() };
        let attempt = world.begin(WRITE);
        world.sleep(waited);
        drop(attempt.timed_out(Evidence::NoConnection, DEAD, world.now));
        assert_eq!(world.strikes(), [strikes, 0], "{own:?} and {waited}");
    }
}

/// Guards: `Call::whole_time` and `Call::waits_on` that ask for the policy's bound.
#[test]
fn attempt_bound_a_target_that_does_not_answer_is_given_up_at_its_own_bound() {
    let list = [Entry::new(0).attempt_timeout(seconds(0.5)), Entry::new(1)];
    let mut world = World { group: Group::of(list, Policy::default()).expect("a group"), ..world() };
    let attempt = world.begin(READ);
    world.sleep(0.4);
    let Expired::WaitOn(attempt) = attempt.expired(Evidence::MaybeProcessed, UNCLEAR, world.now) else {
        panic!("it waits on")
    };
    assert_eq!(attempt.bound(), seconds(0.1));
    world.sleep(0.1);
    let Expired::Next(next) = attempt.expired(Evidence::MaybeProcessed, UNCLEAR, world.now) else {
        panic!("its time is over")
    };
    assert_eq!(first(next).index(), 1);
}

/// Guards: `Shared::probe` whose lease lasts for the policy's bound, not the target's.
#[test]
fn single_flight_a_probe_has_the_bound_of_its_target() {
    for (own, lasts) in [(None, 10.0), (Some(2.0), 2.0), (Some(20.0), 20.0)] {
        let entry = own.map_or(Entry::new(0), |own| Entry::new(0).attempt_timeout(seconds(own)));
        let group = Group::of([entry, Entry::new(1)], Policy::default()).expect("a group");
        let mut world = World { group, ..world() };
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(40.0);
        let probe = world.begin(READ);
        assert!(probe.is_probe());
        world.sleep(lasts - 0.01);
        assert!(!world.begin(READ).is_probe(), "{own:?}: one at a time");
        world.sleep(0.02);
        assert!(world.begin(READ).is_probe(), "{own:?}: its time is over");
    }
}

/// Guards: `Entry::check` that looks at one of two bounds, at the first target only, or not at all.
#[test]
fn rejected_a_bound_of_zero_by_the_key_of_its_target() {
    let (zero, some) = (Duration::ZERO, seconds(1.0));
    for (list, key) in [
        ([Entry::new(0).attempt_timeout(zero), Entry::new(1)], "targets[0].attempt_timeout"),
        ([Entry::new(0), Entry::new(1).connect_timeout(zero)], "targets[1].connect_timeout"),
        (
            [Entry::new(0), Entry::new(1).attempt_timeout(some).connect_timeout(zero)],
            "targets[1].connect_timeout",
        ),
    ] {
        let refused = Group::of(list, Policy::default()).expect_err(key);
        assert_eq!(refused.to_string(), format!("{key} = 0ns: expected a time above zero"));
    }
    for key in ["attempt_timeout", "connect_timeout"] {
        let config = format!("targets = ['http://a', {{ url = 'http://b', {key} = '0s' }}]");
        let refused = read(&config).group().expect_err("zero");
        assert_eq!((refused.key(), refused.value()), (&*format!("targets[1].{key}"), "0ns"));
    }
}

// The configuration

/// Guards: `Value::target` that takes one key for another; `Entry::from` that drops one.
#[test]
fn every_key_of_a_target_is_read() {
    let config = read(
        "deadline = '1000s'
        targets = [
            { url = 'http://a', name = 'near', attempt_timeout = '2s', connect_timeout = '1s', state = 'ready' },
            { url = 'http://b', connect_timeout = '4s' },
            { url = 'http://c', state = 'maintenance' },
            { url = 'http://d', state = 'drain', attempt_timeout = '20s' },
        ]",
    );
    let group = config.group().expect("a group");
    assert_eq!(group.names(), ["near", "http://b", "http://c", "http://d"].map(Box::from));
    let now = Timestamp::ORIGIN;
    let mut attempt = first(group.begin::<(), _>(Facts::of(&Method::GET, &HeaderMap::new()), now));
    for (target, bound, connect) in [(0, 2, 1), (1, 10, 4), (3, 20, 3)] {
        let bounds = (attempt.timeout().as_secs(), attempt.connect_timeout().as_secs());
        assert_eq!((attempt.index(), bounds), (target, (bound, connect)));
        if target < 3 {
            attempt = first(attempt.handle_error(Evidence::NoConnection, (), now));
        }
    }
}

/// Guards: `Value::target` that names the target without the key, or the wrong one.
#[test]
fn rejected_what_a_target_of_a_configuration_has_wrong_is_named() {
    let duration = "expected a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)";
    for (part, told) in [
        ("name = ''", "name = : expected a name".to_owned()),
        ("name = 7", "name = 7: expected a name".to_owned()),
        ("attempt_timeout = 5", format!("attempt_timeout = 5: {duration}")),
        ("connect_timeout = 'soon'", format!("connect_timeout = soon: {duration}")),
        ("state = 'down'", "state = down: expected one of ready, drain, maintenance".to_owned()),
        ("state = true", "state = true: expected one of ready, drain, maintenance".to_owned()),
        (
            "timeout = '5s'",
            "timeout`: the keys here are url, name, headers, attempt_timeout, connect_timeout, state, \
             protocol, connect, server_name, tls"
                .to_owned(),
        ),
    ] {
        let config = format!("targets = ['http://a', {{ url = 'http://b', {part} }}]");
        let refused = toml::from_str::<Config>(&config).expect_err(part);
        let unknown = if told.contains('`') { "unknown key `" } else { "" };
        assert_eq!(refused.message(), format!("{unknown}targets[1].{told}"));
    }
}

// What follows a name

/// Guards: `Group::with_targets` that compares targets; `Entry::from` whose name holds what is secret or changes.
#[test]
fn identity_another_header_credential_bound_or_place_is_the_same_target() {
    let key = |value| (HeaderName::from_static("x-api-key"), HeaderValue::from_static(value));
    let with = |(name, value)| target("http://u:old@a/v1").with_header(name, value);
    let old = [with(key("old")), target("http://b")];
    for changed in [
        with(key("new")),
        target("http://u:new@a/v1"),
        target("http://a:80/v1/"),
        target("http://a/v1").attempt_timeout(seconds(1.0)).connect_timeout(seconds(1.0)),
        target("http://c").named("http://a/v1"),
    ] {
        for place in 0..2 {
            let group = learned(old.clone());
            let mut list = vec![target("http://b")];
            list.insert(place, changed.clone());
            let group = changed_to(&group, list);
            let told = group.snapshot(at(0.0));
            assert_eq!((told.targets[place].strikes, told.targets[1 - place].strikes), (3, 0), "{changed:?}");
            assert_eq!(told.sticky, 1 - place, "the cursor stays at its target");
        }
    }
}

/// Guards: `Group::with_targets` that takes a target for known by its place.
#[test]
fn identity_a_target_of_another_name_is_another_target() {
    for renamed in [target("http://a/v2"), target("https://a/v1"), target("http://a/v1").named("a")] {
        let group = learned([target("http://u:old@a/v1"), target("http://b")]);
        let told = changed_to(&group, [renamed.clone(), target("http://b")]).snapshot(at(0.0));
        assert_eq!((told.targets[0].strikes, told.sticky), (0, 1), "{renamed:?}");
        assert_eq!(told.targets[0].last_failure, None);
    }
}

/// Guards: `Entry::names` that counts twins of one URL from the other end, so that they swap what is known of them.
#[test]
fn identity_of_equal_urls_the_second_is_the_second() {
    let twins = [target("http://a"), target("http://a")];
    let group = learned(twins.clone());
    let list = [target("http://b"), twins[0].clone(), target("http://c"), twins[1].clone()];
    let told = changed_to(&group, list).snapshot(at(0.0));
    assert_eq!(told.targets.iter().map(|target| target.strikes).collect::<Vec<_>>(), [0, 3, 0, 0]);
    assert_eq!(told.sticky, 3);
}

/// Guards: `Health::copied` that forgets strikes where there is no cool-down, though they count there.
#[test]
fn identity_strikes_are_kept_where_there_is_no_cool_down() {
    let world = World::new(2, plain());
    for _ in 0..2 {
        assert_eq!(world.call(READ, &[UNCLEAR, OK]).cursor, 0);
    }
    let group = world.group.with_targets(entries([0, 1]), plain()).expect("a group");
    let world = World { group, ..world };
    assert_eq!(world.strikes(), [2, 0]);
    assert_eq!(world.call(READ, &[BUSY, OK]).cursor, 1, "the third one in a row");
    let world = World::new(2, Policy::default());
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    let group = world.group.with_targets(entries([0, 1]), plain()).expect("a group");
    let world = World { group, ..world };
    assert_eq!((world.strikes(), world.cooling(0).to_bits()), (vec![3, 0], 0), "a cool-down is forgotten");
}

// Targets and rounds

/// Guards: `checked` that bounds rounds or targets alone, or is off by one.
#[test]
fn rejected_more_than_1_024_attempts_of_a_call() {
    let with = |targets: usize, rounds: u8| Group::new(0..targets, Policy::default().rounds(rounds));
    for (targets, rounds, most) in
        [(256, 4, 4), (205, 4, 4), (204, 5, 5), (6, 170, 170), (5, 204, 204), (4, 255, 255), (1, 255, 255)]
    {
        assert!(with(targets, rounds).is_ok(), "{targets} x {rounds}");
        if let Some(more) = rounds.checked_add(1) {
            let refused = with(targets, more).expect_err("more than 1,024");
            let expected = format!("at most {most}, for {targets} targets: 1024 attempts");
            let told = (refused.key(), refused.value(), refused.expected());
            assert_eq!(told, ("rounds", &*more.to_string(), &*expected));
        }
    }
    let config = format!("rounds = 200\ntargets = [{}]", "'http://a', ".repeat(6));
    assert_eq!(read(&config).group().expect_err("too many").key(), "rounds");
    let group = Group::new([0], Policy::default().rounds(255)).expect("a group");
    let many = group.with_targets(entries(0..5), group.policy().clone());
    assert_eq!(many.expect_err("more than 1,024").key(), "rounds");
    assert_eq!(with(257, 1).expect_err("too many targets").key(), "targets");
}

fn world() -> World {
    World::new(1, Policy::default())
}

fn target(url: &str) -> Target {
    Target::parse(url).expect("a target")
}

fn group(list: impl IntoIterator<Item = Target>) -> Result<Group<Target>, BuildError> {
    Group::of(list.into_iter().map(Entry::from), Policy::default())
}

fn changed_to(group: &Group<Target>, list: impl IntoIterator<Item = Target>) -> Group<Target> {
    group.with_targets(list.into_iter().map(Entry::from), group.policy().clone()).expect("a group")
}

/// A group whose target 0 could not be connected to, and whose target 1 answered.
fn learned(list: [Target; 2]) -> Group<Target> {
    let group = group(list).expect("a group");
    let now = at(0.0);
    let attempt = first(group.begin(facts(READ), now));
    let second = first(attempt.handle_error(Evidence::NoConnection, DEAD, now));
    let answer = second.handle_response(OK.status().expect("a status"), None, (), now);
    assert!(matches!(answer, Action::Return(_)));
    assert_eq!(group.sticky(), 1);
    group
}

fn read(config: &str) -> Config {
    toml::from_str(config).expect("a configuration")
}

//! Checks: when a target is asked, what its answers come to, and how little that changes; each rule a test with its name.

use std::time::Duration;

use failover_core::{
    Action, AdminState, CheckNext, CheckState, Checker, Checks, Config, Evidence, Expired, Facts, Group,
    Policy, Target, Timestamp,
};
use failover_tests::world::{
    BUSY, DEAD, OK, READ, UNCLEAR, WRITE, World, at, codes, entries, first, seconds,
};
use http::{HeaderMap, Method, StatusCode};

/// How a check ended.
type Heard = Result<StatusCode, Evidence>;

const GOOD: Heard = Ok(StatusCode::OK);
const BAD: Heard = Err(Evidence::MaybeProcessed);
const UNCONNECTED: Heard = Err(Evidence::NoConnection);
const NO_SUCH_PATH: Heard = Ok(StatusCode::NOT_FOUND);

// What checks come to

/// Guards: `Record::heard` that counts in all instead of in a row, or is off by one.
#[test]
fn a_target_is_down_after_fall_bad_checks_in_a_row_and_up_after_rise_good_ones() {
    for (fall, rise) in [(1, 1), (3, 2), (2, 5), (31, 31)] {
        let mut lab = Lab::new(2, Checks { fall, rise, ..Checks::at("/") });
        lab.rounds(rise - 1, [GOOD, GOOD]);
        assert_eq!(lab.states(), [CheckState::Unknown; 2], "too few");
        lab.rounds(1, [GOOD, GOOD]);
        assert_eq!(lab.states(), [CheckState::Up; 2]);
        lab.rounds(fall - 1, [BAD, GOOD]);
        lab.rounds(1, [GOOD, GOOD]);
        lab.rounds(fall - 1, [BAD, GOOD]);
        assert_eq!(lab.states()[0], CheckState::Up, "not in a row");
        lab.rounds(1, [BAD, GOOD]);
        assert_eq!(lab.states(), [CheckState::Down, CheckState::Up]);
        lab.rounds(rise - 1, [GOOD, GOOD]);
        lab.rounds(1, [BAD, GOOD]);
        lab.rounds(rise - 1, [GOOD, GOOD]);
        assert_eq!(lab.states()[0], CheckState::Down, "not in a row");
        lab.rounds(1, [GOOD, GOOD]);
        assert_eq!(lab.states(), [CheckState::Up; 2]);
        lab.rounds(60, [GOOD, BAD]);
        assert_eq!(lab.states(), [CheckState::Up, CheckState::Down], "the counts end");
    }
}

/// Guards: `Record::heard` that makes a target unknown by one bad check, or keeps one up that falls.
#[test]
fn a_target_is_up_until_it_is_down_and_the_other_way_round_whatever_it_answers_between() {
    for (fall, rise) in [(1, 1), (1, 3), (2, 2), (3, 1), (3, 2)] {
        for story in 0..1_u32 << 10 {
            let mut lab = Lab::new(2, Checks { fall, rise, ..Checks::at("/") });
            let (mut expected, mut row) = (CheckState::Unknown, vec![]);
            for bit in 0..10 {
                let heard = if story >> bit & 1 == 0 { GOOD } else { BAD };
                lab.rounds(1, [heard, GOOD]);
                if row.first().is_some_and(|first| *first != heard) {
                    row.clear();
                }
                row.push(heard);
                if heard == GOOD && row.len() >= rise.into() {
                    expected = CheckState::Up;
                } else if heard == BAD && row.len() >= fall.into() {
                    expected = CheckState::Down;
                }
                assert_eq!(lab.states()[0], expected, "{story:b}, fall {fall} and rise {rise}");
            }
        }
    }
}

/// Guards: `Checker::report` that takes a status for good by itself.
#[test]
fn good_is_what_the_statuses_say() {
    let checks = |statuses| Checks { fall: 1, rise: 1, statuses: codes(statuses), ..Checks::at("/") };
    for status in (100..=999).map(|status| StatusCode::from_u16(status).expect("a status")) {
        for statuses in ["200-299", "204, 401, 503"] {
            let mut lab = Lab::new(2, checks(statuses));
            lab.rounds(1, [GOOD, Ok(status)]);
            let expected = match status.as_u16() {
                408 | 429 => CheckState::Unknown,
                404 | 405 => CheckState::NoSuchPath,
                _ if codes(statuses).contains(status) => CheckState::Up,
                _ => CheckState::Down,
            };
            assert_eq!(lab.states()[1], expected, "{status} of {statuses}");
        }
    }
    assert_eq!(Checks::at("/").statuses, codes("200-299"));
}

/// Guards: `Checker::report` that counts what says nothing, or begins a row anew by it.
#[test]
fn local_fault_what_says_nothing_of_the_target_neither_counts_nor_breaks_a_row() {
    let neutral = [
        Ok(StatusCode::REQUEST_TIMEOUT),
        Ok(StatusCode::TOO_MANY_REQUESTS),
        Err(Evidence::LocalFault),
        Err(Evidence::NoRoom),
    ];
    for heard in neutral {
        let mut lab = Lab::new(2, Checks::at("/"));
        lab.rounds(40, [heard, GOOD]);
        assert_eq!(lab.states()[0], CheckState::Unknown, "{heard:?}");
        for (before, state) in [(GOOD, CheckState::Up), (BAD, CheckState::Down)] {
            let count = if before == GOOD { 2 } else { 3 };
            lab.rounds(count - 1, [before, GOOD]);
            lab.rounds(1, [heard, GOOD]);
            lab.rounds(1, [before, GOOD]);
            assert_eq!(lab.states()[0], state, "{heard:?} within a row");
            lab.rounds(40, [heard, GOOD]);
            assert_eq!(lab.states()[0], state, "{heard:?} after it");
        }
    }
    for heard in Evidence::ALL {
        let mut lab = Lab::new(2, Checks { fall: 1, ..Checks::at("/") });
        lab.rounds(2, [Err(heard), GOOD]);
        let counts = !matches!(heard, Evidence::LocalFault | Evidence::NoRoom);
        assert_eq!(lab.states()[0] == CheckState::Down, counts, "{heard:?}");
    }
}

/// Guards: `Checker::begin_round` that books a round in which nobody could be connected to.
#[test]
fn nobodys_fault_a_round_without_any_connection_is_neutral() {
    for others in [UNCONNECTED, Err(Evidence::NoRoom), Err(Evidence::LocalFault)] {
        let mut lab = Lab::new(3, Checks { fall: 1, ..Checks::at("/") });
        lab.rounds(2, [GOOD; 3]);
        lab.rounds(40, [UNCONNECTED, UNCONNECTED, others]);
        assert_eq!(lab.states(), [CheckState::Up; 3], "{others:?}");
    }
    for other in [GOOD, BAD, NO_SUCH_PATH, Ok(StatusCode::TOO_MANY_REQUESTS)] {
        let mut lab = Lab::new(3, Checks { fall: 2, ..Checks::at("/") });
        lab.rounds(2, [GOOD; 3]);
        lab.rounds(1, [UNCONNECTED, UNCONNECTED, other]);
        lab.rounds(20, [UNCONNECTED; 3]);
        assert_ne!(lab.states()[0], CheckState::Down, "one");
        lab.rounds(1, [UNCONNECTED, UNCONNECTED, other]);
        assert_eq!(lab.begin_round(), 0);
        assert_eq!(lab.states()[..2], [CheckState::Down; 2], "{other:?}: two");
    }
}

/// Guards: `Record::heard` that takes a 404 for bad from the first check on; one that forgives it later.
#[test]
fn a_path_that_was_never_there_is_a_mistake_and_says_nothing() {
    for status in [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED] {
        let mut lab = Lab::new(2, Checks { fall: 1, ..Checks::at("/") });
        lab.rounds(40, [Ok(status), GOOD]);
        assert_eq!(lab.states(), [CheckState::NoSuchPath, CheckState::Up]);
        assert_eq!(lab.world.begin(READ).index(), 0, "it is not down");
        lab.rounds(1, [GOOD, GOOD]);
        assert_eq!(lab.states()[0], CheckState::Unknown, "it is there now");
        lab.rounds(1, [Ok(status), GOOD]);
        assert_eq!(lab.states()[0], CheckState::Down, "and gone again");
    }
}

/// Guards: `Record::heard` that takes a check without an answer for one by which the path is there.
#[test]
fn a_path_that_was_never_there_is_a_mistake_whatever_came_between() {
    for (before, between) in [(0, 1), (0, 5), (1, 0), (5, 0), (1, 1)] {
        for silent in [BAD, UNCONNECTED, Err(Evidence::Refused)] {
            let mut lab = Lab::new(2, Checks::at("/"));
            lab.rounds(before, [silent, GOOD]);
            lab.rounds(1, [NO_SUCH_PATH, GOOD]);
            lab.rounds(between, [silent, GOOD]);
            lab.rounds(1, [NO_SUCH_PATH, GOOD]);
            assert_eq!(lab.states()[0], CheckState::NoSuchPath, "{silent:?} {before} and {between} times");
            assert_eq!(lab.world.begin(READ).index(), 0);
        }
    }
    let mut lab = Lab::new(2, Checks::at("/"));
    lab.rounds(1, [Ok(StatusCode::SERVICE_UNAVAILABLE), GOOD]);
    lab.rounds(3, [NO_SUCH_PATH, GOOD]);
    assert_eq!(lab.states()[0], CheckState::Down, "the first answer was another");
    let mut lab = Lab::new(2, Checks::at("/"));
    lab.rounds(1, [NO_SUCH_PATH, GOOD]);
    lab.rounds(3, [BAD, GOOD]);
    assert_eq!(lab.states()[0], CheckState::Down, "what hangs is down, whatever the path");
    assert_eq!(lab.world.begin(READ).index(), 1);
}

// What they change

/// Guards: `Shared::next_target` that leaves out what is down, or ranks it before what is up.
#[test]
fn checks_only_reorder_a_target_that_is_down_is_tried_after_those_that_are_up() {
    for down in 0..8_u32 {
        let mut lab = Lab::new(3, Checks::at("/"));
        let is_down = |target: usize| down >> target & 1 == 1;
        lab.rounds(3, [0, 1, 2].map(|target| if is_down(target) { BAD } else { GOOD }));
        for sticky in 0..3 {
            lab.world.group.prefer(sticky, lab.world.now).expect("a target");
            let circle = (0..3).map(|place| (sticky + place) % 3);
            let mut order: Vec<usize> = circle.collect();
            if down != 7 {
                order.sort_by_key(|target| is_down(*target));
            }
            let policy = lab.world.group.policy().clone().cool_down(None).failback(None);
            let group = lab.world.group.with_targets(entries(0..3), policy).expect("a group");
            let trace = World { group, now: lab.world.now }.call(READ, &[UNCLEAR; 3]);
            assert_eq!(trace.tried, order, "{down:b} from {sticky}");
        }
    }
}

/// Guards: `Shared::next_target` whose ranks are the other way round.
#[test]
fn checks_only_reorder_cooling_sorts_before_down_and_down_before_drained() {
    let mut lab = Lab::new(5, Checks::at("/"));
    assert_eq!(lab.world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    lab.world.group.prefer(0, lab.world.now).expect("a target");
    lab.rounds(3, [GOOD, BAD, GOOD, GOOD, BAD]);
    lab.world.group.set_state(2, AdminState::Drain).expect("a target");
    let policy = lab.world.group.policy().clone().failback(None);
    let list = entries(0..5).into_iter().zip(0..);
    let list = list.map(|(entry, nth)| if nth == 2 { entry.state(AdminState::Drain) } else { entry });
    let group = lab.world.group.with_targets(list, policy).expect("a group");
    // The rounds took time; the cool-down is of the beginning.
    let world = World { group, now: at(1.0) };
    assert!(world.cooling(0) > 0.0);
    assert_eq!(world.call(READ, &[UNCLEAR; 5]).tried, [3, 0, 1, 4, 2]);
}

/// Guards: `Shared::next_target` that lets "all cool" or "all down" speak for the other one.
#[test]
fn checks_only_reorder_one_that_cools_and_is_down_is_last() {
    let mut lab = Lab::new(2, Checks::at("/"));
    assert!(lab.world.call(READ, &[DEAD, DEAD]).end.is_err());
    lab.rounds(3, [BAD, GOOD]);
    lab.world.now = at(1.0);
    assert_eq!(lab.world.call(READ, &[UNCLEAR; 2]).tried, [1, 0], "both cool, one is down");
    let mut lab = Lab::new(2, Checks::at("/"));
    assert_eq!(lab.world.call(READ, &[DEAD, OK]).tried, [0, 1]);
    lab.world.group.prefer(0, lab.world.now).expect("a target");
    lab.rounds(3, [BAD, BAD]);
    lab.world.now = at(1.0);
    assert_eq!(lab.world.call(READ, &[UNCLEAR; 2]).tried, [1, 0], "both are down, one cools");
}

/// Guards: `Call::settle` by which a target that is down is left without a strike; a check that moves the cursor.
#[test]
fn checks_only_reorder_the_cursor_stays_until_calls_say_otherwise() {
    let mut lab = Lab::new(2, Checks::at("/"));
    lab.rounds(3, [BAD, GOOD]);
    assert_eq!(lab.world.group.sticky(), 0);
    for _ in 0..5 {
        assert_eq!(lab.world.call(READ, &[OK]).tried, [1]);
        assert_eq!(lab.world.group.sticky(), 0, "it has no strikes");
    }
    lab.rounds(2, [GOOD, GOOD]);
    assert_eq!(lab.world.call(READ, &[OK]).tried, [0]);
}

/// Guards: `Call::waits_on` that heeds cool-downs only; one that goes to a target which is down as well, or needs no proof.
#[test]
fn late_a_read_goes_on_from_a_target_that_is_down_to_one_that_is_not_and_a_write_waits_on() {
    for (request, heard, is_late, goes_on) in [
        (READ, [BAD, GOOD], true, true),
        (READ, [BAD, GOOD], false, false),
        (READ, [GOOD, GOOD], true, false),
        (READ, [BAD, BAD], true, false),
        (WRITE, [BAD, GOOD], true, false),
    ] {
        let mut lab = Lab::new(2, Checks { fall: 1, every: seconds(0.01), ..Checks::at("/") });
        (0..8).for_each(|_| assert_eq!(lab.world.answered(0.02), 0));
        lab.world.sleep(0.001);
        let mut attempt = lab.world.begin(request);
        if is_late {
            lab.world.sleep(1.0);
            let expired = attempt.expired(Evidence::MaybeProcessed, UNCLEAR, lab.world.now);
            let Expired::WaitOn(same) = expired else { panic!("no check says anything yet") };
            attempt = same;
        }
        lab.rounds(1, heard);
        lab.world.sleep(0.9);
        let expired = attempt.expired(Evidence::MaybeProcessed, UNCLEAR, lab.world.now);
        let is_next = matches!(&expired, Expired::Next(Action::Send(next)) if next.index() == 1);
        assert_eq!(is_next, goes_on, "{request:?} after {heard:?}: {expired:?}");
        assert_eq!((lab.world.strikes()[0], lab.world.group.sticky()), (u8::from(is_late), 0));
    }
}

/// Guards: `Checker::report` that waits for the connection of another target although there is none.
#[test]
fn sole_target_is_only_reported_on() {
    for heard in [BAD, UNCONNECTED, Ok(StatusCode::SERVICE_UNAVAILABLE)] {
        let mut lab = Lab::new(1, Checks::at("/"));
        lab.rounds(3, [heard]);
        assert_eq!(lab.states(), [CheckState::Down], "{heard:?}");
        let attempt = lab.world.begin(READ);
        assert_eq!((attempt.index(), attempt.passed_over().count()), (0, 0));
        assert_eq!(lab.world.returned(attempt, OK), 0);
        lab.rounds(2, [GOOD]);
        assert_eq!(lab.states(), [CheckState::Up]);
    }
}

/// Guards: `Checker::report` that clears strikes or a cool-down.
#[test]
fn checks_only_reorder_a_good_check_clears_nothing_that_calls_booked() {
    let mut lab = Lab::new(2, Checks { every: seconds(0.1), ..Checks::at("/") });
    assert_eq!(lab.world.call(READ, &[DEAD, BUSY]).tried, [0, 1]);
    let before = lab.world.group.snapshot(at(3.0));
    lab.rounds(20, [GOOD, GOOD]);
    assert!(lab.world.now < at(3.0));
    let mut after = lab.world.group.snapshot(at(3.0));
    for target in &mut after.targets {
        assert_eq!(target.check.replace(CheckState::Unknown), Some(CheckState::Up));
    }
    assert_eq!(after, before, "all but the checks themselves");
    lab.rounds(20, [BAD, BAD]);
    for target in &mut after.targets {
        target.check = Some(CheckState::Down);
    }
    assert_eq!(lab.world.group.snapshot(at(3.0)), after, "a bad one books nothing either");
}

/// Guards: `Health::answered` or `Health::add` that count as checks.
#[test]
fn checks_only_reorder_calls_count_as_no_check() {
    let mut lab = Lab::new(2, Checks { fall: 2, rise: 2, ..Checks::at("/") });
    lab.rounds(1, [BAD, GOOD]);
    for _ in 0..10 {
        assert_eq!(lab.world.begin(READ).index(), 0);
        let _ = lab.world.by_target(READ, |target| [UNCLEAR, OK][target]);
        lab.world.group.prefer(0, lab.world.now).expect("a target");
        lab.world.sleep(100.0);
        let _ = lab.world.by_target(READ, |_| OK);
    }
    assert_eq!(lab.states(), [CheckState::Unknown; 2]);
    lab.rounds(1, [BAD, GOOD]);
    assert_eq!(lab.states(), [CheckState::Down, CheckState::Up]);
}

// Probes

/// Guards: `SharedRecord::may_be_probed` that asks whether a target is not down.
#[test]
fn best_first_a_probe_is_offered_after_rise_good_checks_only() {
    let mut lab = Lab::new(2, Checks { rise: 3, ..Checks::at("/") });
    let failback = |lab: &mut Lab, heard: &[(Heard, bool)]| {
        for &(heard, probes) in heard {
            lab.rounds(1, [heard, GOOD]);
            lab.world.sleep(100.0);
            let call = lab.world.begin(READ);
            assert_eq!((call.is_probe(), call.index() == 0), (probes, probes), "after {heard:?}");
            drop(call);
            lab.world.sleep(2.0);
        }
    };
    lab.world.group.prefer(1, lab.world.now).expect("a target");
    failback(&mut lab, &[(BAD, false), (GOOD, false), (GOOD, false), (GOOD, true), (GOOD, true)]);
    failback(&mut lab, &[(BAD, false), (GOOD, false), (GOOD, false), (BAD, false)]);
    failback(&mut lab, &[(GOOD, false), (GOOD, false), (GOOD, true)]);
    failback(&mut lab, &[(Err(Evidence::NoRoom), true)]);
}

/// Guards: `Checker::book` that counts checks which began before, or others than in a row; `Clocks::cut_short` that does nothing.
#[test]
fn failback_rise_good_checks_in_a_row_that_began_after_the_cursor_left_make_a_probe_due() {
    for (rise, story, due) in [
        (2, &[][..], false),
        (2, &[GOOD], false),
        (2, &[GOOD, GOOD], true),
        (2, &[GOOD, GOOD, GOOD], true),
        (2, &[GOOD, BAD, GOOD], false),
        (2, &[GOOD, BAD, GOOD, GOOD], true),
        (2, &[GOOD, UNCONNECTED, GOOD], false),
        (2, &[GOOD, Err(Evidence::NoRoom), GOOD], true),
        (1, &[GOOD], true),
        (3, &[GOOD, GOOD], false),
        (3, &[GOOD, GOOD, GOOD], true),
    ] {
        let mut lab = Lab::new(3, Checks { rise, every: seconds(1.0), ..Checks::at("/") });
        lab.rounds(5, [GOOD; 3]);
        let all = all_asked(&mut lab.checker, &mut lab.world.now);
        lab.world.group.prefer(2, lab.world.now).expect("a target");
        for target in all {
            lab.checker.report(target, GOOD);
        }
        for &heard in story {
            lab.rounds(1, [heard, BAD, GOOD]);
        }
        let told = lab.world.group.snapshot(lab.world.now).targets;
        assert_eq!(told[0].probe_in == Some(Duration::ZERO), due, "{rise} of {story:?}");
        assert!(told[1].probe_in > Some(seconds(20.0)), "it is not well");
        let probe = lab.world.begin(READ);
        assert_eq!((probe.is_probe(), probe.index()), (due, if due { 0 } else { 2 }), "{rise} of {story:?}");
        assert_eq!(lab.world.begin(WRITE).index(), 2, "a write is the last resort");
        let answered = lab.world.returned(probe, OK);
        assert_eq!(lab.world.group.sticky(), answered, "the call decides");
    }
}

/// Guards: `Clocks::cut_short` as of the moment of the report, or none; by which a write would have to wait for longer, or less.
#[test]
fn failback_what_checks_made_due_is_due_for_a_write_when_it_has_been_so_for_as_long_again() {
    let mut lab = Lab::new(2, Checks { every: seconds(1.0), rise: 1, ..Checks::at("/") });
    lab.rounds(1, [GOOD; 2]);
    lab.world.group.prefer(1, lab.world.now).expect("a target");
    let all = all_asked(&mut lab.checker, &mut lab.world.now);
    let asked = lab.world.now;
    lab.world.sleep(1.5);
    for target in all {
        lab.checker.report(target, GOOD);
    }
    lab.world.now = asked + seconds(29.8);
    assert_eq!(lab.world.begin(WRITE).index(), 1);
    lab.world.now = asked + seconds(30.0);
    assert!(lab.world.begin(WRITE).is_probe());
}

/// Guards: `Clocks::cut_short` that cuts what was doubled; `Checker::book` that goes on counting when the clock was set anew.
#[test]
fn flap_checks_make_no_probe_due_whose_clock_was_doubled() {
    for fails in [&[DEAD, OK][..], &[UNCLEAR, OK]] {
        let mut lab = Lab::new(2, Checks { every: seconds(1.0), ..Checks::at("/") });
        lab.world.group.prefer(1, lab.world.now).expect("a target");
        lab.rounds(3, [GOOD; 2]);
        assert_eq!(lab.world.call(READ, fails).tried, [0, 1], "the probe fails");
        lab.rounds(50, [GOOD; 2]);
        let told = lab.world.group.snapshot(lab.world.now).targets;
        assert_eq!(told[0].failed_probes, 1);
        assert!(told[0].probe_in > Some(seconds(3.0)), "{told:?}");
    }
}

/// Guards: `Clock::times_after_stay` that takes the stay after an early return for one that lasted.
#[test]
fn flap_a_target_that_returned_early_and_fails_before_a_wait_after_it_would_have_is_doubled() {
    for (stays, doubled) in [(5.0, true), (31.0, true), (55.0, true), (71.0, false)] {
        let mut lab = Lab::new(2, Checks { every: seconds(1.0), ..Checks::at("/") });
        lab.world.group.prefer(1, lab.world.now).expect("a target");
        lab.rounds(3, [GOOD; 2]);
        assert_eq!((lab.world.answered(0.0), lab.world.group.sticky()), (0, 0), "early");
        lab.world.sleep(stays);
        assert_eq!(lab.world.call(READ, &[DEAD, OK]).cursor, 1);
        lab.rounds(10, [GOOD; 2]);
        let told = lab.world.group.snapshot(lab.world.now).targets;
        assert_eq!(told[0].failed_probes, u8::from(doubled), "after {stays} s");
        assert_eq!(told[0].probe_in == Some(Duration::ZERO), !doubled, "{told:?} after {stays} s");
        assert_eq!(lab.world.answered(0.0), usize::from(doubled));
    }
}

/// Guards: `Checker::next` that goes on counting where the cursor left the target meanwhile.
#[test]
fn failback_checks_of_the_target_with_the_cursor_and_of_those_after_it_change_nothing() {
    let mut lab = Lab::new(3, Checks { every: seconds(1.0), ..Checks::at("/") });
    lab.world.group.prefer(1, lab.world.now).expect("a target");
    lab.rounds(20, [BAD, GOOD, GOOD]);
    lab.world.group.prefer(2, lab.world.now).expect("a target");
    let told = lab.world.group.snapshot(lab.world.now).targets;
    assert!(told[1].probe_in >= Some(seconds(29.9)), "what was good before counts no more: {told:?}");
    assert_eq!(lab.world.begin(READ).index(), 2);
}

/// Guards: `SharedRecord::may_be_probed` that waits for checks that nobody makes, or that say nothing.
#[test]
fn best_first_where_nobody_checks_a_probe_is_as_without_checks() {
    let mut lab = Lab::new(2, Checks::at("/"));
    lab.world.group.prefer(1, lab.world.now).expect("a target");
    lab.world.sleep(40.0);
    assert!(lab.world.begin(READ).is_probe(), "no checks yet");
    lab.world.sleep(2.0);
    lab.rounds(1, [NO_SUCH_PATH, GOOD]);
    assert!(lab.world.begin(READ).is_probe(), "the path is a mistake");
}

// When

/// Guards: `Checker::begin_round` that asks all at once, early, or later than a tenth; `Checker::next` out of order.
#[test]
fn herd_checks_are_spread_by_at_most_a_tenth() {
    let (targets, every) = (200, seconds(10.0));
    let group = group(targets, policy(Checks { every, ..Checks::at("/") }).seed(7));
    let (mut checker, mut now) = (group.checker().expect("there are checks"), at(1_000.0));
    let mut rounds = vec![];
    for round in 0..3 {
        let (mut asked, began) = (vec![], at(1_000.0 + 10.0 * f64::from(round)));
        while asked.len() < targets {
            match checker.next(now) {
                CheckNext::Ask(target) => {
                    asked.push((target, now.since(began)));
                    checker.report(target, GOOD);
                }
                CheckNext::Wait(time) => {
                    assert!(!time.is_zero());
                    now = now + time;
                }
            }
        }
        assert!(now >= began);
        assert!(asked.is_sorted_by_key(|(_, after)| *after));
        let last = asked.last().expect("targets").1;
        assert!((seconds(0.9)..=seconds(1.0)).contains(&last), "{last:?}");
        let early = asked.iter().filter(|(_, after)| *after < seconds(0.5)).count();
        assert!((60..140).contains(&early), "{early} of {targets} in the first half");
        asked.sort_unstable();
        assert!(asked.iter().map(|(target, _)| *target).eq(0..targets), "each once");
        rounds.push(asked);
    }
    assert_ne!(rounds[0], rounds[1], "each round is spread anew");
}

/// Guards: `Checker::next` that begins a round before the last one is over, or makes up for those that were missed.
#[test]
fn rounds_do_not_overlap_and_none_is_made_up_for() {
    let group = group(2, policy(Checks { every: seconds(5.0), ..Checks::at("/") }));
    let (mut checker, mut now) = (group.checker().expect("there are checks"), at(0.0));
    let mut asked = all_asked(&mut checker, &mut now);
    asked.sort_unstable();
    assert_eq!(asked, [0, 1]);
    checker.report(1, GOOD);
    for _ in 0..20 {
        let CheckNext::Wait(time) = checker.next(now) else { panic!("target 0 is asked still") };
        assert_eq!(time, checker.checks().timeout);
        now = now + time;
    }
    assert_eq!(group.snapshot(now).targets[1].check, Some(CheckState::Unknown));
    checker.report(0, BAD);
    let before = now;
    assert_eq!(all_asked(&mut checker, &mut now).len(), 2);
    assert!(now.since(before) <= seconds(0.5), "the next round is due at once");
    checker.report(0, GOOD);
    checker.report(1, GOOD);
    let CheckNext::Wait(time) = checker.next(now) else { panic!("the round was made") };
    assert!(time >= seconds(4.4), "{time:?}");
}

/// Guards: `Checker::next` that waits for one target's answer before it asks the next one.
#[test]
fn one_name_a_target_that_hangs_holds_up_no_other_check() {
    let group = group(3, policy(Checks { fall: 1, ..Checks::at("/") }));
    let (mut checker, mut now) = (group.checker().expect("there are checks"), at(0.0));
    let mut asked = all_asked(&mut checker, &mut now);
    assert!(now.since(at(0.0)) <= seconds(0.5));
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2]);
    checker.report(2, Ok(StatusCode::BAD_GATEWAY));
    let states = || group.snapshot(now).targets.into_iter().map(|target| target.check).collect::<Vec<_>>();
    assert_eq!(states()[2], Some(CheckState::Down), "known before the others have answered");
}

/// Guards: `Checker::report` that books what was not asked, twice, or of a target that is none.
#[test]
fn a_report_counts_once_and_only_if_it_was_asked_for() {
    let group = group(2, policy(Checks { fall: 1, rise: 1, ..Checks::at("/") }));
    let (mut checker, mut now) = (group.checker().expect("there are checks"), at(0.0));
    checker.report(0, BAD);
    checker.report(7, BAD);
    let state = |target: usize| group.snapshot(at(0.0)).targets[target].check;
    assert_eq!((state(0), state(1)), (Some(CheckState::Unknown), Some(CheckState::Unknown)));
    assert_eq!(all_asked(&mut checker, &mut now).len(), 2);
    checker.report(0, GOOD);
    checker.report(0, BAD);
    assert_eq!(state(0), Some(CheckState::Up));
    assert_eq!((checker.target(1), checker.target(2)), (Some(&1), None));
}

/// Guards: `Checker::begin_round` whose first round begins a pause later.
#[test]
fn idle_checks_begin_at_once_at_any_origin_and_after_any_pause() {
    let group = group(2, policy(Checks::at("/")));
    let (mut checker, mut now) = (group.checker().expect("there are checks"), at(1.8e9));
    for pause in [0.0, 3_600.0, 1e7] {
        now = now + seconds(pause);
        let began = now;
        assert_eq!(all_asked(&mut checker, &mut now).len(), 2);
        assert!(now.since(began) <= seconds(0.5), "{pause} s after the last round");
        (0..2).for_each(|target| checker.report(target, GOOD));
    }
}

#[test]
fn without_checks_nobody_checks_and_nothing_is_told() {
    let world = World::new(2, Policy::default());
    assert!(world.group.checker().is_none());
    assert!(world.group.snapshot(world.now).targets.iter().all(|target| target.check.is_none()));
    assert_eq!(Policy::default().checks, None);
    assert_eq!(Policy::ballerina().checks, None);
}

// Other lists

/// Guards: `Health::copied` that keeps what other checks said, or forgets what the same ones did.
#[test]
fn identity_checks_are_kept_where_they_are_the_same() {
    let checks = Checks::at("/healthz");
    let mut lab = Lab::new(2, checks.clone());
    lab.rounds(3, [BAD, GOOD]);
    let told = |list: &[usize], checks: Option<Checks>| {
        let policy = Policy::default().checks(checks);
        let group = lab.world.group.with_targets(entries(list.iter().copied()), policy).expect("a group");
        let first = first(group.begin::<(), ()>(get(), lab.world.now)).index();
        (group.snapshot(lab.world.now).targets.into_iter().map(|target| target.check).collect(), first)
    };
    let states = |list: &[CheckState]| list.iter().copied().map(Some).collect::<Vec<_>>();
    let (up, down, unknown) = (CheckState::Up, CheckState::Down, CheckState::Unknown);
    assert_eq!(told(&[1, 9, 0], Some(checks.clone())), (states(&[up, unknown, down]), 0));
    assert_eq!(told(&[0, 1], Some(checks.clone())), (states(&[down, up]), 1));
    for changed in [
        Checks { path: "/health".into(), ..checks.clone() },
        Checks { statuses: codes("200-399"), ..checks.clone() },
        Checks { fall: 4, ..checks.clone() },
        Checks { rise: 3, ..checks.clone() },
        Checks { every: seconds(1.0), ..checks.clone() },
        Checks { timeout: seconds(1.0), ..checks.clone() },
    ] {
        assert_eq!(told(&[0, 1], Some(changed)), (states(&[unknown; 2]), 0));
    }
    assert_eq!(told(&[0, 1], None), (vec![None; 2], 0), "nothing is down where there are no checks");
}

// What is refused, and the configuration

/// Guards: `Checks::refuse` that passes one of them, or names another.
#[test]
fn rejected_checks_that_make_no_sense() {
    let checks = || Checks::at("/healthz");
    for (checks, error) in [
        (Checks::at(""), "checks.path = : expected a path such as /healthz"),
        (Checks::at("healthz"), "checks.path = healthz: expected a path such as /healthz"),
        (Checks::at("http://a/x"), "checks.path = http://a/x: expected a path such as /healthz"),
        (Checks::at("/a b"), "checks.path = /a b: expected a path such as /healthz"),
        (Checks::at("/a\nb"), "checks.path = /a\\nb: expected a path such as /healthz"),
        (Checks::at("/\u{e4}"), "checks.path = /\u{e4}: expected a path such as /healthz"),
        (Checks::at("/a#b"), "checks.path = /a#b: expected a path such as /healthz"),
        (Checks { every: Duration::ZERO, ..checks() }, "checks.every = 0ns: expected a time above zero"),
        (Checks { timeout: Duration::ZERO, ..checks() }, "checks.timeout = 0ns: expected a time above zero"),
        (Checks { fall: 0, ..checks() }, "checks.fall = 0: expected at least 1"),
        (Checks { rise: 0, ..checks() }, "checks.rise = 0: expected at least 1"),
        (Checks { fall: 32, ..checks() }, "checks.fall = 32: expected at most 31"),
        (Checks { rise: 255, ..checks() }, "checks.rise = 255: expected at most 31"),
    ] {
        let refused = Group::new(0..2, policy(checks)).expect_err(error);
        assert_eq!(refused.to_string(), error);
    }
    for byte in 0..=u8::MAX {
        let path = format!("/{}", char::from(byte));
        let accepted = Group::new(0..1, policy(Checks::at(&path))).is_ok();
        assert_eq!(accepted, Target::path(&path).is_ok(), "{path:?}: a path that a target can be asked for");
    }
}

/// Guards: `Value::checks` that takes one key for another; `Config::set` that turns them on or off by mistake.
#[test]
fn checks_are_a_key_of_the_configuration() {
    assert_eq!(read(""), None);
    assert_eq!(read("checks = 'off'"), None);
    assert_eq!(read("checks = false"), None);
    assert_eq!(read("checks = { path = '/healthz' }"), Some(Checks::at("/healthz")));
    assert_eq!(read("preset = 'ballerina'\nchecks = { path = '/healthz' }"), Some(Checks::at("/healthz")));
    let every = "checks = { path = '/x?y', every = '1s', timeout = '500ms', fall = 4, rise = 5, statuses = ['2xx', 401] }";
    let expected = Checks {
        path: "/x?y".to_owned(),
        every: seconds(1.0),
        timeout: seconds(0.5),
        fall: 4,
        rise: 5,
        statuses: codes("200-299, 401"),
    };
    assert_eq!(read(every), Some(expected));
    let expected = Checks { every: seconds(5.0), timeout: seconds(2.0), fall: 3, rise: 2, ..Checks::at("/") };
    assert_eq!(Checks::at("/"), expected, "the defaults");
}

#[test]
fn rejected_checks_of_a_configuration_are_named() {
    for (checks, error) in [
        ("'on'", "checks.path = : expected a path such as /healthz"),
        ("{ }", "checks.path = : expected a path such as /healthz"),
        ("{ every = '1s' }", "checks.path = : expected a path such as /healthz"),
        ("{ path = 'healthz' }", "checks.path = healthz: expected a path such as /healthz"),
        ("{ path = 7 }", "checks.path = 7: expected a path such as /healthz"),
        ("'healthz'", "checks.path = healthz: expected a path such as /healthz"),
        (
            "7",
            "checks = 7: expected a path such as /healthz, or a table of path, every, timeout, fall, rise, statuses, or \"off\"",
        ),
        (
            "{ path = '/', every = 5 }",
            "checks.every = 5: expected a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)",
        ),
        ("{ path = '/', every = '0s' }", "checks.every = 0ns: expected a time above zero"),
        ("{ path = '/', timeout = '0s' }", "checks.timeout = 0ns: expected a time above zero"),
        ("{ path = '/', fall = 0 }", "checks.fall = 0: expected at least 1"),
        ("{ path = '/', fall = 32 }", "checks.fall = 32: expected at most 31"),
        ("{ path = '/', rise = -1 }", "checks.rise = -1: expected a whole number from 0 to 255"),
        (
            "{ path = '/', statuses = 'ok' }",
            "checks.statuses = ok: expected status codes such as 503, \"501-504\" or \"5xx, !501\"",
        ),
        (
            "{ path = '/', interval = '5s' }",
            "unknown key `checks.interval`: the keys here are path, every, timeout, fall, rise, statuses",
        ),
    ] {
        let config = format!("checks = {checks}");
        let refused = toml::from_str::<Config>(&config).expect_err(checks);
        assert_eq!(refused.message(), error);
    }
}

/// A group whose targets are checked, over virtual time.
struct Lab {
    world: World,
    checker: Checker<usize>,
}

impl Lab {
    fn new(targets: usize, checks: Checks) -> Self {
        let world = World::new(targets, policy(checks));
        let checker = world.group.checker().expect("there are checks");
        Self { world, checker }
    }

    /// Makes rounds of checks that all end like this.
    fn rounds<const N: usize>(&mut self, count: u8, heard: [Heard; N]) {
        for _ in 0..count {
            for target in all_asked(&mut self.checker, &mut self.world.now) {
                self.checker.report(target, heard[target]);
            }
        }
        // What was not connected to is booked when the round is over.
        assert_eq!(self.begin_round(), 0);
    }

    /// Ends the round, and tells how many were asked at once by that.
    fn begin_round(&mut self) -> usize {
        usize::from(matches!(self.checker.next(self.world.now), CheckNext::Ask(_)))
    }

    fn states(&self) -> Vec<CheckState> {
        let targets = self.world.group.snapshot(self.world.now).targets.into_iter();
        targets.map(|target| target.check.expect("there are checks")).collect()
    }
}

/// Waits until all targets were asked: in which order.
fn all_asked(checker: &mut Checker<usize>, now: &mut Timestamp) -> Vec<usize> {
    let mut asked = vec![];
    while checker.target(asked.len()).is_some() {
        match checker.next(*now) {
            CheckNext::Ask(target) => asked.push(target),
            CheckNext::Wait(time) => *now = *now + time,
        }
    }
    asked
}

fn policy(checks: Checks) -> Policy {
    Policy::default().checks(checks)
}

fn group(targets: usize, policy: Policy) -> Group<usize> {
    Group::new(0..targets, policy).expect("a group")
}

fn get() -> Facts {
    Facts::of(&Method::GET, &HeaderMap::new())
}

fn read(config: &str) -> Option<Checks> {
    toml::from_str::<Config>(config).expect("a configuration").policy.checks
}

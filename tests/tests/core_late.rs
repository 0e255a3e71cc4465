//! What is concluded from waiting: late attempts, callers that leave and callers in haste; each requirement a test with its name.

use failover_core::{Action, Attempt, Budget, Evidence, Expired, Facts, Late, Policy, Timestamp};
use failover_tests::drive::{Step, facts, report};
use failover_tests::oracle::Outcome;
use failover_tests::world::{BUSY, DEAD, OK, READ, STREAM, UNCLEAR, WRITE, World, first, seconds};

// When an attempt is late

/// Guards: `Late::bound` without its factor or its floor; `Call::bound` that does not tell when to ask.
#[test]
fn late_is_a_multiple_of_what_is_usual_and_at_least_the_floor() {
    for (late, usual, expected) in [
        (Late::default(), 0.02, 1.0),
        (Late::default(), 0.5, 1.5),
        (Late::default(), 2.0, 6.0),
        (Late::default(), 5.0, 10.0),
        (Late { factor: 5, floor: seconds(0.25) }, 0.01, 0.25),
        (Late { factor: 5, floor: seconds(0.25) }, 0.5, 2.5),
    ] {
        let mut world = World::new(2, Policy::default().late(late));
        warm(&mut world, usual);
        let attempt = world.begin(READ);
        assert_eq!(attempt.bound(), seconds(expected), "{late:?} where {usual} s are usual");
        let Expired::WaitOn(attempt) = expire(&world, attempt) else { panic!("it was asked too early") };
        world.sleep(expected);
        let is_last = expected >= 10.0;
        assert_eq!(is_given_up(&world, attempt), is_last);
        assert_eq!(world.strikes()[0], 1);
    }
    let mut never = World::new(2, Policy::default().late(None));
    warm(&mut never, 0.02);
    assert_eq!(never.begin(READ).bound(), seconds(10.0));
}

/// Guards: `Pace::usual` that is known too early, or for ever.
#[test]
fn late_without_history_nothing_is_late_while_it_waits() {
    let mut world = World::new(2, Policy::default());
    for answers in 0..8 {
        assert_eq!(world.group.snapshot(world.now).targets[0].usual, None, "after {answers}");
        assert_eq!(world.begin(READ).bound(), seconds(10.0));
        assert_eq!(world.answered(0.02), 0);
    }
    assert_eq!(world.begin(READ).bound(), seconds(1.0));
    let usual = world.group.snapshot(world.now).targets[0].usual.expect("it is known");
    assert!((seconds(0.019)..=seconds(0.02)).contains(&usual), "{usual:?}");
    world.sleep(599.0);
    assert_eq!(world.begin(READ).bound(), seconds(1.0));
    world.sleep(2.0);
    assert_eq!(world.begin(READ).bound(), seconds(10.0), "after ten minutes nobody knows any more");
    assert_eq!(world.answered(6.0), 0, "the first answer after the night is slow");
    assert_eq!((world.strikes()[0], world.begin(READ).bound()), (0, seconds(10.0)));
}

/// Guards: `Pace::adapt` whose steps up and down are other ones, or taken at each answer; `Pace::answered` that learns from
/// answers that are not well.
#[test]
fn late_what_is_usual_rises_by_an_eighth_at_once_and_falls_by_a_quarter_of_some() {
    let mut world = World::new(2, Policy::default().attempt_timeout(seconds(60.0)));
    warm(&mut world, 1.0);
    let usual = |world: &World| {
        world.group.snapshot(world.now).targets[0].usual.map_or(0.0, |usual| usual.as_secs_f64())
    };
    for (took, expected) in [(9.0, 2.0), (10.0, 3.0)] {
        assert_eq!(world.answered(took), 0);
        assert!((usual(&world) - expected).abs() < 1e-6, "{} after {took}", usual(&world));
    }
    for code in [500, 429] {
        let call = world.begin(READ);
        world.sleep(20.0);
        assert_eq!(world.returned(call, Outcome::Status(code)), 0);
        assert!((usual(&world) - 3.0).abs() < 1e-6, "a {code} tells nothing of what is usual");
    }
    // Up to twice the usual, and below it, one answer in sixteen is looked at.
    for (took, parts) in [(4.5, 8.0), (1.0, 4.0)] {
        let mut steps = 0;
        for _ in 0..100 {
            let before = usual(&world);
            assert_eq!(world.answered(took), 0);
            let after = usual(&world);
            if after.to_bits() != before.to_bits() {
                steps += 1;
                assert!((after - before - (took - before) / parts).abs() < 1e-6, "{before} to {after}");
            }
        }
        assert!((2..=14).contains(&steps), "{steps} of 100 answers after {took} s were looked at");
    }
}

/// Guards: `Attempt::progress` that changes nothing, or not the time from which lateness counts.
#[test]
fn late_counts_from_the_last_byte_of_the_request_that_the_target_took() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.02);
    let mut upload = world.begin(WRITE);
    for _ in 0..100 {
        world.sleep(0.9);
        upload.progress(world.now);
        assert_eq!(upload.bound(), seconds(1.0));
    }
    world.sleep(0.9);
    assert_eq!(world.returned(upload, OK), 0);
    let mut upload = world.begin(WRITE);
    world.sleep(5.0);
    upload.progress(world.now);
    world.sleep(0.999);
    let Expired::WaitOn(upload) = expire(&world, upload) else { panic!("it is not late") };
    assert_eq!(world.strikes()[0], 0);
    world.sleep(0.001);
    assert!(!is_given_up(&world, upload), "but it is a write");
    assert_eq!(world.strikes()[0], 1);
}

/// Guards: `Call::bound` that goes by the time at which the attempt was late before.
#[test]
fn late_counts_anew_where_a_late_attempt_makes_progress() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.9);
    let late = seconds(2.7);
    let mut upload = world.begin(WRITE);
    assert_eq!(upload.bound(), late);
    world.sleep(3.0);
    let Expired::WaitOn(waiting) = expire(&world, upload) else { panic!("it is a write") };
    upload = waiting;
    assert_eq!((upload.bound(), world.strikes()[0]), (seconds(1.0), 1), "it is asked each floor");
    world.sleep(0.5);
    upload.progress(world.now);
    assert_eq!(upload.bound(), late);
}

// What being late does

/// Guards: `Call::waits_on` that books no lateness; `Health::waited` that needs more than three, or more time.
#[test]
fn late_a_loaded_target_that_falls_silent_is_left_in_two_and_a_half_floors() {
    for (request, rate) in [(READ, 50), (WRITE, 50), (READ, 1_000), (WRITE, 5), (READ, 5)] {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, 0.02);
        let mut waiting = vec![];
        let step = seconds(1.0) / rate;
        let silent_from = world.now;
        let cools = loop {
            assert!(world.now.since(silent_from) <= seconds(2.5), "it is believed to answer");
            let call = world.begin(request);
            assert_eq!(call.index(), 0);
            waiting.push((asked_at(&world, &call), call));
            world.now = world.now + step;
            waiting = waiting
                .into_iter()
                .filter_map(|(asked, call)| {
                    if asked > world.now {
                        return Some((asked, call));
                    }
                    match expire(&world, call) {
                        Expired::WaitOn(call) => Some((asked_at(&world, &call), call)),
                        Expired::Next(action) => {
                            assert!(world.cooling(0) > 0.0 && request == READ, "{action:?}");
                            None
                        }
                    }
                })
                .collect();
            if world.cooling(0) > 0.0 {
                break world.now;
            }
        };
        let after = cools.since(silent_from);
        assert!((seconds(1.0)..=seconds(2.5)).contains(&after), "{after:?} at {rate} a second");
        assert_eq!(world.begin(request).index(), 1);
        assert_eq!((world.answered(0.02), world.group.sticky()), (1, 1));
    }
}

/// Guards: `Call::waits_on` that goes on although the target does not cool, needs no proof, or has nowhere to go.
#[test]
fn late_a_read_goes_on_to_a_ready_target_while_its_own_cools_and_a_write_waits_on() {
    for (request, cooling, goes_on) in [
        (READ, &[0][..], true),
        (READ, &[], false),
        (READ, &[1], false),
        (READ, &[0, 1], false),
        (WRITE, &[0], false),
        (STREAM, &[0], false),
    ] {
        let mut world = World::new(2, Policy::default().failback(None));
        warm(&mut world, 0.02);
        let attempt = world.begin(request);
        world.sleep(1.5);
        for &target in cooling {
            world.group.prefer(target, world.now).expect("a target");
            drop(report(world.begin(READ), 0, DEAD, None, world.now));
            world.sleep(1e-6);
        }
        world.group.prefer(0, world.now).expect("a target");
        assert!(cooling.iter().all(|&target| world.cooling(target) > 0.0));
        assert_eq!(is_given_up(&world, attempt), goes_on, "{request:?} while {cooling:?} cool");
    }
}

/// Guards: `Call::bound` that asks a late attempt no more; `Call::waits_on` that asks only when it becomes late.
#[test]
fn late_an_attempt_that_waits_on_is_asked_each_floor_and_goes_on_soon_after_its_target_cools() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.02);
    let mut attempt = world.begin(READ);
    for asked in 1..=3 {
        assert_eq!(attempt.bound(), seconds(1.0));
        world.sleep(1.0);
        let Expired::WaitOn(same) = expire(&world, attempt) else {
            panic!("no target is known to be better")
        };
        assert_eq!((world.strikes()[0], asked <= 3), (1, true), "one strike for one attempt");
        attempt = same;
    }
    for _ in 0..2 {
        drop(report(world.begin(READ), 0, UNCLEAR, None, world.now));
    }
    world.sleep(1.0);
    let Expired::Next(Action::Send(second)) = expire(&world, attempt) else { panic!("its target cools") };
    assert_eq!((second.index(), world.strikes()[0]), (1, 3));
}

/// Guards: `Call::book` that books the failure of an attempt which was late before.
#[test]
fn late_the_same_attempts_later_failure_adds_none() {
    for failure in [UNCLEAR, BUSY, DEAD] {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, 0.02);
        let attempt = world.begin(READ);
        world.sleep(1.0);
        let Expired::WaitOn(attempt) = expire(&world, attempt) else { panic!("it waits on") };
        world.sleep(4.0);
        drop(report(attempt, 0, failure, None, world.now));
        assert_eq!(world.strikes()[0], 1, "{failure:?}");
    }
}

/// Guards: `Health::answered` that does not forgive an attempt which was late, but answered.
#[test]
fn late_an_answer_forgives_it() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.02);
    let attempt = world.begin(READ);
    world.sleep(1.0);
    let Expired::WaitOn(attempt) = expire(&world, attempt) else { panic!("it waits on") };
    assert_eq!(world.strikes()[0], 1);
    assert_eq!((world.returned(attempt, OK), world.strikes()[0]), (0, 0));
}

/// Guards: `Health::late_after` that takes the floor where nothing is known.
#[test]
fn late_a_target_that_always_takes_twenty_seconds_never_is() {
    let mut world = World::new(2, Policy::default().attempt_timeout(seconds(60.0)).deadline(None));
    for _ in 0..50 {
        let call = world.begin(READ);
        assert_eq!((call.index(), call.bound()), (0, seconds(60.0)));
        world.sleep(20.0);
        assert_eq!(world.returned(call, OK), 0);
    }
    assert_eq!(world.strikes()[0], 0);
}

// The guards

/// Guards: `Health::waited` that does not ask whether the target was heard; `Pace::answered` that notes only good answers.
#[test]
fn late_heard_a_target_that_answers_others_is_not_silent() {
    for answer in [OK, Outcome::Status(404), BUSY, Outcome::Status(500)] {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, 0.02);
        let long_poll = world.begin(READ);
        world.sleep(0.5);
        drop(report(world.begin(READ), 0, answer, None, world.now));
        let before = world.strikes()[0];
        let mut long_poll = long_poll;
        for _ in 0..3 {
            world.sleep(long_poll.bound().as_secs_f64());
            let Expired::WaitOn(same) = expire(&world, long_poll) else { panic!("it waits on") };
            long_poll = same;
        }
        world.left(long_poll);
        assert_eq!(world.strikes()[0], before, "{answer:?} was heard");
    }
}

#[test]
fn late_heard_long_polls_beside_fast_calls_move_nobody() {
    let mut world = World::new(2, Policy::default().attempt_timeout(seconds(60.0)).deadline(None));
    warm(&mut world, 0.02);
    let mut polls: Vec<(Timestamp, Timestamp, Attempt<usize, usize, Outcome>)> = vec![];
    for nth in 0..2_000 {
        if nth % 10 == 0 {
            let poll = world.begin(READ);
            polls.push((world.now + seconds(30.0), asked_at(&world, &poll), poll));
        }
        world.sleep(0.1);
        polls = polls
            .into_iter()
            .filter_map(|(ends, asked, poll)| {
                if ends <= world.now {
                    assert_eq!(world.returned(poll, OK), 0);
                    return None;
                }
                if asked > world.now {
                    return Some((ends, asked, poll));
                }
                let Expired::WaitOn(poll) = expire(&world, poll) else { panic!("a poll was given up") };
                Some((ends, asked_at(&world, &poll), poll))
            })
            .collect();
        assert_eq!((world.answered(0.02), world.group.sticky(), world.strikes()[0]), (0, 0, 0));
    }
}

/// Guards: `Pace::counts` that lets each attempt count, or none that begins half a floor later.
#[test]
fn late_half_a_floor_questions_that_are_asked_at_once_count_once() {
    for (apart, strikes) in [(0.0, 1), (0.1, 1), (0.24, 1), (0.25, 2), (0.49, 2), (0.51, 2)] {
        let mut world = World::new(2, Policy::default().leave_after(9));
        warm(&mut world, 0.02);
        let began = world.now;
        let calls: Vec<_> = (0..3)
            .map(|nth| {
                world.now = began + seconds(apart) * nth;
                world.begin(READ)
            })
            .collect();
        for (nth, call) in (0..).zip(calls) {
            world.now = began + seconds(apart) * nth + seconds(1.0);
            assert!(!is_given_up(&world, call));
        }
        assert_eq!(world.strikes()[0], if apart > 0.5 { 3 } else { strikes }, "{apart} s apart");
    }
}

/// Guards: `Late::counts_as_of` that counts each attempt from its beginning; one that counts all of them when they are asked
/// again; `Health::waited` that asks whether the target was heard since the attempt counts.
#[test]
fn late_callers_who_all_came_at_once_leave_a_target_that_hangs_although_nobody_comes_after_them() {
    // What was usual, and when the target answers somebody who came after them: when it cools.
    for (usual, heard, cools) in
        [(0.02, None, Some(5.0)), (0.5, None, Some(5.5)), (0.02, Some(0.5), None), (0.02, Some(1.5), None)]
    {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, usual);
        let began = world.now;
        let mut waiting: Vec<_> = (0..64).map(|_| world.begin(READ)).collect();
        if heard == Some(0.5) {
            world.sleep(0.5);
            assert_eq!(world.returned(world.begin(READ), OK), 0);
        }
        let mut asked = began + seconds(1.0_f64.max(usual * 3.0));
        let mut left = vec![];
        while world.now < began + seconds(6.0) {
            world.now = asked;
            let strikes = world.strikes()[0];
            for call in std::mem::take(&mut waiting) {
                match expire(&world, call) {
                    Expired::WaitOn(call) => waiting.push(call),
                    Expired::Next(Action::Send(next)) => left.push((world.now, next)),
                    Expired::Next(ended) => panic!("{ended:?}"),
                }
            }
            assert!(world.strikes()[0] <= strikes + 1, "one each time that they are asked");
            if heard == Some(1.5) && world.now < began + seconds(1.5) {
                world.now = began + seconds(1.5);
                assert_eq!(world.returned(world.begin(READ), OK), 0);
            }
            asked = asked + seconds(1.0);
        }
        let first = left.first().map(|(at, next)| (at.since(began), next.index()));
        assert_eq!(first, cools.map(|cools| (seconds(cools), 1)), "{usual} {heard:?}");
        assert_eq!((waiting.len(), left.len()), if cools.is_some() { (0, 64) } else { (64, 0) });
        assert_eq!(world.strikes()[0], if cools.is_some() { 3 } else { 0 });
    }
}

/// Guards: `Health::waited` whose last strike counts as soon as the target was silent for a floor, though it was idle before.
#[test]
fn late_idle_six_slow_questions_at_an_idle_service_move_nobody() {
    for apart in [0.0, 0.3, 0.5, 0.7] {
        for idle in [0.01, 5.0, 60.0, 500.0] {
            if idle < 1.0 && apart > 0.0 {
                // At one that is not idle only a page of them is not a hang.
                continue;
            }
            for request in [READ, WRITE] {
                let mut world = World::new(2, Policy::default());
                warm(&mut world, 0.02);
                world.sleep(idle);
                let mut events = vec![];
                let began = world.now;
                for nth in 0..6 {
                    world.now = began + seconds(apart) * nth;
                    let call = world.begin(request);
                    events.push((asked_at(&world, &call), world.now + seconds(4.0), call));
                }
                while let Some(next) =
                    (0..events.len()).min_by_key(|&event| events[event].0.min(events[event].1))
                {
                    let (asked, answered, call) = events.swap_remove(next);
                    world.now = asked.min(answered);
                    if answered <= asked {
                        assert_eq!(world.returned(call, OK), 0);
                    } else {
                        let Expired::WaitOn(call) = expire(&world, call) else {
                            panic!("a question was given up")
                        };
                        events.push((asked_at(&world, &call), answered, call));
                    }
                    assert_eq!((world.group.sticky(), world.cooling(0)), (0, 0.0), "{apart} s apart");
                }
                assert_eq!(world.strikes()[0], 0);
            }
        }
    }
}

/// Guards: `Health::waited` that never believes an idle target to hang, or takes more than five floors for it.
#[test]
fn late_idle_a_target_that_was_idle_before_is_left_in_five_floors() {
    for (idle, least, most) in [(0.0, 2.0, 2.5), (60.0, 5.0, 5.2)] {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, 0.02);
        world.sleep(idle);
        let began = world.now;
        let mut waiting = vec![];
        while world.cooling(0) <= 0.0 {
            assert!(world.now.since(began) <= seconds(most), "it is believed to answer");
            let call = world.begin(WRITE);
            waiting.push((asked_at(&world, &call), call));
            world.sleep(0.1);
            waiting = waiting
                .into_iter()
                .map(|(asked, call)| {
                    if asked > world.now {
                        return (asked, call);
                    }
                    let Expired::WaitOn(call) = expire(&world, call) else { panic!("a write waits on") };
                    (asked_at(&world, &call), call)
                })
                .collect();
        }
        let after = world.now.since(began).as_secs_f64();
        assert!((least..=most).contains(&after), "{after} after {idle} s of silence");
    }
}

/// Guards: `Health::waited` that asks for another multiple of the silence before the first strike, or takes it from elsewhere.
#[test]
fn late_idle_the_last_strike_counts_after_eight_times_the_silence_before_the_first() {
    for (silence, needed) in [(0.375, 3.0), (0.5, 4.0), (0.75, 5.0), (100.0, 5.0)] {
        let strikes = |waited: f64| {
            let mut world = World::new(2, Policy::default());
            assert_eq!(world.answered(0.01), 0);
            world.sleep(silence);
            let began = world.now;
            let calls = [0.0, 0.5, 1.0].map(|nth| {
                world.now = began + seconds(nth);
                world.begin(WRITE)
            });
            for (call, left) in calls.into_iter().zip([1.0, 1.5, waited]) {
                world.now = began + seconds(left);
                world.left(call);
            }
            world.strikes()[0]
        };
        assert_eq!([strikes(needed - 0.001), strikes(needed)], [2, 3], "after {silence} s of silence");
    }
}

// Callers that leave

/// Guards: `Attempt::abandon` that books nothing; `Late::least_wait` that asks for a floor where answers take far less.
#[test]
fn abandoned_a_target_that_hangs_is_left_although_every_caller_leaves_first() {
    for (is_warm, patience, apart, most) in [
        (true, 0.3, 0.1, 2.0),
        (true, 0.1, 0.01, 2.0),
        (true, 0.9, 0.02, 2.0),
        (false, 1.0, 0.1, 2.5),
        (false, 1.0, 30.0, 180.0),
        (true, 0.5, 30.0, 180.0),
    ] {
        for request in [READ, WRITE, STREAM] {
            let mut world = World::new(2, Policy::default());
            if is_warm {
                warm(&mut world, 0.02);
            }
            let began = world.now;
            let mut waiting = vec![];
            loop {
                let call = world.begin(request);
                if call.index() == 1 {
                    break;
                }
                assert!(world.now.since(began) <= seconds(most), "{request:?} {patience} {apart}");
                waiting.push((world.now, call));
                world.sleep(apart);
                waiting = waiting
                    .into_iter()
                    .filter_map(|(began, mut call)| {
                        let leaves = began + seconds(patience);
                        if leaves > world.now {
                            return Some((began, call));
                        }
                        call.abandon(leaves);
                        None
                    })
                    .collect();
            }
            assert_eq!((world.answered(0.02), world.group.sticky()), (1, 1));
        }
    }
}

/// Guards: `Health::waited` whose last strike counts before the first began a floor ago.
#[test]
fn abandoned_the_last_strike_counts_only_a_floor_after_the_first_began() {
    let late = Some(Late { factor: 3, floor: seconds(4.0) });
    let mut world = World::new(2, Policy::default().leave_after(2).late(late));
    warm(&mut world, 0.02);
    let began = world.now;
    for (begins, leaves, strikes) in
        [(0.0, 0.5, 1), (1.9, 2.4, 1), (2.0, 2.5, 1), (2.6, 3.9, 1), (2.7, 4.0, 2)]
    {
        world.now = began + seconds(begins);
        let call = world.begin(READ);
        world.now = began + seconds(leaves);
        world.left(call);
        assert_eq!(world.strikes()[0], strikes, "after {leaves} s");
    }
}

/// Guards: `Call::drop` that books what the caller waited; `Health::waited` that judges where late is off.
#[test]
fn abandoned_a_plain_drop_books_nothing() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.02);
    for _ in 0..20 {
        let call = world.begin(READ);
        world.sleep(5.0);
        drop(call);
    }
    assert_eq!(world.strikes(), [0, 0]);
    let mut off = World::new(2, Policy::default().late(None));
    for _ in 0..20 {
        let call = off.begin(READ);
        off.sleep(9.0);
        off.left(call);
    }
    assert_eq!(off.strikes(), [0, 0], "nor does a caller who leaves where late is off");
}

/// Guards: `Late::least_wait` without its smallest wait, or without the floor where nothing is known; `Health::teach` that
/// learns from a hurry.
#[test]
fn haste_callers_of_three_milliseconds_move_nobody() {
    for usual in [None, Some(0.000_1), Some(0.002), Some(0.02), Some(0.5)] {
        let mut world = World::new(2, Policy::default());
        if let Some(usual) = usual {
            warm(&mut world, usual);
        }
        for _ in 0..10_000 {
            let call = world.begin(READ);
            assert_eq!(call.index(), 0);
            world.sleep(0.003);
            world.left(call);
            let hasty: Step = world.group.begin(facts(READ).within(seconds(0.003)), world.now);
            let mut action = hasty;
            while let Action::Send(attempt) = action {
                world.now = asked_at(&world, &attempt);
                action = match expire(&world, attempt) {
                    Expired::WaitOn(attempt) => Action::Send(attempt),
                    Expired::Next(action) => action,
                };
            }
        }
        assert_eq!((world.group.sticky(), world.strikes()), (0, vec![0, 0]), "where {usual:?} is usual");
        let learned = world.group.snapshot(world.now).targets[0].usual;
        assert!(learned <= usual.map(seconds), "{learned:?} is what a hurry taught");
    }
}

/// Guards: `Call::harm_of_waiting` that takes a caller's own deadline for the policy's; `Health::waited` for three times too
/// short a wait; `Pace::teach` that lowers what is known.
#[test]
fn haste_a_callers_own_deadline_of_two_seconds_harms_nobody() {
    for request in [READ, WRITE] {
        for timed_out_once in [false, true] {
            let mut world = World::new(2, Policy::default());
            warm(&mut world, 3.0);
            let usual = world.group.snapshot(world.now).targets[0].usual;
            for nth in 0..200 {
                let hasty = first(world.group.begin(facts(request).within(seconds(2.0)), world.now));
                assert_eq!(hasty.index(), 0, "call {nth}");
                let mut action = Action::Send(hasty);
                while let Action::Send(attempt) = action {
                    action = if timed_out_once {
                        world.now = world.now + attempt.timeout();
                        attempt.timed_out(Evidence::MaybeProcessed, UNCLEAR, world.now)
                    } else {
                        wait(&mut world, attempt)
                    };
                }
            }
            assert_eq!((world.strikes()[0], world.group.sticky()), (0, 0));
            assert_eq!(world.group.snapshot(world.now).targets[0].usual, usual);
            assert_eq!(world.answered(3.0), 0, "patient callers are served there");
        }
    }
}

/// Guards: `Call::harm_of_waiting` that takes any wait for enough.
#[test]
fn haste_callers_of_two_seconds_move_nobody_at_cold_targets_that_take_three() {
    let mut world = World::new(2, Policy::default());
    for _ in 0..50 {
        assert_eq!(served(&mut world, facts(READ).within(seconds(2.0)), |_| Some(3.0)), None);
        assert_eq!((world.strikes()[0], world.group.sticky()), (world.strikes()[1], 0), "all alike");
    }
    assert_eq!(served(&mut world, facts(READ), |_| Some(3.0)), Some(0), "patient callers are served there");
    assert_eq!(world.strikes()[0], 0);
}

/// Guards: `Call::harm_of_waiting` that takes no timeout for a strike, or any; `Policy::full_time` that forgets the deadline.
#[test]
fn attempt_bound_a_timeout_is_a_strike_if_the_attempt_had_the_policys_time() {
    let late = None;
    for (attempt_timeout, deadline, within, strikes) in [
        (10.0, 30.0, None, 1),
        (10.0, 12.0, None, 1),
        (10.0, 30.0, Some(20.0), 1),
        (10.0, 30.0, Some(19.0), 0),
        (10.0, 12.0, Some(11.0), 0),
        (60.0, 30.0, None, 1),
    ] {
        for once in [false, true] {
            let policy = Policy::default()
                .attempt_timeout(seconds(attempt_timeout))
                .deadline(seconds(deadline))
                .late(late);
            let mut world = World::new(2, policy);
            let asked = facts(READ);
            let asked = within.map_or(asked, |within| asked.within(seconds(within)));
            let attempt = first(world.group.begin::<usize, Outcome>(asked, world.now));
            world.now = if once { world.now + attempt.timeout() } else { asked_at(&world, &attempt) };
            let action = if once {
                attempt.timed_out(Evidence::MaybeProcessed, UNCLEAR, world.now)
            } else {
                match expire(&world, attempt) {
                    Expired::Next(action) => action,
                    Expired::WaitOn(attempt) => panic!("{attempt:?} waits on"),
                }
            };
            assert!(matches!(action, Action::Send(_)));
            assert_eq!(world.strikes(), [strikes, 0], "{attempt_timeout} {deadline} {within:?}");
        }
    }
}

/// Guards: `Call::aim` that counts the time of one attempt from the beginning of another.
#[test]
fn attempt_bound_each_attempt_has_its_own_however_long_the_last_one_took() {
    let mut world = World::new(3, Policy::default());
    world.group.prefer(1, world.now).expect("a target");
    for _ in 0..8 {
        assert_eq!(world.answered(0.5), 1);
    }
    world.group.prefer(0, world.now).expect("a target");
    world.sleep(0.001);
    let call = world.begin(READ);
    assert_eq!(call.bound(), seconds(10.0));
    world.sleep(9.0);
    let second = world.went_on(call, UNCLEAR);
    assert_eq!((second.index(), second.bound()), (1, seconds(1.5)), "three times its own half second");
    world.sleep(1.0);
    let third = world.went_on(second, UNCLEAR);
    assert_eq!((third.bound(), third.timeout()), (seconds(10.0), seconds(10.0)));
}

/// Guards: `Call::harm_of_waiting` that takes what hangs alone, while the target answers others, for the target's fault.
#[test]
fn poison_a_request_that_alone_is_not_answered_is_no_strike() {
    for late in [None, Some(Late::default())] {
        let mut world = World::new(2, Policy::default().late(late));
        for _ in 0..5 {
            world.sleep(1.0);
            let poison = world.begin(WRITE);
            world.sleep(5.0);
            assert_eq!(world.answered(0.02), 0);
            let ended = wait(&mut world, poison);
            assert!(matches!(ended, Action::Fail(_)), "{ended:?}");
            assert_eq!((world.strikes(), world.group.sticky()), (vec![0, 0], 0));
        }
    }
}

// A further target

/// Guards: `Call::waits_on` that gives a target up at half of the time although it is known to answer, or waits on for one that
/// is not, or that is late and silent.
#[test]
fn standby_at_half_of_the_time_a_target_with_history_goes_on() {
    // Usual, heard meanwhile, given up at half of 8 s.
    for (usual, heard, given_up) in
        [(None, false, true), (Some(0.02), false, true), (Some(0.02), true, false), (Some(2.0), false, false)]
    {
        let mut world = World::new(2, Policy::default().deadline(seconds(8.0)));
        if let Some(usual) = usual {
            warm(&mut world, usual);
        }
        let began = world.now;
        let mut attempt = world.begin(READ);
        if heard {
            world.sleep(0.5);
            assert_eq!(world.returned(world.begin(READ), OK), 0);
        }
        while world.now.since(began) < seconds(4.0) {
            world.now = asked_at(&world, &attempt).min(began + seconds(4.0));
            match expire(&world, attempt) {
                Expired::WaitOn(same) => attempt = same,
                Expired::Next(Action::Send(next)) => {
                    assert!(given_up && world.now.since(began) == seconds(4.0), "{usual:?}");
                    assert_eq!(next.index(), 1);
                    attempt = next;
                }
                Expired::Next(ended) => panic!("{ended:?}"),
            }
        }
        assert_eq!(attempt.index(), usize::from(given_up), "{usual:?} {heard}");
        world.sleep(2.0);
        assert_eq!(world.returned(attempt, OK), usize::from(given_up), "the answer that it would have had");
    }
}

/// Guards: `Call::could_go_on` that lets go of a target although the call can ask no other.
#[test]
fn standby_a_call_that_cannot_go_on_waits_for_all_of_its_time() {
    let short = || Policy::default().deadline(seconds(8.0));
    for (targets, request, policy) in [
        (2, WRITE, short()),
        (2, STREAM, short()),
        (1, READ, short()),
        (2, READ, short().max_attempts(1)),
        (2, READ, short().budget(Budget { percent: 0, reserve: 0 })),
    ] {
        let mut world = World::new(targets, policy);
        let began = world.now;
        let attempt = world.begin(request);
        world.sleep(5.0);
        let Expired::WaitOn(attempt) = expire(&world, attempt) else { panic!("it was asked too early") };
        let ended = wait(&mut world, attempt);
        assert!(matches!(ended, Action::Fail(_)), "{ended:?}");
        assert_eq!(world.now.since(began), seconds(8.0));
    }
}

/// Guards: `Call::stop` that teaches nothing.
#[test]
fn standby_a_cold_group_of_slow_targets_answers_in_time() {
    for targets in [2, 3] {
        for (deadline, within) in [(30.0, 8.0), (8.0, 8.0), (8.0, 30.0)] {
            let mut world = World::new(targets, Policy::default().deadline(seconds(deadline)));
            let asked = facts(READ).within(seconds(within));
            let mut answers = (0..4).map(|_| served(&mut world, asked, |_| Some(6.0)));
            assert_eq!(answers.next(), Some(None), "each had but a part of the time");
            assert_eq!(answers.next(), Some(Some(0)), "{targets} targets, {deadline} s, {within} s");
            assert_eq!(answers.next(), Some(Some(0)));
        }
    }
}

/// Guards: `Call::stop` that teaches nothing where the others failed otherwise than for lack of time: then a target that
/// takes more than half of the time never answers beside one that is down.
#[test]
fn standby_a_slow_target_answers_in_time_beside_one_that_fails() {
    for failure in [DEAD, BUSY, UNCLEAR] {
        for down in [0, 1] {
            let mut world = World::new(2, Policy::default());
            let mut lost = 0;
            for _ in 0..100 {
                world.sleep(1.0);
                let asked = facts(READ).within(seconds(0.5));
                let answered = served_unless(&mut world, asked, (down, failure), |_| Some(0.35));
                lost += usize::from(answered.is_none());
            }
            assert!(lost <= 1, "{lost} of 100, {failure:?} at target {down}");
        }
    }
}

/// Guards: `Call::waits_on` that lets a call wait for a floor that does not fit into its time.
#[test]
fn standby_half_of_a_short_time_is_kept_where_that_is_many_times_the_usual() {
    // In seconds: what is usual, the time of the call, and when it goes on.
    for (usual, within, goes_on) in [(0.02, 0.5, 0.25), (0.02, 1.5, 0.75), (0.25, 0.9, 0.75), (0.3, 1.5, 0.9)]
    {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, usual);
        let began = world.now;
        let asked = facts(READ).within(seconds(within));
        let answered = served(&mut world, asked, |target| (target == 1).then_some(0.0));
        assert_eq!(answered, Some(1), "usual {usual}, within {within}");
        // A mark keeps 256 ns apart.
        let after = world.now.since(began);
        assert!(after <= seconds(goes_on) && after + seconds(0.000_01) > seconds(goes_on), "{after:?}");
    }
}

/// Guards: `Pace::adapt` that takes what was taught for as good as what an answer tells.
#[test]
fn standby_one_slow_answer_beside_a_busy_standby_costs_no_later_calls() {
    let mut world = World::new(2, Policy::default());
    warm(&mut world, 0.02);
    let asked = facts(READ).within(seconds(0.5));
    served_unless(&mut world, asked, (1, BUSY), |_| Some(0.4));
    for _ in 0..30 {
        world.sleep(0.05);
        assert_eq!(served(&mut world, asked, |_| Some(0.02)), Some(0));
    }
    let lost = lost_where_target_0_hangs(&mut world, asked);
    assert!(lost <= 1, "{lost} of 300");
}

/// Guards: `Pace::doubt` that keeps what answers told before the target fell silent, so that nothing is kept for others.
#[test]
fn standby_a_time_that_is_short_for_what_is_usual_is_lost_once() {
    for (usual, within) in [(0.25, 0.5), (0.3, 0.5), (0.7, 2.0)] {
        let mut world = World::new(2, Policy::default());
        warm(&mut world, usual);
        let asked = facts(READ).within(seconds(within));
        let lost = lost_where_target_0_hangs(&mut world, asked);
        assert!(lost <= 1, "{lost} of 300 where {usual} is usual, within {within}");
    }
}

/// Guards: `Call::stop` that teaches from a last attempt, for which no time was kept from it.
#[test]
fn standby_a_last_attempt_teaches_nothing() {
    for deadline in [2.0, 5.0] {
        for every in [7, 20, 50] {
            let mut world = World::new(2, Policy::default().with_bounds(None, Some(seconds(deadline))));
            warm(&mut world, 0.02);
            for call in 1..=600 {
                world.sleep(1.0);
                let busy = if call % every == 0 { 1 } else { usize::MAX };
                let answered = served_unless(&mut world, facts(READ), (busy, BUSY), |target| {
                    (target == 1).then_some(0.02)
                });
                assert!(answered == Some(1) || busy == 1, "call {call}, deadline {deadline}, every {every}");
            }
        }
    }
}

/// Guards: `Call::stop` that teaches from a call which did not ask all, or that did not end for lack of time.
#[test]
fn standby_only_a_call_that_asked_all_and_lacked_time_teaches() {
    let mut world = World::new(2, Policy::default());
    for _ in 0..2 {
        let asked = facts(WRITE).within(seconds(0.9));
        assert_eq!(served(&mut world, asked, |_| None), None);
        assert_eq!(world.group.snapshot(world.now).targets[0].usual, None);
    }
    for failure in [UNCLEAR, BUSY, DEAD] {
        let call = world.begin(READ);
        world.sleep(0.8);
        let second = world.went_on(call, failure);
        world.sleep(0.8);
        drop(report(second, 1, failure, None, world.now));
        assert_eq!(world.group.snapshot(world.now).targets[0].usual, None, "{failure:?} is no lack of time");
    }
    let mut world = World::new(2, Policy::default());
    let asked = facts(READ).within(seconds(0.9));
    assert_eq!(served(&mut world, asked, |_| None), None);
    let usual = world.group.snapshot(world.now).targets[0].usual.expect("both were asked");
    assert!((seconds(0.449)..=seconds(0.45)).contains(&usual), "{usual:?}");
}

/// Guards: `Call::stop` that doubts another target than the last one that its call asked.
#[test]
fn standby_what_a_call_taught_is_doubted_where_another_ends_that_asked_only_some() {
    let mut world = World::new(3, Policy::default());
    let asked = |time| facts(READ).within(seconds(time));
    assert_eq!(served(&mut world, asked(0.9), |_| None), None);
    let usual = |world: &World| world.group.snapshot(world.now).targets[0].usual;
    let taught = usual(&world);
    assert!(taught.is_some());
    let give_up = |world: &mut World, attempt: Attempt<usize, usize, Outcome>| {
        world.sleep(0.2);
        attempt.timed_out(Evidence::MaybeProcessed, UNCLEAR, world.now)
    };
    let first: Attempt<_, _, _> = first(world.group.begin(asked(0.4), world.now));
    let Action::Send(second) = give_up(&mut world, first) else { panic!("half of the time is left") };
    assert!(matches!(give_up(&mut world, second), Action::Fail(_)));
    assert_eq!(usual(&world), taught, "target 1 ended it");
    let write = world.begin(WRITE);
    assert!(matches!(give_up(&mut world, write), Action::Fail(_)));
    assert_eq!(usual(&world), None);
}

/// Guards: `Call::stop` that doubts only what ended before the policy's own bound of an attempt.
#[test]
fn abandoned_a_target_that_hangs_is_doubted_where_an_attempt_may_take_all_of_the_deadline() {
    let mut world = World::new(2, Policy::default().with_bounds(None, Some(seconds(2.0))));
    assert_eq!(served(&mut world, facts(READ), |_| None), None, "both hang");
    let mut lost = 0;
    for _ in 0..100 {
        world.sleep(30.0);
        lost +=
            usize::from(served(&mut world, facts(READ), |target| (target == 1).then_some(0.02)).is_none());
    }
    assert!(lost <= 1, "{lost} of 100 calls were not answered, though target 1 works");
}

/// Guards: `Pace::teach` that takes a hang for slow answers.
#[test]
fn abandoned_a_target_that_hangs_is_left_although_the_other_was_slow_once() {
    for is_warm in [false, true] {
        let mut world = World::new(2, Policy::default());
        if is_warm {
            warm(&mut world, 0.02);
        }
        let asked = facts(READ).within(seconds(2.0));
        let first = served(&mut world, asked, |target| (target == 1).then_some(1.5));
        assert_eq!(first, None, "target 0 hangs, and target 1 is slow this once");
        let mut lost = 0;
        for _ in 0..100 {
            world.sleep(3.0);
            lost += usize::from(served(&mut world, asked, |target| (target == 1).then_some(0.02)).is_none());
        }
        assert!(lost <= 3, "{lost} of 100 calls were not answered, though target 1 works");
    }
}

// Helpers

/// Lets target 0 give the answers from which it is known how long they take, the last of them a moment ago.
fn warm(world: &mut World, took: f64) {
    for _ in 0..8 {
        assert_eq!(world.answered(took), 0);
    }
    world.sleep(0.001);
}

/// Says that there is no answer yet.
fn expire(world: &World, attempt: Attempt<usize, usize, Outcome>) -> Expired<usize, usize, Outcome> {
    attempt.expired(Evidence::MaybeProcessed, UNCLEAR, world.now)
}

/// Whether the attempt is given up that is not answered yet.
fn is_given_up(world: &World, attempt: Attempt<usize, usize, Outcome>) -> bool {
    matches!(expire(world, attempt), Expired::Next(_))
}

/// When the driver asks next whether the attempt goes on, which is later than now.
fn asked_at(world: &World, attempt: &Attempt<usize, usize, Outcome>) -> Timestamp {
    assert!(!attempt.bound().is_zero(), "it would be asked for ever at one moment");
    world.now + attempt.bound()
}

/// Waits for an answer that does not come, until the attempt is given up.
fn wait(world: &mut World, mut attempt: Attempt<usize, usize, Outcome>) -> Step {
    loop {
        world.now = asked_at(world, &attempt);
        attempt = match expire(world, attempt) {
            Expired::WaitOn(same) => same,
            Expired::Next(action) => return action,
        };
    }
}

/// How many of 300 calls have no answer, one a second.
fn lost_where_target_0_hangs(world: &mut World, asked: Facts) -> usize {
    (0..300)
        .filter(|_| {
            world.sleep(1.0);
            served(world, asked, |target| (target == 1).then_some(0.02)).is_none()
        })
        .count()
}

/// Makes a call to targets that take so many seconds, or for ever: which one answered, if any.
fn served(world: &mut World, asked: Facts, takes: impl Fn(usize) -> Option<f64>) -> Option<usize> {
    served_unless(world, asked, (usize::MAX, UNCLEAR), takes)
}

/// The same where one target fails at once.
fn served_unless(
    world: &mut World,
    asked: Facts,
    (down, failure): (usize, Outcome),
    takes: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    let mut action: Step = world.group.begin(asked, world.now);
    loop {
        action = match action {
            Action::Send(attempt) if attempt.index() == down => report(attempt, 0, failure, None, world.now),
            Action::Send(attempt) => {
                let answered = takes(attempt.index()).map(|takes| attempt.began() + seconds(takes));
                let asked = asked_at(world, &attempt);
                world.now = answered.map_or(asked, |answered| answered.min(asked));
                if answered == Some(world.now) {
                    return Some(world.returned(attempt, OK));
                }
                match expire(world, attempt) {
                    Expired::WaitOn(same) => Action::Send(same),
                    Expired::Next(action) => action,
                }
            }
            Action::Fail(_) => return None,
            other => panic!("{other:?}"),
        }
    }
}

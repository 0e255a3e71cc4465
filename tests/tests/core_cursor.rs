//! What moves the cursor, and what does not: each requirement a test with its name.

use failover_core::{Action, CoolDown, Evidence, Follow, Policy, Reason};
use failover_tests::drive::report;
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, DEAD, HANDED_BACK, LOCAL, OK, READ, REFUSED, STALE, UNCLEAR, WRITE, World, codes, plain, seconds,
};

// One call against others

/// Guards: `Call::next_target` that goes by where the cursor is now.
#[test]
fn snapshot_a_call_reads_the_cursor_once() {
    let world = World::new(3, plain());
    let call = world.begin(READ);
    world.group.prefer(2, world.now).expect("a target");
    assert_eq!(world.went_on(call, DEAD).index(), 1, "the order is the one of the cursor that the call saw");
}

/// Guards: `Call::settle` that moves the cursor from where it is, and not from where the call saw it.
#[test]
fn epoch_a_slow_call_never_undoes_a_newer_failover() {
    let world = World::new(3, plain());
    let (right, wrong) = (world.begin(READ), world.begin(READ));
    assert_eq!(world.call(READ, &[DEAD, DEAD, OK]).cursor, 2);
    assert_eq!(world.returned(right, OK), 0);
    assert_eq!(world.group.sticky(), 2);
    assert_eq!(world.returned(world.went_on(wrong, DEAD), OK), 1);
    assert_eq!(world.group.sticky(), 2);
}

/// Guards: `Position::moved_to` that keeps the epoch.
#[test]
fn epoch_a_move_there_and_back_is_a_move() {
    let world = World::new(2, plain());
    let slow = world.begin(READ);
    world.group.prefer(1, world.now).expect("a target");
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.returned(world.went_on(slow, DEAD), OK), 1);
    assert_eq!(world.group.sticky(), 0, "what the call saw has moved since");
}

/// Guards: `Call::settle` that moves the cursor on by one for each call that failed.
#[test]
fn one_step_concurrent_failures_move_the_cursor_once() {
    let world = World::new(4, plain());
    let calls: Vec<_> = (0..100).map(|_| world.begin(READ)).collect();
    for call in calls {
        assert_eq!(world.returned(world.went_on(call, DEAD), OK), 1);
        assert_eq!(world.group.sticky(), 1);
    }
}

// Strikes

/// Guards: `Health::is_to_be_left` that takes fewer strikes than `leave_after` for enough; `Health::strike` that takes each
/// failed connection for all strikes at once.
#[test]
fn blip_one_failure_in_a_thousand_moves_nobody() {
    for blip in [BUSY, UNCLEAR, REFUSED, DEAD, Outcome::Status(421), Outcome::Status(501)] {
        let mut world = World::new(3, Policy::default());
        for call in 0..5_000 {
            world.sleep(0.02);
            let is_blip = call % 1_000 == 500;
            let trace = world.by_target(READ, |target| if target == 0 && is_blip { blip } else { OK });
            assert_eq!((trace.tried[0], trace.end, trace.cursor), (0, Ok(usize::from(is_blip)), 0));
        }
        assert_eq!(world.strikes(), [0; 3], "{blip:?}");
    }
}

/// Guards: `Health::is_to_be_left` that needs one strike more or less.
#[test]
fn blip_two_in_a_row_move_nobody_and_three_do() {
    for leave_after in [1, 2, 3, 7] {
        for failure in [BUSY, UNCLEAR] {
            let world = World::new(3, Policy::default().leave_after(leave_after));
            for _ in 0..3 {
                for _ in 1..leave_after {
                    assert_eq!(world.call(READ, &[failure, OK]).cursor, 0);
                }
                assert_eq!(world.call(READ, &[OK]).tried, [0], "it forgives");
            }
            for _ in 1..leave_after {
                assert_eq!(world.call(READ, &[failure, OK]).cursor, 0);
            }
            assert_eq!(world.call(READ, &[failure, OK]).cursor, 1, "{leave_after} x {failure:?}");
        }
    }
}

/// Guards: `Call::settle` that moves the cursor on an answer that is not well.
#[test]
fn not_well_a_500_from_another_target_moves_nobody() {
    for code in [500, 599, 429, 200, 404] {
        let world = World::new(2, Policy::default());
        let trace = world.call(READ, &[DEAD, Outcome::Status(code)]);
        let is_well = matches!(code, 200 | 404);
        assert_eq!((trace.end, trace.cursor), (Ok(1), usize::from(is_well)), "{code}");
    }
}

/// Guards: `Call::begin` that does not look whether the sticky target cools.
#[test]
fn a_sticky_target_that_cools_is_left_by_the_call_that_is_answered_elsewhere() {
    let world = World::new(3, Policy::default());
    for _ in 0..3 {
        assert_eq!(world.call(WRITE, &[UNCLEAR]).cursor, 0);
    }
    let trace = world.call(WRITE, &[OK]);
    assert_eq!((trace.tried, trace.cursor), (vec![1], 1));
}

// Requests that go nowhere else

/// Guards: `Call::stop` that does not move the cursor on, or moves it by more than one, or for one strike.
#[test]
fn steer_an_ambiguous_write_is_an_error_now_and_in_time_a_failover_for_the_next_call() {
    for cool_down in [None, Some(CoolDown::default())] {
        let world = World::new(3, plain().cool_down(cool_down));
        for failed in 1..=3 {
            let write = world.call(WRITE, &[UNCLEAR]);
            let moved = usize::from(failed == 3 && cool_down.is_none());
            assert_eq!((write.tried, write.end, write.cursor), (vec![0], Err(Reason::NoProof), moved));
        }
        let next = world.call(WRITE, &[OK]);
        assert_eq!((next.tried, next.cursor), (vec![1], 1), "{cool_down:?}");
    }
}

/// Guards: `Call::stop` that moves the cursor on for writes only.
#[test]
fn steer_a_call_that_may_make_no_more_attempts_moves_the_cursor_like_a_write() {
    let world = World::new(3, plain().max_attempts(1));
    for failed in 1..=3 {
        let read = world.call(READ, &[UNCLEAR]);
        assert_eq!((read.end, read.cursor), (Err(Reason::MaxAttempts), usize::from(failed == 3)));
    }
}

/// Guards: `Call::stop` that moves the cursor on although every target was tried.
#[test]
fn steer_a_call_that_asked_every_target_moves_nobody() {
    for cool_down in [None, Some(CoolDown::default())] {
        let world = World::new(3, plain().cool_down(cool_down));
        for _ in 0..10 {
            let trace = world.by_target(READ, |_| DEAD);
            assert_eq!((trace.tried, trace.cursor), (vec![0, 1, 2], 0), "{cool_down:?}");
        }
    }
}

/// Guards: `Call::stop` that blames the sticky target for what another one did.
#[test]
fn steer_a_write_that_another_target_failed_moves_nobody() {
    let world = World::new(3, plain());
    for _ in 0..10 {
        let trace = world.call(WRITE, &[Outcome::Error(Evidence::NotSent), UNCLEAR]);
        assert_eq!((trace.end, trace.cursor), (Err(Reason::NoProof), 0));
    }
    assert_eq!(world.strikes(), [0, 10, 0]);
}

/// Guards: `Call::stop` that moves the cursor on although the sticky target was not asked.
#[test]
fn steer_a_write_that_failed_as_a_probe_moves_nobody() {
    let mut world = World::new(2, Policy::default().cool_down(None));
    world.group.prefer(1, world.now).expect("a target");
    for _ in 0..3 {
        assert_eq!(world.by_target(READ, |_| UNCLEAR).cursor, 1);
    }
    world.sleep(100.0);
    let trace = world.call(WRITE, &[UNCLEAR]);
    assert_eq!((trace.tried, trace.end, trace.cursor), (vec![0], Err(Reason::NoProof), 1));
}

/// Guards: `harm` that takes a 4xx or a 501 for the target's fault.
#[test]
fn steer_bad_requests_move_nobody() {
    for cool_down in [None, Some(CoolDown::default())] {
        let bad = codes("4xx, 5xx, !421, !429");
        let world = World::new(3, Policy::default().failover_codes(bad).cool_down(cool_down));
        for _ in 0..60 {
            assert_eq!(world.call(WRITE, &[Outcome::Status(400)]).end, Err(Reason::NoProof));
            assert_eq!(world.call(WRITE, &[Outcome::Status(501); 3]).end, Err(Reason::TargetsTried));
            assert_eq!(world.call(WRITE, &[LOCAL]).cursor, 0);
        }
        assert_eq!(world.strikes(), [0; 3]);
    }
}

/// Guards: `Clocks::lease` that lets no write probe.
#[test]
fn steer_post_only_traffic_leaves_a_dead_target_and_comes_back_by_failback() {
    let mut world = World::new(3, Policy::default());
    let mut lost = 0;
    while world.by_target(WRITE, |target| if target == 2 { OK } else { UNCLEAR }).end.is_err() {
        lost += 1;
        assert!(lost < 100, "no end");
    }
    assert_eq!((lost, world.group.sticky()), (6, 2), "three at each target that hangs");

    let begins = |world: &World| {
        let call = world.begin(WRITE);
        let target = call.index();
        world.left(call);
        target
    };
    world.sleep(36.1);
    assert_eq!(begins(&world), 2, "due, but a read may still come");
    world.sleep(30.0);
    assert_eq!(world.returned(world.begin(WRITE), OK), 0, "due for as long again: any call may probe");
    assert_eq!(world.group.sticky(), 0);
}

#[test]
fn a_target_that_always_refuses_does_not_cost_every_call_an_attempt_for_ever() {
    for refusal in [REFUSED, Outcome::Status(421)] {
        let mut world = World::new(2, Policy::default());
        let mut attempts = 0;
        for _ in 0..1_000 {
            attempts += world.by_target(WRITE, |target| if target == 0 { refusal } else { OK }).tried.len();
            world.sleep(0.01);
        }
        assert_eq!((attempts, world.group.sticky()), (1_003, 1));
    }
}

// A common cause

/// Guards: `Shared::next_target` whose order, if all cool, is that in which they are done.
#[test]
fn all_cool_the_order_is_as_if_none_did() {
    for sticky in 0..3 {
        let mut world = World::new(3, Policy::default().failback(None));
        for target in [2, 1, 0, 1] {
            world.group.prefer(target, world.now).expect("a target");
            drop(report(world.begin(READ), 0, DEAD, None, world.now));
            world.sleep(0.5);
        }
        world.group.prefer(sticky, world.now).expect("a target");
        let cooling = [0, 1, 2].map(|target| world.cooling(target));
        assert!(cooling[0] > cooling[1] && cooling[1] > cooling[2] && cooling[2] > 0.0, "{cooling:?}");
        assert_eq!(
            world.by_target(READ, |_| DEAD).tried,
            [sticky, (sticky + 1) % 3, (sticky + 2) % 3],
            "not the one first that is done first"
        );
    }
}

/// Guards: `Health::leaves` that leaves the sticky target although the one that answered was down, too.
#[test]
fn all_cool_a_common_recovery_keeps_the_cursor() {
    for cool_down in [None, Some(CoolDown::default())] {
        for sticky in [0, 1] {
            let world = World::new(2, plain().cool_down(cool_down));
            world.group.prefer(sticky, world.now).expect("a target");
            for _ in 0..5 {
                assert_eq!(world.by_target(READ, |_| DEAD).tried[0], sticky);
            }
            let back = world.by_target(READ, |target| if target == sticky { DEAD } else { OK });
            assert_eq!((back.end, back.cursor), (Ok(1 - sticky), sticky), "the network was just not back");
            assert_eq!(world.strikes()[sticky], 2, "the next strike decides");
            let again = world.by_target(READ, |target| if target == sticky { UNCLEAR } else { OK });
            assert_eq!((again.tried[0], again.cursor), (sticky, 1 - sticky));
        }
    }
}

/// Guards: `Call::settle` that gives a chance to the target which a call saw as the sticky one, though the cursor has moved.
#[test]
fn epoch_a_slow_call_takes_no_cool_down_back() {
    let not_sent = Outcome::Error(Evidence::NotSent);
    let mut world = World::new(3, Policy::default());
    let slow = world.went_on(world.begin(READ), not_sent);
    let slow = world.went_on(slow, not_sent);
    assert_eq!(slow.index(), 2);
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    assert_eq!(world.call(READ, &[DEAD, DEAD, DEAD]).tried, [1, 2, 0]);
    world.sleep(1.0);
    assert_eq!([0, 2].map(|target| world.strikes()[target]), [3, 3]);
    let before = (world.strikes()[0], world.cooling(0).to_bits());
    assert_eq!(world.returned(slow, OK), 2);
    assert_eq!((world.strikes()[0], world.cooling(0).to_bits()), before, "target 0 is not sticky");
}

/// Guards: `Health::strike` that books nothing while no other target answered.
#[test]
fn poison_a_request_that_fails_everywhere_is_seen_and_moves_nobody() {
    let world = World::new(3, Policy::default());
    for nth in 1..=60 {
        let poison = world.call(READ, &[UNCLEAR; 3]);
        assert_eq!((poison.tried, poison.end), (vec![0, 1, 2], Err(Reason::TargetsTried)));
        assert_eq!((poison.cursor, world.strikes()), (0, vec![nth.min(3); 3]), "all alike");
    }
    assert_eq!(world.call(READ, &[OK]).tried, [0]);
    assert_eq!(world.strikes(), [0, 3, 3]);
}

/// Guards: `Health::answered` that clears nothing.
#[test]
fn poison_a_write_between_others_that_are_answered_moves_nobody() {
    let world = World::new(3, Policy::default());
    for _ in 0..60 {
        for _ in 0..2 {
            assert_eq!(world.call(WRITE, &[UNCLEAR]).end, Err(Reason::NoProof));
        }
        assert_eq!(world.call(WRITE, &[OK]).tried, [0]);
    }
}

// Follow::Answer

/// Guards: `Ending::row` whose last column moves the cursor for what is no fault of the sticky target, or does not for what
/// is; `Call::settle` that asks for strikes.
#[test]
fn follow_answer_the_cursor_goes_to_the_target_that_answered() {
    let not_sent = Outcome::Error(Evidence::NotSent);
    let no_room = Outcome::Error(Evidence::NoRoom);
    for (first, moves) in [
        (&[BUSY][..], true),
        (&[Outcome::Status(501)], true),
        (&[UNCLEAR], true),
        (&[DEAD], true),
        (&[not_sent], true),
        (&[STALE, STALE], true),
        (&[HANDED_BACK, HANDED_BACK], true),
        (&[REFUSED], false),
        (&[Outcome::Status(421)], false),
        (&[Outcome::Status(425)], false),
        (&[no_room], false),
    ] {
        for code in [200, 404, 429, 500] {
            let world = World::new(3, Policy::default().follow(Follow::Answer));
            let script = [first, &[Outcome::Status(code)]].concat();
            let trace = world.call(READ, &script);
            assert_eq!((trace.end, trace.cursor), (Ok(1), usize::from(moves)), "{script:?}");
        }
    }
}

/// Guards: `Call::settle` that moves the cursor to where the sticky target answered after all; `Call::stop` that moves it
/// under `Follow::Answer`.
#[test]
fn follow_answer_a_call_that_nobody_answered_moves_nothing() {
    for cool_down in [None, Some(CoolDown::default())] {
        let world = World::new(3, plain().follow(Follow::Answer).cool_down(cool_down));
        for _ in 0..5 {
            assert_eq!(world.by_target(WRITE, |_| UNCLEAR).cursor, 0);
            assert_eq!(world.by_target(READ, |_| DEAD).cursor, 0);
        }
    }
    let rounds = World::new(2, plain().follow(Follow::Answer).rounds(2));
    let trace = rounds.call(READ, &[DEAD, DEAD, OK]);
    assert_eq!((trace.end, trace.cursor), (Ok(0), 0));
}

/// Guards: `Policy::ballerina` that follows strikes, or knows lateness or cool-downs.
#[test]
fn follow_answer_the_preset_moves_at_the_first_failure_whatever_the_request() {
    for request in Request::ALL.into_iter().filter(|request| request.body) {
        let world = World::new(3, Policy::ballerina());
        for expected in [1, 2, 0, 1] {
            let trace = world.call(request, &[UNCLEAR, Outcome::Status(500)]);
            assert_eq!((trace.end, trace.cursor), (Ok(expected), expected));
        }
    }
    let mut world = World::new(3, Policy::ballerina());
    for _ in 0..20 {
        assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
        world.group.prefer(0, world.now).expect("a target");
        assert_eq!(world.answered(0.01), 0, "nothing cools");
    }
    assert_eq!(world.begin(READ).bound(), seconds(30.0), "nothing is late");
    let Action::Send(second) = report(world.begin(WRITE), 0, BUSY, None, world.now) else {
        panic!("it goes on")
    };
    world.left(second);
    assert_eq!(world.group.sticky(), 0, "nobody answered");
}

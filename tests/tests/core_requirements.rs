//! The requirements that concern the core, each a test with its name.

use std::time::Duration;

use failover_core::{
    Action, BuildError, CoolDown, Evidence, Facts, Failback, Group, Policy, Reason, Replay, Timestamp,
};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, DEAD, HANDED_BACK, LOCAL, OK, READ, REFUSED, STALE, STREAM, UNCLEAR, WRITE, World, at, codes,
    first, plain, seconds,
};
use http::{HeaderMap, Method, StatusCode};

// Cursor

#[test]
fn snapshot_a_call_reads_the_cursor_once() {
    let world = World::new(3, plain());
    let call = world.begin(READ);
    world.group.prefer(2, world.now).expect("a target");
    let Action::Send(second) = report(call, 0, DEAD, None, world.now) else { panic!("it goes on") };
    assert_eq!(second.index(), 1, "the order is the one of the cursor that the call saw");
}

#[test]
fn epoch_a_slow_success_never_undoes_a_newer_failover() {
    let world = World::new(3, plain());
    let slow = world.begin(READ);
    assert_eq!(world.call(READ, &[DEAD, OK]).cursor, 1);
    let Action::Return(_) = report(slow, 0, OK, None, world.now) else { panic!("an answer") };
    assert_eq!(world.group.sticky(), 1);
}

#[test]
fn epoch_a_move_there_and_back_is_a_move() {
    let world = World::new(2, plain());
    let slow = world.begin(READ);
    world.group.prefer(1, world.now).expect("a target");
    world.group.prefer(0, world.now).expect("a target");
    let Action::Send(second) = report(slow, 0, DEAD, None, world.now) else { panic!("it goes on") };
    let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
    assert_eq!(world.group.sticky(), 0, "what the call saw has moved since");
}

#[test]
fn one_step_concurrent_failures_move_the_cursor_once() {
    let world = World::new(4, plain());
    let calls: Vec<_> = (0..100).map(|_| world.begin(READ)).collect();
    for call in calls {
        let Action::Send(second) = report(call, 0, DEAD, None, world.now) else { panic!("it goes on") };
        let Action::Return(_) = report(second, 1, OK, None, world.now) else { panic!("an answer") };
        assert_eq!(world.group.sticky(), 1);
    }
}

// Execution

#[test]
fn never_twice_without_proof_only_what_was_certainly_not_executed_is_sent_again() {
    let replayed = |outcome, replay| {
        let world = World::new(2, Policy { replay, ..plain() });
        world.call(WRITE, &[outcome, OK]).tried.len() == 2
    };
    for code in 500..=599 {
        assert_eq!(replayed(Outcome::Status(code), Replay::Auto), code == 501, "{code}");
    }
    assert!(!replayed(UNCLEAR, Replay::Auto) && !replayed(STALE, Replay::Auto));
    assert!(replayed(DEAD, Replay::Never) && replayed(REFUSED, Replay::Never));
    let world = World::new(2, Policy { replay: Replay::Never, ..plain() });
    assert_eq!(world.call(READ, &[UNCLEAR]).end, Err(Reason::NoProof), "under Never nothing is proof");
}

#[test]
fn steer_an_ambiguous_write_is_an_error_now_and_a_failover_for_the_next_call() {
    let world = World::new(3, plain());
    let write = world.call(WRITE, &[UNCLEAR]);
    assert_eq!((write.end, write.cursor), (Err(Reason::NoProof), 1));
    assert_eq!(world.call(WRITE, &[OK]).tried, [1]);
}

#[test]
fn steer_bad_requests_move_nobody() {
    let world = World::new(3, Policy { failover_codes: codes("4xx, 5xx"), ..Policy::default() });
    for _ in 0..60 {
        assert_eq!(world.call(WRITE, &[Outcome::Status(400)]).end, Err(Reason::NoProof));
        assert_eq!(world.call(WRITE, &[Outcome::Status(501); 3]).end, Err(Reason::TargetsTried));
        assert_eq!(world.call(WRITE, &[LOCAL]).cursor, 0);
    }
}

#[test]
fn steer_post_only_traffic_leaves_a_dead_target_and_comes_back_by_failback() {
    let mut world = World::new(3, Policy::default());
    let mut up = [false, false, true];
    let mut lost = 0;
    while world.by_target(WRITE, |target| if up[target] { OK } else { UNCLEAR }).end.is_err() {
        lost += 1;
    }
    assert_eq!(lost, 2, "fewer than there are targets");

    up[0] = true;
    world.sleep(29.9);
    assert_eq!(world.by_target(WRITE, |target| if up[target] { OK } else { UNCLEAR }).tried, [2]);
    world.sleep(6.2);
    assert_eq!(world.by_target(WRITE, |_| OK).tried, [2], "due, but a read may still come");
    world.sleep(30.0);
    assert_eq!(world.by_target(WRITE, |_| OK).tried, [0], "due for as long again: any call may probe");
    assert_eq!(world.group.sticky(), 0);
}

#[test]
fn not_sent_always_fails_over_for_every_request() {
    for request in Request::ALL {
        for replay in [Replay::Auto, Replay::Methods, Replay::Always, Replay::Never] {
            for kind in [Evidence::NoConnection, Evidence::NotSent, Evidence::NoRoom] {
                let world = World::new(3, Policy { replay, ..plain() });
                let unsent = Outcome::Error(kind);
                assert_eq!(world.call(request, &[unsent, unsent, OK]).end, Ok(2), "{request:?} {replay:?}");
            }
        }
    }
}

#[test]
fn body_gone_a_request_never_goes_on_without_its_body_whatever_is_proved() {
    for kind in Evidence::ALL {
        for request in Request::ALL {
            let world = World::new(2, Policy { replay: Replay::Always, ..plain() });
            let mut call = world.begin(request);
            call.body_gone();
            let action = report(call, 0, Outcome::Error(kind), None, world.now);
            let Action::Fail(stopped) = action else { panic!("{kind:?} goes on: {action:?}") };
            let reason = match kind {
                Evidence::LocalFault => Reason::LocalFault,
                _ if !request.body => Reason::OneShotBody,
                _ => Reason::BodyGone,
            };
            assert_eq!(stopped.reason(), reason);
        }
    }
}

#[test]
fn replay_methods_takes_no_key_for_proof_and_a_call_can_say_better() {
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", "8e03978e".parse().expect("a value"));
    let (keyed, read) = (Facts::of(&Method::POST, &headers), Facts::of(&Method::GET, &HeaderMap::new()));
    let replayed = |facts: Facts, replay| {
        let world = World::new(2, Policy { replay, ..plain() });
        matches!(
            report(first(world.group.begin(facts, world.now)), 0, UNCLEAR, None, world.now),
            Action::Send(_)
        )
    };
    assert!(replayed(keyed, Replay::Auto) && !replayed(keyed, Replay::Methods));
    assert!(replayed(read, Replay::Methods));
    assert!(replayed(Facts::of(&Method::QUERY, &HeaderMap::new()), Replay::Methods));
    assert!(
        !replayed(read.idempotent(false), Replay::Auto) && replayed(keyed.idempotent(true), Replay::Methods)
    );
    assert!(!replayed(read.replay(Replay::Never), Replay::Always), "the call's own rule holds");
    assert!(replayed(keyed.replay(Replay::Auto), Replay::Never));
}

#[test]
fn gateway_codes_prove_nothing_for_a_post() {
    for code in [408, 500, 502, 503, 504] {
        let world = World::new(2, Policy { failover_codes: codes("408, 500, 502-504"), ..plain() });
        assert_eq!(world.call(WRITE, &[Outcome::Status(code)]).end, Err(Reason::NoProof), "{code}");
        assert_eq!(world.call(READ, &[Outcome::Status(code), OK]).tried.len(), 2, "{code}");
    }
}

#[test]
fn an_idempotency_key_is_proof_unless_it_is_empty() {
    let mut headers = HeaderMap::new();
    headers.insert("Idempotency-Key", " ".parse().expect("a value"));
    assert!(!Facts::of(&Method::POST, &headers).is_idempotent());
    headers.insert("Idempotency-Key", "\"8e03978e\"".parse().expect("a value"));
    assert!(Facts::of(&Method::POST, &headers).is_idempotent());
    for method in
        ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY", "POST", "PATCH", "CONNECT", "LOCK"]
    {
        let idempotent = !matches!(method, "POST" | "PATCH" | "CONNECT" | "LOCK");
        let method = method.parse().expect("a method");
        assert_eq!(Facts::of(&method, &HeaderMap::new()).is_idempotent(), idempotent, "{method}");
    }
}

// Bodies

#[test]
fn stream_first_a_body_that_cannot_be_sent_again_still_gets_its_first_attempt() {
    let world = World::new(2, plain());
    assert_eq!(world.call(STREAM, &[OK]).end, Ok(0));
    assert_eq!(world.call(STREAM, &[DEAD, OK]).end, Ok(1), "nothing of it was sent");
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.call(STREAM, &[REFUSED]).end, Err(Reason::OneShotBody));
}

#[test]
fn bounded_an_overflow_commits_to_the_current_attempt() {
    let world = World::new(2, plain());
    let mut call = world.begin(READ);
    call.body_gone();
    let Action::Return(answer) = report(call, 0, OK, None, world.now) else { panic!("an answer") };
    assert_eq!(answer.target(), 0);
    let mut call = world.begin(READ);
    call.body_gone();
    let Action::Fail(stopped) = report(call, 0, BUSY, None, world.now) else { panic!("no replay") };
    assert_eq!(stopped.reason(), Reason::BodyGone);
    assert_eq!(stopped.into_response(), Some(0), "the answer is passed on");
}

// Time

#[test]
fn deadline_no_attempt_starts_after_it() {
    let mut world = World::new(2, Policy { deadline: Some(seconds(10.0)), ..plain() });
    let call = world.begin(READ);
    world.sleep(9.999);
    let Action::Send(second) = report(call, 0, UNCLEAR, None, world.now) else { panic!("there is time") };
    assert_eq!(second.timeout(), Duration::from_millis(1));
    world.sleep(0.001);
    let Action::Fail(stopped) =
        report(first(world.group.begin(facts(READ), Timestamp::ORIGIN)), 0, UNCLEAR, None, world.now)
    else {
        panic!("it is too late")
    };
    assert_eq!(stopped.reason(), Reason::Deadline);
}

#[test]
fn deadline_a_call_whose_time_is_over_before_it_begins_is_refused_unsent() {
    let mut world = World::new(2, Policy::default());
    world.sleep(1.0);
    let before = world.group.snapshot(world.now);
    let action = world.group.begin::<(), &str>(facts(READ).within(Duration::ZERO), world.now);
    let Action::Fail(stopped) = action else { panic!("{action:?} of a call without time") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::Deadline, 0));
    assert_eq!(stopped.to_string(), "the time of the call was over before it began");
    assert!(stopped.ballerina().to_string().starts_with("All the failover endpoints failed. "));
    assert_eq!(world.group.snapshot(world.now), before);
    let shortest = facts(READ).within(Duration::from_nanos(1));
    assert!(matches!(world.group.begin::<usize, Outcome>(shortest, world.now), Action::Send(_)));
}

#[test]
fn deadline_the_callers_own_holds_if_it_is_shorter() {
    let world = World::new(3, plain());
    let within =
        |time| first(world.group.begin::<usize, Outcome>(facts(READ).within(seconds(time)), world.now));
    assert_eq!(within(3.0).timeout(), seconds(1.5), "half of it, so that it can still fail over inside it");
    assert_eq!(within(3000.0).timeout(), seconds(10.0));
}

#[test]
fn attempt_bound_every_attempt_has_one() {
    let world = World::new(3, Policy::ballerina());
    assert_eq!(world.begin(READ).timeout(), seconds(30.0));
}

#[test]
fn attempt_bound_the_deadline_holds_where_it_is_shorter_and_every_target_gets_its_turn() {
    let patient = Policy { attempt_timeout: seconds(60.0), deadline: Some(seconds(9.0)), ..plain() };
    assert_eq!(World::new(1, patient.clone()).begin(READ).timeout(), seconds(9.0));
    let mut world = World::new(3, patient);
    let mut action = Action::Send(world.begin(READ));
    for (target, bound) in [4.5, 2.25, 2.25].into_iter().enumerate() {
        let Action::Send(attempt) = action else { panic!("target {target} is untried: {action:?}") };
        assert_eq!((attempt.index(), attempt.timeout()), (target, seconds(bound)));
        world.sleep(bound);
        action = report(attempt, target, UNCLEAR, None, world.now);
    }
    let Action::Fail(stopped) = action else { panic!("{action:?} after all targets") };
    assert_eq!(stopped.reason(), Reason::TargetsTried);
}

#[test]
fn attempt_bound_and_deadline_are_defaults_that_give_way_to_what_was_chosen() {
    let bounds = |attempt: Option<f64>, deadline: Option<f64>| {
        let policy = Policy::default().with_bounds(attempt.map(seconds), deadline.map(seconds));
        (policy.attempt_timeout.as_secs_f64(), policy.deadline.map(|deadline| deadline.as_secs_f64()))
    };
    assert_eq!(bounds(None, None), (10.0, Some(30.0)));
    assert_eq!(bounds(None, Some(5.0)), (5.0, Some(5.0)));
    assert_eq!(bounds(None, Some(20.0)), (10.0, Some(20.0)));
    assert_eq!(bounds(Some(60.0), None), (60.0, Some(60.0)));
    assert_eq!(bounds(Some(20.0), None), (20.0, Some(30.0)));
    assert_eq!(bounds(Some(60.0), Some(5.0)), (60.0, Some(5.0)), "what was chosen stays");
    let unbounded = Policy::ballerina().with_bounds(Some(seconds(60.0)), None);
    assert_eq!((unbounded.attempt_timeout, unbounded.deadline), (seconds(60.0), None));
    let own = Policy { rounds: 3, attempt_timeout: seconds(2.0), ..Policy::default() };
    assert_eq!(own.clone().with_bounds(None, None), own);
}

#[test]
fn standby_a_further_target_takes_nothing_from_a_call_that_the_first_would_answer() {
    for targets in 1..=5 {
        let deadline = |time| Policy { deadline: Some(seconds(time)), ..plain() };
        let share = if targets == 1 { 1.0 } else { 0.5 };
        assert_eq!(
            World::new(targets, deadline(1.0)).begin(READ).timeout(),
            seconds(share),
            "{targets} targets"
        );
        assert_eq!(World::new(targets, deadline(30.0)).begin(READ).timeout(), seconds(10.0));
        // A timeout would be the end of the call.
        assert_eq!(World::new(targets, deadline(9.0)).begin(WRITE).timeout(), seconds(9.0));
        assert_eq!(World::new(targets, deadline(9.0)).begin(STREAM).timeout(), seconds(9.0));
    }
    let once = Policy { max_attempts: Some(1), deadline: Some(seconds(9.0)), ..plain() };
    assert_eq!(World::new(5, once).begin(READ).timeout(), seconds(9.0));
}

#[test]
fn connect_bound_leaves_time_for_an_untried_target_whatever_the_method() {
    let connect = |targets, policy, request| World::new(targets, policy).begin(request).connect_timeout();
    let deadline = |time| Policy { deadline: Some(seconds(time)), ..plain() };
    for request in Request::ALL {
        assert_eq!(connect(3, plain(), request), seconds(3.0));
        assert_eq!(connect(3, deadline(4.0), request), seconds(2.0), "half of the time, {request:?}");
        assert_eq!(connect(1, deadline(2.0), request), seconds(2.0), "there is no other target");
    }
    let hasty = Policy { attempt_timeout: seconds(1.0), ..plain() };
    assert_eq!(connect(3, hasty, WRITE), seconds(1.0), "at most the attempt's");
    assert_eq!(connect(3, Policy::ballerina(), WRITE), seconds(15.0));

    let world = World::new(2, deadline(4.0));
    let mut gone = world.begin(WRITE);
    gone.body_gone();
    assert_eq!(gone.connect_timeout(), seconds(3.0), "it cannot go to another target");
}

#[test]
fn no_doomed_pause_but_one_that_gives_way_to_the_attempt() {
    let policy = |interval| Policy { interval: seconds(interval), deadline: Some(seconds(10.0)), ..plain() };
    for (interval, pause) in [(4.0, 4.0), (5.0, 5.0), (9.0, 5.0), (3000.0, 5.0)] {
        let world = World::new(2, policy(interval));
        let Action::Wait(wait) = report(world.begin(READ), 0, DEAD, None, world.now) else {
            panic!("a pause")
        };
        assert_eq!(wait.pause(), seconds(pause));
        assert!(matches!(wait.resume(at(pause)), Action::Send(_)));
    }
    // Two targets that hang, an interval, and a third that works: it is asked.
    let mut world = World::new(3, Policy { deadline: Some(seconds(12.0)), ..policy(4.0) });
    let mut action = Action::Send(world.begin(READ));
    let mut asked = vec![];
    loop {
        action = match action {
            Action::Send(attempt) if attempt.index() == 2 => break asked.push(2),
            Action::Send(attempt) => {
                asked.push(attempt.index());
                world.now = world.now + attempt.timeout();
                report(attempt, 0, UNCLEAR, None, world.now)
            }
            Action::Wait(wait) => {
                world.now = world.now + wait.pause();
                wait.resume(world.now)
            }
            ended => panic!("{ended:?} before target 2 was asked"),
        }
    }
    assert_eq!(asked, [0, 1, 2]);
}

#[test]
fn no_doomed_pause_a_driver_that_wakes_late_starts_no_attempt() {
    let policy = Policy { interval: seconds(1.0), deadline: Some(seconds(10.0)), ..plain() };
    let world = World::new(2, policy);
    let Action::Wait(wait) = report(world.begin(READ), 0, DEAD, None, world.now) else { panic!("a pause") };
    let Action::Fail(stopped) = wait.resume(at(10.0)) else { panic!("it is too late") };
    assert_eq!(stopped.reason(), Reason::Deadline);
}

#[test]
fn saturating_no_time_is_too_long_and_none_runs_backwards() {
    let forever = Policy {
        attempt_timeout: Duration::MAX,
        deadline: Some(Duration::MAX),
        interval: Duration::MAX,
        retry_after: Some(Duration::MAX),
        failback: Some(Failback { after: Duration::MAX, max: Duration::MAX }),
        cool_down: Some(CoolDown { strikes: 1, base: Duration::MAX, max: Duration::MAX }),
        ..Policy::default()
    };
    for now in [Timestamp::ORIGIN, Timestamp::from_nanos(u64::MAX - 1), Timestamp::from_nanos(u64::MAX)] {
        let group = Group::new(0..2, forever.clone()).expect("a valid group");
        let Action::Send(call) = group.begin::<usize, Outcome>(facts(READ).within(Duration::MAX), now) else {
            assert_eq!(now, Timestamp::from_nanos(u64::MAX), "there is no time after it");
            continue;
        };
        let _ = call.timeout();
        let asked = Some(Duration::MAX);
        match report(call, 0, BUSY, asked, Timestamp::ORIGIN) {
            Action::Wait(wait) => {
                assert!(!wait.pause().is_zero());
                let _ = wait.resume(Timestamp::ORIGIN);
            }
            other => drop(other),
        }
        let _ = group.snapshot(Timestamp::from_nanos(u64::MAX));
    }
    assert_eq!(at(1.0).since(at(2.0)), Duration::ZERO);
}

// Health

#[test]
fn local_fault_is_never_the_targets_fault_and_ends_the_call() {
    let world = World::new(2, Policy::default());
    let trace = world.call(READ, &[LOCAL]);
    assert_eq!((trace.end, trace.cursor), (Err(Reason::LocalFault), 0));
    assert_eq!(world.group.snapshot(world.now).targets[0].strikes, 0);
}

#[test]
fn stale_connection_is_no_target_failure() {
    for outcome in [STALE, HANDED_BACK] {
        let world = World::new(2, Policy { interval: seconds(1.0), ..Policy::default() });
        let trace = world.call(READ, &[outcome, OK]);
        assert_eq!((&trace.tried[..], trace.pauses.len(), trace.cursor), (&[0, 0][..], 0, 0));
        let trace = world.call(READ, &[outcome, outcome, OK]);
        assert_eq!((&trace.tried[..], trace.cursor), (&[0, 0, 1][..], 1), "the second time counts");
    }
}

#[test]
fn a_free_repeat_is_no_try() {
    let world = World::new(2, Policy { max_attempts: Some(2), ..Policy::default() });
    assert_eq!(world.call(READ, &[STALE, DEAD, OK]).tried, [0, 0, 1]);
}

#[test]
fn cancel_neutral_a_dropped_call_books_nothing() {
    let world = World::new(3, Policy::default());
    let before = world.group.snapshot(world.now);
    drop(world.begin(READ));
    let Action::Send(second) = report(world.begin(READ), 0, DEAD, None, world.now) else {
        panic!("it goes on")
    };
    drop(second);
    assert_eq!(world.group.snapshot(world.now), before);
}

#[test]
fn sole_target_is_tried_whatever_happened_before() {
    let world = World::new(1, Policy::default());
    for _ in 0..20 {
        let trace = world.call(READ, &[DEAD]);
        assert_eq!((trace.tried, trace.end), (vec![0], Err(Reason::TargetsTried)));
    }
    assert_eq!(world.call(WRITE, &[OK]).end, Ok(0));
}

// Config

#[test]
fn rejected_nonsense_names_the_key_and_the_value() {
    let refused = |policy: Policy| Group::new([0], policy).expect_err("refused").to_string();
    let d = Policy::default;
    assert_eq!(
        Group::new([0; 0], d()).expect_err("refused").to_string(),
        "targets = []: expected at least one target"
    );
    assert_eq!(
        Group::new([0; 300], d()).expect_err("refused").to_string(),
        "targets = 300: expected at most 256 targets"
    );
    assert_eq!(refused(Policy { rounds: 0, ..d() }), "rounds = 0: expected at least 1");
    assert_eq!(refused(Policy { max_attempts: Some(0), ..d() }), "max_attempts = 0: expected at least 1");
    assert_eq!(
        refused(Policy { connect_timeout: Duration::ZERO, ..d() }),
        "connect_timeout = 0ns: expected a time above zero"
    );
    assert_eq!(
        refused(Policy { attempt_timeout: Duration::ZERO, ..d() }),
        "attempt_timeout = 0ns: expected a time above zero"
    );
    assert_eq!(
        refused(Policy { deadline: Some(Duration::ZERO), ..d() }),
        "deadline = 0ns: expected a time above zero"
    );
    assert_eq!(
        refused(d().with_bounds(None, Some(Duration::ZERO))),
        "deadline = 0ns: expected a time above zero",
        "not the attempt timeout that gave way to it"
    );
    assert!(Group::new(["a", "a"], d()).is_ok(), "a second chance is legal");
}

#[test]
fn rejected_a_target_that_is_not_there() {
    let world = World::new(2, plain());
    let error: BuildError = world.group.prefer(2, world.now).expect_err("refused");
    assert_eq!(error.to_string(), "index = 2: expected less than the 2 targets");
    assert_eq!(world.group.sticky(), 0);
}

// Explained

#[test]
fn explain_every_stop_has_its_reason() {
    let stop = |policy, request, script: &[Outcome]| World::new(2, policy).call(request, script).end;
    assert_eq!(stop(plain(), READ, &[DEAD, DEAD]), Err(Reason::TargetsTried));
    let once = Policy { max_attempts: Some(1), ..plain() };
    assert_eq!(stop(once, READ, &[DEAD]), Err(Reason::MaxAttempts));
    let world = World::new(2, plain());
    let Action::Fail(late) = report(world.begin(READ), 0, DEAD, None, at(30.0)) else { panic!("it is late") };
    assert_eq!(late.reason(), Reason::Deadline);
    let no_room = Outcome::Error(Evidence::NoRoom);
    assert_eq!(stop(plain(), READ, &[no_room, no_room]), Err(Reason::LocalFault), "of this side alone");
    assert_eq!(stop(plain(), READ, &[no_room, DEAD]), Err(Reason::TargetsTried));
    assert_eq!(stop(plain(), WRITE, &[UNCLEAR]), Err(Reason::NoProof));
    assert_eq!(stop(plain(), STREAM, &[REFUSED]), Err(Reason::OneShotBody));
    assert_eq!(stop(plain(), WRITE, &[LOCAL]), Err(Reason::LocalFault));
    assert_eq!(
        stop(plain(), WRITE, &[DEAD, UNCLEAR]),
        Err(Reason::NoProof),
        "replay is judged before targets"
    );
}

#[test]
fn last_answer_is_kept_when_an_error_follows() {
    let world = World::new(2, plain());
    let Action::Send(second) = report(world.begin(READ), 0, BUSY, None, world.now) else {
        panic!("it goes on")
    };
    let Action::Fail(stopped) = report(second, 1, DEAD, None, world.now) else { panic!("no target is left") };
    assert_eq!(stopped.last_response(), Some(&0));
    assert_eq!(stopped.failures()[0].status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(stopped.failures()[1].evidence(), Some(Evidence::NoConnection));
}

#[test]
fn explain_the_story_tells_when_each_attempt_began_and_ended() {
    let world = World::new(3, Policy { interval: seconds(1.0), ..plain() });
    let first = world.begin(READ);
    let Action::Wait(wait) = report(first, 0, BUSY, None, at(2.0)) else { panic!("a pause") };
    assert_eq!(wait.pause(), seconds(1.0));
    assert!(format!("{wait:?}").contains("pause: 1s"));
    let Action::Send(second) = wait.resume(at(3.5)) else { panic!("it goes on") };
    assert_eq!(second.began(), at(3.5));
    assert!(format!("{second:?}").contains("target: 1"));
    let Action::Wait(wait) = report(second, 1, DEAD, None, at(3.0)) else { panic!("a pause") };
    let Action::Send(third) = wait.resume(at(5.0)) else { panic!("it goes on") };
    let Action::Return(answer) = report(third, 2, OK, None, at(6.0)) else { panic!("an answer") };
    let told: Vec<_> = answer.failures().iter().map(|failure| (failure.began(), failure.ended())).collect();
    assert_eq!(told, [(at(0.0), at(2.0)), (at(3.5), at(3.5))], "time that goes backwards stands still");
    assert_eq!((answer.began(), answer.ended()), (at(5.0), at(6.0)));
}

#[test]
fn explain_a_stop_is_one_line() {
    let group = Group::new(["http://user:s3cret@a/token"; 3], plain()).expect("a valid group");
    let now = Timestamp::ORIGIN;
    let Action::Send(call) = group.begin::<(), &str>(facts(READ), now) else { panic!("it begins") };
    let Action::Send(call) = call.handle_error(Evidence::NoConnection, "no such host", now) else {
        panic!("it goes on")
    };
    let Action::Send(call) = call.handle_response(StatusCode::BAD_GATEWAY, None, (), now) else {
        panic!("it goes on")
    };
    let Action::Fail(stopped) = call.handle_error(Evidence::LocalFault, "no memory", now) else {
        panic!("it stops")
    };
    assert_eq!(
        stopped.to_string(),
        "the fault is on this side: target 0: no connection: no such host; target 1 answered 502 Bad Gateway; \
         target 2: local fault: no memory"
    );
    assert_eq!(
        stopped.ballerina().to_string(),
        "All the failover endpoints failed. Last error was: no memory"
    );
    assert!(format!("{group:?}").contains("sticky: 0"));
    let told = format!("{stopped:?}");
    assert!(told.contains("LocalFault") && told.contains("502"), "{told}");
    assert!(!told.contains("s3cret"), "a target is shown by its index");
    let (reason, failures, response) = stopped.into_parts();
    assert_eq!((reason, failures.len(), response), (Reason::LocalFault, 3, Some(())));
}

#[test]
fn explain_the_seeds_message_tells_the_last_code() {
    let group = Group::new(["a"], Policy { failover_codes: codes("503, 599"), ..Policy::ballerina() });
    let group = group.expect("a valid group");
    for (code, text) in [(503, "503 Service Unavailable"), (599, "599")] {
        let Action::Send(call) = group.begin::<(), &str>(facts(READ), Timestamp::ORIGIN) else {
            panic!("it begins")
        };
        let status = StatusCode::from_u16(code).expect("a status");
        let Action::Fail(stopped) = call.handle_response(status, None, (), Timestamp::ORIGIN) else {
            panic!("it stops")
        };
        let expected =
            format!("All the failover endpoints failed. Last endpoint returned response is: {text}");
        assert_eq!(stopped.ballerina().to_string(), expected);
    }
}

#[test]
fn explain_names_are_fixed() {
    let evidence = [
        (Evidence::NoConnection, "no_connection", "no connection"),
        (Evidence::NotSent, "not_sent", "not sent"),
        (Evidence::NoRoom, "no_room", "no room"),
        (Evidence::HandedBack, "handed_back", "handed back"),
        (Evidence::Refused, "refused", "refused"),
        (Evidence::Stale, "stale", "stale connection"),
        (Evidence::MaybeProcessed, "maybe_processed", "maybe processed"),
        (Evidence::LocalFault, "local_fault", "local fault"),
    ];
    assert_eq!(evidence.map(|(kind, ..)| kind), Evidence::ALL);
    for (kind, name, words) in evidence {
        assert_eq!((kind.as_str(), kind.to_string().as_str()), (name, words));
    }
    let reasons = [
        (Reason::TargetsTried, "targets_tried"),
        (Reason::MaxAttempts, "max_attempts"),
        (Reason::Deadline, "deadline"),
        (Reason::Budget, "budget"),
        (Reason::NoProof, "no_proof"),
        (Reason::OneShotBody, "one_shot_body"),
        (Reason::BodyGone, "body_gone"),
        (Reason::LocalFault, "local_fault"),
    ];
    for (reason, name) in reasons {
        assert_eq!(reason.as_str(), name);
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn gives_up_tells_beforehand_what_a_report_will_do() {
    let world = World::new(2, plain());
    for code in 100..=999 {
        let call = world.begin(READ);
        let given_up = call.gives_up(StatusCode::from_u16(code).expect("a status"));
        let returned = matches!(report(call, 0, Outcome::Status(code), None, world.now), Action::Return(_));
        assert_eq!(given_up, !returned, "{code}");
        assert_eq!(given_up, matches!(code, 421 | 425 | 501..=504), "{code}");
    }
}

//! The requirements that concern the core, each a test with its name.

use std::time::Duration;

use failover_core::{
    Action, BuildError, CoolDown, Evidence, Facts, Failback, Group, Late, Policy, Reason, Replay, Timestamp,
};
use failover_tests::drive::{facts, report};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, DEAD, LOCAL, OK, READ, REFUSED, STALE, STREAM, UNCLEAR, WRITE, World, at, codes, first, plain,
    seconds,
};
use http::{HeaderMap, Method, StatusCode};

// Cursor

// Execution

/// Guards: `Ending::row` that needs no proof after `MaybeProcessed` or `Stale`; `Standing::has_proof` that takes a method
/// for proof under `Never`.
#[test]
fn never_twice_without_proof_only_what_was_certainly_not_executed_is_sent_again() {
    let replayed = |outcome, replay| {
        let world = World::new(2, plain().replay(replay));
        world.call(WRITE, &[outcome, OK]).tried.len() == 2
    };
    for code in 500..=599 {
        assert_eq!(replayed(Outcome::Status(code), Replay::Auto), code == 501, "{code}");
    }
    assert!(!replayed(UNCLEAR, Replay::Auto) && !replayed(STALE, Replay::Auto));
    assert!(replayed(DEAD, Replay::Never) && replayed(REFUSED, Replay::Never));
    let world = World::new(2, plain().replay(Replay::Never));
    assert_eq!(world.call(READ, &[UNCLEAR]).end, Err(Reason::NoProof), "under Never nothing is proof");
}

/// Guards: `Ending::row` that needs a body which can be sent again though nothing was sent.
#[test]
fn not_sent_always_fails_over_for_every_request() {
    for request in Request::ALL {
        for replay in [Replay::Auto, Replay::Methods, Replay::Always, Replay::Never] {
            for kind in [Evidence::NoConnection, Evidence::NotSent, Evidence::NoRoom] {
                let world = World::new(3, plain().replay(replay));
                let unsent = Outcome::Error(kind);
                assert_eq!(world.call(request, &[unsent, unsent, OK]).end, Ok(2), "{request:?} {replay:?}");
            }
        }
    }
}

/// Guards: `Standing::lacks` that does not miss a body where nothing was sent.
#[test]
fn body_gone_a_request_never_goes_on_without_its_body_whatever_is_proved() {
    for kind in Evidence::ALL {
        for request in Request::ALL {
            let world = World::new(2, plain().replay(Replay::Always));
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
        let world = World::new(2, plain().replay(replay));
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

/// Guards: `Ending::row` that needs no proof after a failover code; `Call::ending` that takes a 5xx for not processed.
#[test]
fn gateway_codes_prove_nothing_for_a_post() {
    for code in [408, 500, 502, 503, 504] {
        let world = World::new(2, plain().failover_codes(codes("408, 500, 502-504")));
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

/// Guards: `Standing::lacks` that lets no stream go on, or one of which something was sent.
#[test]
fn stream_first_a_body_that_cannot_be_sent_again_still_gets_its_first_attempt() {
    let world = World::new(2, plain());
    assert_eq!(world.call(STREAM, &[OK]).end, Ok(0));
    assert_eq!(world.call(STREAM, &[DEAD, OK]).end, Ok(1), "nothing of it was sent");
    world.group.prefer(0, world.now).expect("a target");
    assert_eq!(world.call(STREAM, &[REFUSED]).end, Err(Reason::OneShotBody));
}

/// Guards: `Attempt::body_gone` that does nothing; `Call::give_up_answer` that does not keep the response.
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

/// Guards: `Attempt::body_kept` that does nothing.
#[test]
fn a_stream_of_which_nothing_was_read_goes_on_as_any_other_body() {
    let world = World::new(2, plain());
    let mut call = world.begin(STREAM);
    call.body_kept();
    let Action::Send(mut call) = report(call, 0, REFUSED, None, world.now) else {
        panic!("the body is whole")
    };
    call.body_gone();
    let Action::Fail(stopped) = report(call, 0, REFUSED, None, world.now) else { panic!("it was read") };
    assert_eq!(stopped.reason(), Reason::BodyGone);
}

// Time

// Health

#[test]
fn a_free_repeat_is_no_try() {
    let world = World::new(2, Policy::default().max_attempts(2));
    assert_eq!(world.call(READ, &[STALE, DEAD, OK]).tried, [0, 0, 1]);
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
    assert_eq!(refused(d().rounds(0)), "rounds = 0: expected at least 1");
    assert_eq!(refused(d().max_attempts(0)), "max_attempts = 0: expected at least 1");
    assert_eq!(
        refused(d().connect_timeout(Duration::ZERO)),
        "connect_timeout = 0ns: expected a time above zero"
    );
    assert_eq!(
        refused(d().attempt_timeout(Duration::ZERO)),
        "attempt_timeout = 0ns: expected a time above zero"
    );
    assert_eq!(refused(d().deadline(Duration::ZERO)), "deadline = 0ns: expected a time above zero");
    assert_eq!(refused(d().leave_after(0)), "leave_after = 0: expected at least 1");
    let late = |factor, floor| d().late(Late { factor, floor: seconds(floor) });
    assert_eq!(refused(late(0, 1.0)), "late.factor = 0: expected at least 1");
    assert_eq!(refused(late(3, 0.0)), "late.floor = 0ns: expected a time above zero");
    let cool_down = |base, max| CoolDown { base: seconds(base), max: seconds(max) };
    assert_eq!(
        refused(d().cool_down(cool_down(0.0, 1.0))),
        "cool_down.base = 0ns: expected a time above zero"
    );
    assert_eq!(
        refused(d().cool_down(cool_down(2.0, 1.0))),
        "cool_down.base = 2s: expected at most cool_down.max = 1s"
    );
    let failback = |after, max| Failback { after: seconds(after), max: seconds(max) };
    assert_eq!(
        refused(d().failback(failback(2.0, 1.0))),
        "failback.after = 2s: expected at most failback.max = 1s"
    );
    assert_eq!(
        refused(d().with_bounds(None, Some(Duration::ZERO))),
        "deadline = 0ns: expected a time above zero",
        "not the attempt timeout that gave way to it"
    );
    assert!(Group::new(["a", "a"], d()).is_ok(), "a second chance is legal");
}

/// Guards: `Group::prefer` that does not look whether the target is there.
#[test]
fn rejected_a_target_that_is_not_there() {
    let world = World::new(2, plain());
    let error: BuildError = world.group.prefer(2, world.now).expect_err("refused");
    assert_eq!(error.to_string(), "index = 2: expected less than the 2 targets");
    assert_eq!(world.group.sticky(), 0);
}

// Explained

/// Guards: `Call::stop` that takes one attempt without room for a fault of this side.
#[test]
fn explain_every_stop_has_its_reason() {
    let stop = |policy, request, script: &[Outcome]| World::new(2, policy).call(request, script).end;
    assert_eq!(stop(plain(), READ, &[DEAD, DEAD]), Err(Reason::TargetsTried));
    let once = plain().max_attempts(1);
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

/// Guards: `Call::give_up_error` that lets the last response go; `Call::give_up_answer` that does not keep it.
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

/// Guards: `Call::give_up` that lets an attempt end before it began.
#[test]
fn explain_the_story_tells_when_each_attempt_began_and_ended() {
    let world = World::new(3, plain().interval(seconds(1.0)));
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

/// Guards: `Attempt::number`, `is_probe` or `failures` that tell of another attempt.
#[test]
fn explain_an_attempt_tells_its_number_whether_it_probes_and_what_came_before() {
    let mut world = World::new(3, Policy::default());
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(40.0);
    let mut attempt = world.begin(READ);
    for (number, target) in [(1, 0), (2, 1), (3, 1), (4, 2)] {
        let before: Vec<usize> = attempt.failures().iter().map(failover_core::Failure::target).collect();
        assert_eq!((attempt.number(), attempt.index(), attempt.is_probe()), (number, target, number == 1));
        assert_eq!(before, [0, 1, 1][..number - 1]);
        let outcome = if number == 2 { STALE } else { UNCLEAR };
        match report(attempt, 0, outcome, None, world.now) {
            Action::Send(next) => attempt = next,
            ended => return assert!(number == 4 && matches!(ended, Action::Fail(_))),
        }
    }
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
    let group = Group::new(["a"], Policy::ballerina().failover_codes(codes("503, 599")));
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
fn verdict_tells_beforehand_what_a_report_will_do() {
    let world = World::new(2, plain());
    for code in 100..=999 {
        let call = world.begin(READ);
        let given_up = call.verdict(StatusCode::from_u16(code).expect("a status")).gives_up();
        let returned = matches!(report(call, 0, Outcome::Status(code), None, world.now), Action::Return(_));
        assert_eq!(given_up, !returned, "{code}");
        assert_eq!(given_up, matches!(code, 421 | 425 | 501..=504), "{code}");
    }
}

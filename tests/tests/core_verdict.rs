//! Verdicts: what an answer means for its call and its target where the status alone does not say it.

use failover_core::{Action, Follow, Group, Policy, Reason, Snapshot, Timestamp, Verdict};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, OK, READ, STREAM, UNCLEAR, WRITE, World, at, codes, first, plain, seconds,
};
use http::StatusCode;

type Attempt = failover_core::Attempt<usize, usize, Outcome>;
type Step = Action<usize, usize, Outcome>;

/// Guards: `Attempt::verdict` that asks one set of codes, or takes a 4xx for harm.
#[test]
fn the_verdict_on_a_status_is_the_policys() {
    let elsewhere = |processed, harm| Verdict::Elsewhere { processed, harm };
    let default = Policy::default();
    let own = Policy::default().failover_codes(codes("404, 429, 500, 503"));
    let none = Policy::default().failover_codes(codes("")).not_processed(Some(codes("")));
    for (policy, verdicts) in [
        (
            default,
            &[
                (200, Verdict::Accept),
                (404, Verdict::Accept),
                (999, Verdict::Accept),
                (429, Verdict::Pass),
                (500, Verdict::Pass),
                (505, Verdict::Pass),
                (503, elsewhere(true, true)),
                (501, elsewhere(false, false)),
                (421, elsewhere(false, true)),
                (425, elsewhere(false, false)),
            ][..],
        ),
        (
            own,
            &[
                (404, elsewhere(true, false)),
                (429, elsewhere(true, true)),
                (500, elsewhere(true, true)),
                (421, elsewhere(false, true)),
                (504, Verdict::Pass),
            ],
        ),
        (none, &[(421, Verdict::Accept), (503, Verdict::Pass)]),
        (Policy::ballerina(), &[(503, elsewhere(false, true)), (421, Verdict::Accept), (505, Verdict::Pass)]),
    ] {
        let attempt = World::new(2, policy).begin(READ);
        for &(status, verdict) in verdicts {
            assert_eq!(attempt.verdict(code(status)), verdict, "{status}");
        }
    }
}

/// Guards: `Attempt::handle_judged` that takes the policy's own verdict for somebody else's, or the other way round.
#[test]
fn the_policys_own_verdict_is_what_a_response_is_handled_by() {
    let policies = [
        Policy::default(),
        Policy::ballerina(),
        plain(),
        Policy::default().follow(Follow::Answer),
        Policy::default().failover_codes(codes("4xx, 5xx")).not_processed(Some(codes("421, 429, 503"))),
        Policy::default().failover_codes(codes("")).not_processed(None).leave_after(1),
        Policy::default().failover_codes(codes("2xx")).not_processed(Some(codes("5xx"))).leave_after(1),
    ];
    for policy in policies {
        for status in (100..=999).map(code) {
            for request in Request::ALL {
                let handled =
                    told(&policy, request, |attempt, now| attempt.handle_response(status, None, 7, now));
                let judged = told(&policy, request, |attempt, now| {
                    let verdict = attempt.verdict(status);
                    attempt.handle_judged(verdict, status, None, 7, now)
                });
                assert_eq!(handled, judged, "{status} and {request:?} under {policy:?}");
            }
        }
    }
}

/// Guards: `Ending::row` of a judged answer: what it needs, and whether it harms.
#[test]
fn elsewhere_goes_on_as_far_as_the_request_may_and_harms_as_it_says() {
    for (processed, harm) in [(false, false), (false, true), (true, false), (true, true)] {
        let verdict = Verdict::Elsewhere { processed, harm };
        for status in [200, 404, 421, 425, 429, 500, 501, 503].map(code) {
            for (request, needs_proof) in [(READ, false), (WRITE, true)] {
                let world = World::new(2, Policy::default());
                let step = world.begin(request).handle_judged(verdict, status, None, 7, world.now);
                if processed && needs_proof {
                    let Action::Fail(stopped) = step else { panic!("{step:?}") };
                    assert_eq!((stopped.reason(), stopped.last_response()), (Reason::NoProof, Some(&7)));
                    assert_eq!(stopped.failures()[0].status(), Some(status));
                } else {
                    let second = first(step);
                    assert_eq!((second.index(), second.failures()[0].status()), (1, Some(status)));
                    assert_eq!(world.returned(second, OK), 1);
                }
                assert_eq!(world.strikes(), [u8::from(harm), 0], "{verdict:?} on {status}, {request:?}");
            }
            let world = World::new(2, Policy::default());
            let step = world.begin(STREAM).handle_judged(verdict, status, None, 7, world.now);
            let Action::Fail(stopped) = step else { panic!("{step:?}") };
            assert_eq!(stopped.reason(), if processed { Reason::NoProof } else { Reason::OneShotBody });
        }
    }
}

/// Guards: `Attempt::handle_judged` that asks the status after all.
#[test]
fn accept_and_pass_return_an_answer_whatever_its_status() {
    for status in [200, 404, 421, 429, 500, 501, 503] {
        for (verdict, strikes) in [(Verdict::Accept, 0), (Verdict::Pass, 2)] {
            let world = World::new(2, Policy::default());
            for _ in 0..2 {
                assert_eq!(world.call(READ, &[BUSY, OK]).end, Ok(1));
            }
            let step = world.begin(WRITE).handle_judged(verdict, code(status), None, 7, world.now);
            let Action::Return(answer) = step else { panic!("{step:?}") };
            assert_eq!((answer.target(), *answer.response(), answer.failures().len()), (0, 7, 0));
            assert_eq!(world.strikes(), [strikes, 0], "{verdict:?} on {status}");
        }
    }
}

/// Guards: `Call::answer` that moves the cursor by the status and not by the verdict.
#[test]
fn not_well_the_cursor_and_a_probe_go_by_the_verdict() {
    for (verdict, moves) in [(Verdict::Accept, true), (Verdict::Pass, false)] {
        for status in [200, 500] {
            let world = World::new(2, Policy::default().leave_after(1));
            let second = world.went_on(world.begin(READ), BUSY);
            let step = second.handle_judged(verdict, code(status), None, 7, world.now);
            assert!(matches!(step, Action::Return(_)));
            assert_eq!(world.group.sticky(), usize::from(moves), "{verdict:?} on {status}");

            let mut world = World::new(2, Policy::default());
            world.group.prefer(1, world.now).expect("a target");
            world.sleep(40.0);
            let probe = world.begin(READ);
            assert!(probe.is_probe());
            let step = probe.handle_judged(verdict, code(status), None, 7, world.now);
            let Action::Return(answer) = step else { panic!("{step:?}") };
            assert_eq!(answer.body().is_probe(), moves);
            world.group.body_whole(answer.body(), world.now);
            let snapshot = world.group.snapshot(world.now);
            let failed = snapshot.targets[0].failed_probes;
            assert_eq!(
                (snapshot.sticky, failed),
                if moves { (0, 0) } else { (1, 1) },
                "{verdict:?} on {status}"
            );
        }
    }
}

/// Guards: `Ending::row` by which an answer that was judged leaves the cursor under `Follow::Answer`.
#[test]
fn follow_answer_goes_where_an_answer_was_accepted_that_was_judged_elsewhere_before() {
    for (processed, harm) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::new(3, Policy::ballerina());
        let verdict = Verdict::Elsewhere { processed, harm };
        let second = first(world.begin(READ).handle_judged(verdict, StatusCode::OK, None, 7, world.now));
        assert_eq!((world.returned(second, OK), world.group.sticky()), (1, 1));
    }
}

/// Guards: `Call::give_up_answer` that heeds Retry-After only by the status.
#[test]
fn retry_after_capped_is_heeded_of_an_answer_that_was_judged() {
    for (harm, cools) in [(true, 60.0), (false, 0.0)] {
        let policy = Policy::default().leave_after(1);
        let world = World::new(2, policy);
        let verdict = Verdict::Elsewhere { processed: true, harm };
        let asked = Some(seconds(60.0));
        let second = first(world.begin(READ).handle_judged(verdict, StatusCode::OK, asked, 7, world.now));
        assert_eq!(second.index(), 1);
        assert!((world.cooling(0) - cools).abs() < 0.001, "{}", world.cooling(0));
    }
}

/// What comes of one attempt at a target that has a strike, in words, and what is remembered after its call.
fn told(
    policy: &Policy,
    request: Request,
    report: impl FnOnce(Attempt, Timestamp) -> Step,
) -> (String, Snapshot) {
    let group = Group::new(0..2, policy.clone()).expect("a group");
    let (world, later) = (World { group, now: at(0.0) }, at(0.5));
    let _ = world.by_target(READ, |target| [UNCLEAR, OK][target]);
    world.group.prefer(0, world.now).expect("a target");
    let step = match report(world.begin(request), later) {
        Action::Send(second) => {
            let first = format!("{second:?} {:?}", second.failures());
            drop(second.handle_judged(Verdict::Accept, StatusCode::OK, None, 8, later));
            first
        }
        Action::Return(answer) => format!("{answer:?} {}", answer.response()),
        Action::Fail(stopped) => format!("{stopped:?} {:?}", stopped.last_response()),
        Action::Wait(wait) => panic!("{wait:?}"),
    };
    (step, world.group.snapshot(later))
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

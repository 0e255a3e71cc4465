//! Two and three calls at a time: every order of their events, and every outcome of their attempts.

use failover_core::{Action, Evidence, Group, Policy, Reason, Timestamp};
use failover_tests::drive::{Step, facts, report};
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request, Trace, ballerina, careful};
use failover_tests::world::{BUSY, DEAD, READ, REFUSED, UNCLEAR, WRITE};

const NOW: Timestamp = Timestamp::ORIGIN;
#[test]
fn two_calls_each_follow_the_table_and_a_stale_result_moves_nothing() {
    let policy = Policy { cool_down: None, failback: None, ..Policy::default() };
    let runs = explore(|choices| {
        let requests = [choices.among(&[READ, WRITE]), choices.among(&[READ, WRITE])];
        interleave(choices, 3, &policy, &requests, &[Outcome::OK, DEAD, UNCLEAR, REFUSED], careful);
    });
    assert_eq!(runs, 220_894);
}

#[test]
fn two_calls_with_outcomes_of_every_effect_each_follow_the_table() {
    let policy = Policy { cool_down: None, failback: None, ..Policy::default() };
    // The effects of these two are those of a second `HandedBack` and of `Refused`.
    let others = [Outcome::Error(Evidence::NotSent), Outcome::Status(421)];
    let kinds: Vec<_> = Outcome::KINDS.into_iter().filter(|kind| !others.contains(kind)).collect();
    let runs = explore(|choices| {
        interleave(choices, 2, &policy, &[WRITE, READ], &kinds, careful);
    });
    assert_eq!(runs, 2_399_420);
}

#[test]
fn three_calls_each_follow_the_table_and_a_stale_result_moves_nothing() {
    let policy = Policy { cool_down: None, failback: None, ..Policy::default() };
    let runs = explore(|choices| {
        interleave(choices, 2, &policy, &[READ, WRITE, READ], &[Outcome::OK, UNCLEAR, REFUSED], careful);
    });
    assert_eq!(runs, 247_770);
}

#[test]
fn two_calls_under_the_preset_each_follow_the_seeds_rule() {
    let runs = explore(|choices| {
        let rule = |targets, sticky, _, outcome: &mut dyn FnMut(usize) -> Outcome| {
            ballerina(targets, sticky, outcome)
        };
        interleave(choices, 3, &Policy::ballerina(), &[WRITE, WRITE], &[Outcome::OK, BUSY, DEAD], rule);
    });
    assert_eq!(runs, 12_246);
}

#[test]
fn never_refused_untried_whatever_two_calls_teach_each_other() {
    let runs = explore(|choices| {
        let group = Group::new(0..3, Policy::default()).expect("a valid group");
        let mut calls = [Call::new(READ), Call::new(READ)];
        while let Some(call) = pick(choices, &mut calls) {
            call.advance(&group, || choices.among(&[Outcome::OK, DEAD, UNCLEAR, BUSY, REFUSED]));
        }
        for Call { tried, end, .. } in calls {
            assert!(
                end == Some(Ok(tried[tried.len() - 1])) || tried.len() == 3,
                "a target that was not tried: {tried:?}"
            );
        }
    });
    assert_eq!(runs, 473_206);
}

/// Runs calls in a chosen order, and holds each against what it would have done alone from the cursor that it saw.
fn interleave(
    choices: &mut Choices,
    targets: usize,
    policy: &Policy,
    requests: &[Request],
    kinds: &[Outcome],
    oracle: impl Fn(usize, usize, Request, &mut dyn FnMut(usize) -> Outcome) -> Trace,
) {
    let group = Group::new(0..targets, policy.clone()).expect("a valid group");
    let mut calls: Vec<Call> = requests.iter().map(|&request| Call::new(request)).collect();
    let mut cursor = (0, 0);
    while let Some(call) = pick(choices, &mut calls) {
        if call.seen.is_none() {
            call.seen = Some(cursor);
        }
        call.advance(&group, || choices.among(kinds));
        if let Some(end) = &call.end {
            let (sticky, moves) = call.seen.expect("it began");
            let alone = oracle(targets, sticky, call.request, &mut |nth| call.met[nth]);
            assert_eq!((&call.tried, end), (&alone.tried, &alone.end), "{:?}", call.met);
            if alone.cursor != sticky && moves == cursor.1 {
                cursor = (alone.cursor, moves + 1);
            }
        }
        assert_eq!(group.sticky(), cursor.0, "only what a call saw at its beginning can be moved by it");
    }
}

/// A call that has not ended.
fn pick<'a>(choices: &mut Choices, calls: &'a mut [Call]) -> Option<&'a mut Call> {
    let mut open: Vec<&mut Call> = calls.iter_mut().filter(|call| call.end.is_none()).collect();
    if open.is_empty() {
        return None;
    }
    let chosen = choices.one_of(open.len());
    Some(open.swap_remove(chosen))
}

struct Call {
    request: Request,
    /// The sticky target when it began, and how often the cursor had moved by then.
    seen: Option<(usize, usize)>,
    step: Option<Step>,
    tried: Vec<usize>,
    met: Vec<Outcome>,
    end: Option<Result<usize, Reason>>,
}

impl Call {
    fn new(request: Request) -> Self {
        Self { request, seen: None, step: None, tried: vec![], met: vec![], end: None }
    }

    /// Begins, or has its attempt end somehow.
    fn advance(&mut self, group: &Group<usize>, outcome: impl FnOnce() -> Outcome) {
        let step = match self.step.take() {
            None => group.begin(facts(self.request), NOW),
            Some(Action::Send(attempt)) => {
                let outcome = outcome();
                self.met.push(outcome);
                report(attempt, self.met.len() - 1, outcome, None, NOW)
            }
            Some(other) => panic!("a call that waits or has ended: {other:?}"),
        };
        match &step {
            Action::Send(attempt) => self.tried.push(attempt.index()),
            Action::Return(answer) => self.end = Some(Ok(answer.target())),
            Action::Fail(stopped) => self.end = Some(Err(stopped.reason())),
            Action::Wait(_) => panic!("no interval is set"),
        }
        self.step = Some(step);
    }
}

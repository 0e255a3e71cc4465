//! Two and three calls at a time: every order of their events, and every outcome of their attempts, against the oracle of
//! one call and a plain count of strikes.

use failover_core::{Action, Follow, Group, Policy, Reason, Timestamp};
use failover_tests::drive::{Step, facts, report};
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request, Trace, ballerina, careful, is_free};
use failover_tests::world::{BUSY, DEAD, HANDED_BACK, OK, READ, REFUSED, STALE, UNCLEAR, WRITE, plain};

#[test]
fn two_calls_each_follow_the_table_and_a_stale_result_moves_nothing() {
    let runs = explore(|choices| {
        let policy = plain().follow(choices.among(&FOLLOWS));
        let requests = [choices.among(&[READ, WRITE]), choices.among(&[READ, WRITE])];
        interleave(choices, 3, &policy, &requests, &[OK, DEAD, UNCLEAR, REFUSED], &careful);
    });
    assert_eq!(runs, 441_788);
}

#[test]
fn two_calls_with_outcomes_of_every_effect_each_follow_the_table() {
    // One outcome for each effect that two calls can have on each other; the oracle's own suite has the others.
    let kinds = [OK, Outcome::Status(500), Outcome::Status(501), DEAD, HANDED_BACK, STALE, UNCLEAR];
    let runs = explore(|choices| {
        interleave(choices, 2, &plain(), &[WRITE, READ], &kinds, &careful);
    });
    assert_eq!(runs, 375_373);
}

#[test]
fn three_calls_each_follow_the_table_and_a_stale_result_moves_nothing() {
    let runs = explore(|choices| {
        let policy = plain().follow(choices.among(&FOLLOWS)).leave_after(2);
        interleave(choices, 2, &policy, &[READ, WRITE, READ], &[OK, UNCLEAR, REFUSED], &careful);
    });
    assert_eq!(runs, 495_540);
}

#[test]
fn two_calls_under_the_preset_each_follow_the_seeds_rule() {
    let runs = explore(|choices| {
        let rule = |_: &Policy, targets, sticky, _, outcome: &mut dyn FnMut(usize) -> Outcome| {
            ballerina(targets, sticky, outcome)
        };
        interleave(choices, 3, &Policy::ballerina(), &[WRITE, WRITE], &[OK, BUSY, DEAD], &rule);
    });
    assert_eq!(runs, 12_246);
}

/// A rule for one call.
type Oracle<'a> = &'a dyn Fn(&Policy, usize, usize, Request, &mut dyn FnMut(usize) -> Outcome) -> Trace;

/// Runs calls in a chosen order without any cool-down, and holds each against what it would have done alone from the cursor
/// that it saw.
fn interleave(
    choices: &mut Choices,
    targets: usize,
    policy: &Policy,
    requests: &[Request],
    kinds: &[Outcome],
    oracle: Oracle<'_>,
) {
    let group = Group::new(0..targets, policy.clone()).expect("a valid group");
    let mut calls: Vec<Call> = requests.iter().map(|&request| Call::new(request)).collect();
    let mut known = Known { cursor: 0, moves: 0, strikes: vec![0; targets], heard: vec![false; targets] };
    while let Some(call) = pick(choices, &mut calls) {
        let (sticky, moves) = *call.seen.get_or_insert((known.cursor, known.moves));
        call.advance(&group, || choices.among(kinds));
        let cleared = if call.met.is_empty() { 0 } else { known.learn(policy, call.target, &call.met) };
        if let Some(end) = &call.end {
            let alone = oracle(policy, targets, sticky, call.request, &mut |nth| call.met[nth]);
            assert_eq!((&call.tried, end), (&alone.tried, &alone.end), "{:?}", call.met);
            let goes_to = match policy.follow {
                Follow::Answer => alone.cursor,
                _ if moves != known.moves => sticky,
                _ => known.goes_to(policy.leave_after, sticky, call, cleared),
            };
            if goes_to != sticky && moves == known.moves {
                (known.cursor, known.moves) = (goes_to, moves + 1);
            }
        }
        call.target = call.tried[call.tried.len() - 1];
        let told = group.snapshot(NOW);
        assert_eq!(told.sticky, known.cursor, "only what a call saw at its beginning can be moved by it");
        assert!(
            told.targets.iter().map(|target| target.strikes).eq(known.strikes.iter().copied()),
            "{known:?}"
        );
    }
}

/// What a group knows for which no time goes by and nothing cools.
#[derive(Debug)]
struct Known {
    cursor: usize,
    moves: usize,
    strikes: Vec<u8>,
    /// Who ever answered.
    heard: Vec<bool>,
}

impl Known {
    /// Books an outcome; the strikes that it cleared.
    fn learn(&mut self, policy: &Policy, target: usize, met: &[Outcome]) -> u8 {
        let (last, strikes, heard) = (met[met.len() - 1], &mut self.strikes[target], self.heard[target]);
        let before = *strikes;
        self.heard[target] |= last.status().is_some();
        *strikes = match last {
            OK => 0,
            BUSY | UNCLEAR | REFUSED => before + 1,
            DEAD if heard => before + 1,
            DEAD => policy.leave_after.max(before + 1),
            STALE if !is_free(policy, met) => before + 1,
            _ => before,
        };
        before
    }

    /// Where a call that has ended takes the cursor that it saw.
    fn goes_to(&mut self, leave_after: u8, sticky: usize, call: &Call, cleared: u8) -> usize {
        let is_down = self.strikes[sticky] >= leave_after;
        match call.end {
            Some(Ok(target)) if target != sticky && is_down && call.met.last() == Some(&OK) => {
                if cleared >= leave_after {
                    // All were down.
                    self.strikes[sticky] = leave_after - 1;
                    return sticky;
                }
                target
            }
            Some(Err(_))
                if is_down && (0..self.strikes.len()).any(|target| !call.tried.contains(&target)) =>
            {
                (sticky + 1) % self.strikes.len()
            }
            _ => sticky,
        }
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
    /// The target of the attempt that ends.
    target: usize,
    tried: Vec<usize>,
    met: Vec<Outcome>,
    end: Option<Result<usize, Reason>>,
}

impl Call {
    fn new(request: Request) -> Self {
        Self { request, seen: None, step: None, target: 0, tried: vec![], met: vec![], end: None }
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

const NOW: Timestamp = Timestamp::ORIGIN;
const FOLLOWS: [Follow; 2] = [Follow::Strikes, Follow::Answer];

//! One call, and what is checked at each of its steps.

use std::rc::Rc;
use std::time::Duration;

use failover_core::{
    Action, Attempt, BodyToken, Evidence, Expired, Group, Policy, Reason, Replay, Stopped, Timestamp, Wait,
};
use http::StatusCode;

use crate::plan::{Kind, Outcome, Request, Span};

/// An open call.
pub(crate) struct Call {
    state: State,
    story: Story,
}

enum State {
    Sending(Attempt<u8, Rc<()>, ()>),
    Waiting(Wait<u8, Rc<()>, ()>),
}

/// What is left of a call after an event.
pub(crate) enum Next {
    Open(Call),
    Body(Group<u8>, BodyToken),
    Over,
}

/// What was seen of a call.
struct Story {
    group: Group<u8>,
    proof: bool,
    gone: bool,
    made_progress: bool,
    has_body: bool,
    deadline: Timestamp,
    latest: Timestamp,
    /// The targets that the request was sent to, in order.
    sent: Vec<usize>,
    /// One count for this, and one for each response that is held.
    responses: Rc<()>,
}

/// What an outcome allows.
#[derive(Debug)]
enum Verdict {
    Accepted,
    MayGoOn,
    MustStop,
}

impl Call {
    /// A call, unless its time is over before it begins.
    pub(crate) fn begin(group: Group<u8>, request: Request, now: Timestamp) -> Option<Self> {
        let (facts, policy) = (request.facts(), group.policy());
        let action = group.begin(facts, now);
        let bounds = [policy.deadline, request.within.map(Span::duration)];
        let mut story = Story {
            proof: match policy.replay {
                Replay::Auto | Replay::Methods => request.idempotent,
                Replay::Always => true,
                Replay::Never => false,
                other => panic!("{other:?} is not played"),
            },
            gone: false,
            made_progress: false,
            has_body: !request.one_shot,
            deadline: bounds.into_iter().flatten().map(|bound| now + bound).min().unwrap_or(NEVER),
            latest: now,
            sent: Vec::new(),
            responses: Rc::new(()),
            group,
        };
        match action {
            Action::Send(attempt) => {
                story.check_attempt(&attempt);
                Some(Self { state: State::Sending(attempt), story })
            }
            Action::Fail(stopped) => {
                assert!(story.deadline <= now && stopped.failures().is_empty(), "{stopped:?}");
                None
            }
            other => panic!("{other:?} at the beginning"),
        }
    }

    pub(crate) fn body_gone(&mut self) {
        if let State::Sending(attempt) = &mut self.state {
            attempt.body_gone();
            (self.story.gone, self.story.has_body) = (true, false);
        }
    }

    pub(crate) fn progress(&mut self, now: Timestamp) {
        if let State::Sending(attempt) = &mut self.state {
            attempt.progress(now);
            self.story.made_progress = true;
            self.story.latest = self.story.latest.max(now);
        }
    }

    pub(crate) fn abandon(self, now: Timestamp) {
        if let State::Sending(mut attempt) = self.state {
            attempt.abandon(now);
        }
    }

    /// Reports what became of the attempt, or that the pause is over.
    pub(crate) fn report(self, outcome: Outcome, now: Timestamp) -> Next {
        let Self { state, mut story } = self;
        story.latest = story.latest.max(now);
        let verdict = match state {
            State::Sending(_) => story.verdict(outcome),
            State::Waiting(_) => Verdict::MayGoOn,
        };
        let action = match (state, outcome) {
            (State::Waiting(wait), _) => wait.resume(now),
            (State::Sending(attempt), Outcome::Error(kind)) => attempt.handle_error(kind.evidence(), (), now),
            (State::Sending(attempt), Outcome::Answer(status, asked)) => {
                let (status, asked) = (status.code(), asked.map(Span::duration));
                assert_eq!(attempt.verdict(status).gives_up(), !matches!(verdict, Verdict::Accepted));
                attempt.handle_response(status, asked, Rc::clone(&story.responses), now)
            }
        };
        Self::take(story, verdict, action)
    }

    /// Reports that the driver waited for nothing, or that the pause is over.
    pub(crate) fn expire(self, kind: Kind, now: Timestamp) -> Next {
        let State::Sending(attempt) = self.state else { return self.report(Outcome::Error(kind), now) };
        let mut story = self.story;
        story.latest = story.latest.max(now);
        match attempt.expired(kind.evidence(), (), now) {
            Expired::WaitOn(attempt) => {
                assert!(!attempt.bound().is_zero(), "a driver that would ask without end");
                // What makes progress may outlast it.
                assert!(story.made_progress || story.latest + attempt.bound() <= story.deadline);
                Next::Open(Self { state: State::Sending(attempt), story })
            }
            Expired::Next(action) => {
                let verdict = story.verdict(Outcome::Error(kind));
                Self::take(story, verdict, action)
            }
        }
    }

    /// Fails all that is left of the call, which ends it in time.
    pub(crate) fn exhaust(self) {
        let mut open = self;
        loop {
            let now = open.story.latest;
            let Next::Open(call) = open.report(Outcome::Error(Kind::NoConnection), now) else { break };
            open = call;
        }
    }

    /// What is left after an action that a verdict allows.
    fn take(mut story: Story, verdict: Verdict, action: Action<u8, Rc<()>, ()>) -> Next {
        assert!(Rc::strong_count(&story.responses) <= 2, "at most one response is held");
        match (verdict, action) {
            (Verdict::Accepted, Action::Return(answer)) => {
                assert_eq!(Some(&answer.target()), story.sent.last());
                assert_eq!(answer.failures().len(), story.sent.len() - 1);
                Next::Body(story.group, answer.body())
            }
            (Verdict::MayGoOn, Action::Send(attempt)) => {
                story.check_attempt(&attempt);
                Next::Open(Self { state: State::Sending(attempt), story })
            }
            (Verdict::MayGoOn, Action::Wait(wait)) => {
                story.check_pause(wait.pause());
                Next::Open(Self { state: State::Waiting(wait), story })
            }
            (Verdict::MayGoOn, Action::Fail(stopped)) => {
                story.check_end(&stopped);
                Next::Over
            }
            (Verdict::MustStop, Action::Fail(stopped)) => {
                let reasons = [Reason::NoProof, Reason::OneShotBody, Reason::BodyGone, Reason::LocalFault];
                assert!(reasons.contains(&stopped.reason()), "{stopped:?}");
                Next::Over
            }
            (verdict, action) => panic!("{verdict:?}, and yet {action:?}"),
        }
    }
}

impl Story {
    /// Whether an outcome ends the call, and whether the request may be sent again after it.
    fn verdict(&self, outcome: Outcome) -> Verdict {
        let allowed = match outcome {
            Outcome::Error(kind) => match kind.evidence() {
                Evidence::NoConnection | Evidence::NotSent | Evidence::NoRoom | Evidence::HandedBack => {
                    !self.gone
                }
                Evidence::Refused => self.has_body,
                Evidence::Stale | Evidence::MaybeProcessed => self.has_body && self.proof,
                Evidence::LocalFault => false,
                other => panic!("{other:?} is not played"),
            },
            Outcome::Answer(status, _) => match not_executed(self.group.policy(), status.code()) {
                None => return Verdict::Accepted,
                Some(not_executed) => self.has_body && (not_executed || self.proof),
            },
        };
        if allowed { Verdict::MayGoOn } else { Verdict::MustStop }
    }

    fn check_attempt(&mut self, attempt: &Attempt<u8, Rc<()>, ()>) {
        let policy = self.group.policy();
        let may_start = self.sent.is_empty() || self.deadline == NEVER || self.latest < self.deadline;
        assert!(may_start, "an attempt after the deadline");
        assert_eq!(attempt.began(), self.latest);
        assert!(attempt.timeout() <= policy.attempt_timeout);
        assert!(attempt.bound() <= policy.attempt_timeout);
        assert_eq!(attempt.failures().len() + 1, attempt.number());
        assert_eq!(attempt.failures().len(), self.sent.len());
        assert!(attempt.began() + attempt.timeout() <= self.deadline);
        assert_eq!(self.group.targets().get(attempt.index()), Some(attempt.target()));

        self.sent.push(attempt.index());
        let times = self.times(attempt.index());
        assert!(times <= usize::from(policy.rounds) + 1, "target {} {times} times", attempt.index());
        let most = policy.max_attempts.map_or(usize::MAX, usize::from).min(self.all_tries());
        assert!(self.sent.len() <= most.saturating_add(PROBE + FREE_REPEAT), "{:?}", self.sent);
    }

    fn check_pause(&self, pause: Duration) {
        assert!(!pause.is_zero());
        assert!(self.deadline == NEVER || self.latest + pause < self.deadline, "a pause after the deadline");
    }

    /// Checks that what stopped the call is really used up.
    fn check_end(&self, stopped: &Stopped<Rc<()>, ()>) {
        let policy = self.group.policy();
        assert_eq!(stopped.failures().len(), self.sent.len());
        let no_room = stopped.failures().iter().all(|failure| failure.evidence() == Some(Evidence::NoRoom));
        match stopped.reason() {
            Reason::TargetsTried | Reason::LocalFault
                if (stopped.reason() == Reason::LocalFault) == no_room =>
            {
                let mut targets = 0..self.group.targets().len();
                assert!(targets.all(|target| self.times(target) >= policy.rounds.into()), "{:?}", self.sent);
            }
            Reason::MaxAttempts => {
                assert!(policy.max_attempts.is_some_and(|most| self.sent.len() >= most.into()));
            }
            Reason::Deadline => assert!(self.deadline != NEVER),
            Reason::Budget => assert!(policy.budget.is_some() && self.proof),
            _ => panic!("the request may be sent again: {stopped:?}"),
        }
    }

    fn times(&self, target: usize) -> usize {
        self.sent.iter().filter(|&&sent| sent == target).count()
    }

    fn all_tries(&self) -> usize {
        self.group.targets().len() * usize::from(self.group.policy().rounds)
    }
}

/// Whether a status that gives an attempt up states that the request was not executed; `None` for any other.
fn not_executed(policy: &Policy, status: StatusCode) -> Option<bool> {
    let gives_up = policy.failover_codes.contains(status);
    match policy.not_processed {
        None => gives_up.then_some(true),
        Some(codes) if codes.contains(status) => Some(true),
        Some(_) => gives_up.then_some(false),
    }
}

/// A moment that does not come: time ends there.
const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);
/// The attempts that the bounds do not count.
const PROBE: usize = 1;
const FREE_REPEAT: usize = 1;

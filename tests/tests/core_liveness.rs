//! What comes about in the end, whatever happened before: by enumeration of what can happen, and of who calls.

use std::time::Duration;

use failover_core::{
    Action, Attempt, CoolDown, Evidence, Expired, Facts, Failback, Follow, Group, Policy, Timestamp,
};
use failover_tests::drive::{Step, report};
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{BUSY, DEAD, OK, READ, STREAM, UNCLEAR, WRITE, World, seconds};
use http::{HeaderMap, Method};

#[test]
fn failback_the_cursor_ends_at_a_first_target_that_works_whatever_happened_before() {
    let runs = explore(|choices| {
        let rules = choices.among(&POLICIES);
        let mut world = World::new(3, rules.policy());
        trouble(choices, &mut world, if matches!(rules, Rules::Default) { 6 } else { 5 });
        let request = choices.among(&[READ, STREAM]);
        let (began, mut in_a_row) = (world.now, 0);
        while in_a_row < 4 {
            world.sleep(0.5);
            in_a_row = if good_call(&mut world, request) == 0 { in_a_row + 1 } else { 0 };
            let time = world.now.since(began);
            assert!(time <= LONGEST, "not back after {time:?}: {:?}", world.group.snapshot(world.now));
        }
        assert_eq!(world.group.sticky(), 0);
    });
    assert_eq!(runs, 655_360);
}

/// Guards: `Shared::next_target` that leaves out what cools.
#[test]
fn never_refused_untried_a_target_that_works_is_called_again_and_again_whatever_happened_before() {
    // The others do not answer, and no request may be sent twice.
    let runs = explore(|choices| {
        let policy = choices.among(&POLICIES).policy();
        let mut world = World::new(3, policy);
        trouble(choices, &mut world, 3);
        let works = choices.one_of(3);
        let harm = choices.among(&[UNCLEAR, BUSY]);
        let mut answered = world.now;
        for _ in 0..120 {
            world.sleep(0.1);
            let attempt = world.begin(WRITE);
            let outcome = if attempt.index() == works { OK } else { harm };
            if end(&world, report(attempt, 0, outcome, None, world.now)) {
                answered = world.now;
            }
            // While all cool, the order is as if none did; then come the strikes of two others, and a probe of each.
            let left_out = world.now.since(answered);
            assert!(left_out <= seconds(4.8 + 0.1 * 8.0), "left out for {left_out:?}");
        }
    });
    assert_eq!(runs, 9_216);
}

#[test]
fn haste_targets_that_answer_within_their_usual_time_never_cool_whoever_calls() {
    let runs = explore(|choices| {
        let usual = choices.among(&[0.02, 0.5, 4.0]);
        let group = Group::new(0..2, Policy::default()).expect("a valid group");
        let mut street =
            Street { group, usual: seconds(usual), now: Timestamp::from(seconds(50.0)), open: vec![] };
        // It is known how long answers take here.
        for _ in 0..8 {
            street.begin(Caller::Patient);
            street.run_until(street.now + seconds(usual + 0.3));
        }
        for _ in 0..3 {
            let caller = choices.among(&Caller::ALL);
            for _ in 0..choices.among(&[1, 5]) {
                street.begin(caller);
            }
            street.run_until(street.now + seconds(choices.among(&[0.0, 0.6, 3.0])));
        }
        street.run_until(street.now + seconds(40.0));
        assert!(street.open.is_empty());
    });
    assert_eq!(runs, 81_000);
}

/// Which policy is tried.
#[derive(Clone, Copy, Debug)]
enum Rules {
    Default,
    WithoutCoolDown,
    FollowAnswers,
}

const POLICIES: [Rules; 3] = [Rules::Default, Rules::WithoutCoolDown, Rules::FollowAnswers];

impl Rules {
    /// With times so short that a run is.
    fn policy(self) -> Policy {
        let policy = Policy::default()
            .attempt_timeout(seconds(2.0))
            .deadline(seconds(6.0))
            .failback(Failback { after: seconds(1.0), max: seconds(4.0) })
            .cool_down(CoolDown { base: seconds(1.0), max: seconds(4.0) });
        match self {
            Self::Default => policy,
            Self::WithoutCoolDown => policy.cool_down(None),
            Self::FollowAnswers => policy.follow(Follow::Answer),
        }
    }
}

/// What goes wrong, or is done.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    AllDown,
    FirstTwoDown,
    FirstFails,
    /// Nobody answers, and the caller leaves.
    Hangs,
    /// The first target waits for nothing, then another is asked.
    FirstHangs,
    BodyBreaksOff,
    /// The driver never tells how a body ended.
    BodyIsForgotten,
    TimeGoesBy,
}

impl Trouble {
    const ALL: [Self; 8] = [
        Self::AllDown,
        Self::FirstTwoDown,
        Self::FirstFails,
        Self::Hangs,
        Self::FirstHangs,
        Self::BodyBreaksOff,
        Self::BodyIsForgotten,
        Self::TimeGoesBy,
    ];

    fn happens(self, world: &mut World) {
        match self {
            Self::AllDown => drop(world.by_target(READ, |_| DEAD)),
            Self::FirstTwoDown => drop(world.by_target(READ, |target| if target < 2 { DEAD } else { OK })),
            Self::FirstFails => drop(world.by_target(READ, |target| if target == 0 { BUSY } else { OK })),
            Self::Hangs => {
                let mut attempt = world.begin(WRITE);
                world.sleep(1.5);
                attempt.abandon(world.now);
            }
            Self::FirstHangs => first_hangs(world),
            Self::BodyBreaksOff => {
                if let Action::Return(answer) = report(world.begin(READ), 0, OK, None, world.now) {
                    world.group.body_broke_off(answer.body(), world.now);
                }
            }
            Self::BodyIsForgotten => drop(report(world.begin(READ), 0, OK, None, world.now)),
            Self::TimeGoesBy => world.sleep(5.0),
        }
    }
}

fn trouble(choices: &mut Choices, world: &mut World, times: usize) {
    for _ in 0..times {
        let trouble = choices.among(&Trouble::ALL);
        trouble.happens(world);
        world.sleep(0.1);
    }
}

/// A call that waits at the first target for as long as it must, and is answered by the others.
fn first_hangs(world: &mut World) {
    let mut attempt = world.begin(READ);
    loop {
        if attempt.index() != 0 {
            end(world, report(attempt, 0, OK, None, world.now));
            return;
        }
        world.now = world.now + attempt.bound();
        attempt = match attempt.expired(Evidence::MaybeProcessed, UNCLEAR, world.now) {
            Expired::WaitOn(attempt) | Expired::Next(Action::Send(attempt)) => attempt,
            Expired::Next(_) => return,
        };
    }
}

/// A call that is answered well by whoever is asked: who that was.
fn good_call(world: &mut World, request: Request) -> usize {
    let attempt = world.begin(request);
    let target = attempt.index();
    world.sleep(0.01);
    assert!(end(world, report(attempt, 0, OK, None, world.now)));
    target
}

/// Whether there is an answer, whose body then ends whole.
fn end(world: &World, step: Step) -> bool {
    let Action::Return(answer) = step else { return false };
    world.group.body_whole(answer.body(), world.now);
    true
}

/// The longest cool-down, the longest wait for a probe, once more if the caller's request is one that cannot be replayed,
/// the lease of a call that never told how it ended, and what calls are apart.
const LONGEST: Duration = Duration::from_secs(5 + 2 * 5 + 2 + 1);

/// Who calls.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Patient,
    /// Leaves after 3 ms.
    Hasty,
    /// Leaves shortly before the answer.
    Unlucky,
    /// Has a deadline of 3 ms.
    Within,
    /// Has a deadline at which the answer has not come, whose half is none either.
    WithinUsual,
}

impl Caller {
    const ALL: [Self; 5] = [Self::Patient, Self::Hasty, Self::Unlucky, Self::Within, Self::WithinUsual];

    fn leaves_after(self, usual: Duration) -> Option<Duration> {
        match self {
            Self::Hasty => Some(Duration::from_millis(3)),
            Self::Unlucky => Some(usual.mul_f64(0.9)),
            _ => None,
        }
    }

    fn facts(self, usual: Duration) -> Facts {
        let facts = Facts::of(&Method::GET, &HeaderMap::new());
        match self {
            Self::Within => facts.within(Duration::from_millis(3)),
            Self::WithinUsual => facts.within(usual.mul_f64(0.9)),
            _ => facts,
        }
    }
}

/// Targets that answer in their usual time, and the calls that wait for them.
struct Street {
    group: Group<usize>,
    usual: Duration,
    now: Timestamp,
    open: Vec<Waiting>,
}

/// An attempt, and when what happens to it.
struct Waiting {
    attempt: Attempt<usize, usize, Outcome>,
    is_answered: Timestamp,
    expires: Timestamp,
    leaves: Option<Timestamp>,
}

impl Waiting {
    fn next(&self) -> Timestamp {
        self.is_answered.min(self.expires).min(self.leaves.unwrap_or(self.expires))
    }
}

impl Street {
    fn begin(&mut self, caller: Caller) {
        let leaves = caller.leaves_after(self.usual).map(|time| self.now + time);
        let action = self.group.begin(caller.facts(self.usual), self.now);
        self.take(action, leaves);
    }

    fn take(&mut self, action: Step, leaves: Option<Timestamp>) {
        match action {
            Action::Send(attempt) => {
                let (is_answered, expires) = (self.now + self.usual, self.now + attempt.bound());
                self.open.push(Waiting { attempt, is_answered, expires, leaves });
            }
            Action::Return(answer) => self.group.body_whole(answer.body(), self.now),
            Action::Fail(_) => {}
            Action::Wait(wait) => panic!("{wait:?} although no interval is set"),
        }
    }

    /// Lets happen what happens until then, in order.
    fn run_until(&mut self, end: Timestamp) {
        while let Some(nth) = (0..self.open.len()).min_by_key(|&nth| self.open[nth].next()) {
            if self.open[nth].next() > end {
                break;
            }
            let waiting = self.open.swap_remove(nth);
            self.now = self.now.max(waiting.next());
            self.happens(waiting);
            let told = self.group.snapshot(self.now);
            assert!(told.targets.iter().all(|target| target.strikes < 3), "{told:?}");
            assert_eq!(told.sticky, 0);
        }
        self.now = self.now.max(end);
    }

    fn happens(&mut self, Waiting { mut attempt, is_answered, leaves, .. }: Waiting) {
        if leaves.is_some_and(|moment| moment <= self.now) {
            attempt.abandon(self.now);
        } else if is_answered <= self.now {
            let step = report(attempt, 0, OK, None, self.now);
            self.take(step, leaves);
        } else {
            match attempt.expired(Evidence::MaybeProcessed, UNCLEAR, self.now) {
                Expired::WaitOn(attempt) => {
                    let expires = self.now + attempt.bound();
                    self.open.push(Waiting { attempt, is_answered, expires, leaves });
                }
                Expired::Next(step) => self.take(step, leaves),
            }
        }
    }
}

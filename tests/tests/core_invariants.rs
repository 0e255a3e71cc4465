//! Two calls at a time under the default policy, with all that can befall them and with time between: what holds in every
//! order, whatever the machine's own order of things is.

use std::time::Duration;

use failover_core::{
    Action, Attempt, BodyToken, Evidence, Expired, Follow, Group, Policy, Reason, Snapshot, Timestamp,
};
use failover_tests::drive::{Step, facts, report};
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request};
use failover_tests::world::{
    BUSY, DEAD, OK, READ, STREAM, UNCLEAR, WRITE, World, at, entries, plain, seconds,
};

#[test]
fn two_calls_to_targets_of_which_nothing_is_known() {
    let runs = explore(|choices| {
        let world = World { now: Timestamp::from(seconds(100.0)), ..World::new(2, Policy::default()) };
        let second = choices.among(&[READ, WRITE]);
        play(choices, world, [READ, second], &[OK, DEAD, UNCLEAR], 1);
    });
    assert!(runs > 35_000, "{runs}");
}

#[test]
fn two_calls_to_a_sticky_target_that_is_one_strike_short() {
    let runs = explore(|choices| {
        let world = one_short();
        play(choices, world, [READ, WRITE], &[OK, UNCLEAR, BUSY], 1);
    });
    assert!(runs > 24_000, "{runs}");
}

#[test]
fn two_calls_when_a_probe_is_due() {
    let runs = explore(|choices| {
        let mut world = warm(2, Policy::default());
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(40.0);
        play(choices, world, [READ, READ], &[OK, Outcome::Status(500), UNCLEAR], 1);
    });
    assert!(runs > 314_000, "{runs}");
}

#[test]
fn two_calls_when_probes_of_two_targets_are_due() {
    let runs = explore(|choices| {
        let mut world = warm(3, Policy::default());
        world.group.prefer(2, world.now).expect("a target");
        world.sleep(choices.among(&[40.0, 80.0]));
        let first = choices.among(&[READ, STREAM]);
        play(choices, world, [first, WRITE], &[OK, UNCLEAR], 1);
    });
    assert!(runs > 120_000, "{runs}");
}

#[test]
fn failback_a_probe_that_was_late_moves_the_cursor_by_no_head_under_either_rule() {
    for follow in [Follow::Strikes, Follow::Answer] {
        let mut world = warm(2, Policy::default().follow(follow));
        world.group.prefer(1, world.now).expect("a target");
        world.sleep(200.0);
        let probe = world.begin(WRITE);
        assert!(probe.is_probe());
        let failed_probes = |world: &World| world.group.snapshot(world.now).targets[0].failed_probes;
        let before = failed_probes(&world);
        world.now = world.now + probe.bound();
        let Expired::WaitOn(probe) = probe.expired(Evidence::MaybeProcessed, UNCLEAR, world.now) else {
            panic!("a request that goes nowhere else")
        };
        assert_eq!(failed_probes(&world), before + 1);
        let _ = report(probe, 0, OK, None, world.now);
        assert_eq!(world.group.sticky(), 1, "{follow:?}");
    }
}

#[test]
fn blip_one_strike_orders_no_target_last_for_a_call_whose_clock_was_read_before() {
    let world = World { now: at(1.0), ..World::new(2, Policy::default()) };
    let _ = world.call(WRITE, &[UNCLEAR]);
    let earlier = World { now: at(0.999), ..world };
    assert_eq!(earlier.begin(READ).index(), 0);
}

#[test]
fn best_first_a_return_to_the_second_target_holds_up_no_probe_of_the_first() {
    let mut world = World::new(3, Policy::default());
    let due = |world: &World| world.group.snapshot(world.now).targets[0].probe_in.expect("it is away");
    world.group.prefer(1, world.now).expect("a target");
    world.sleep(10.0);
    world.group.prefer(2, world.now).expect("a target");
    world.sleep(36.0);
    assert_eq!(world.call(READ, &[UNCLEAR, OK]).tried, [0, 2]);
    world.now = world.now + due(&world).saturating_sub(seconds(3.0));
    let back = world.call(READ, &[OK]);
    assert_eq!((back.tried, back.cursor), (vec![1], 1));
    world.now = world.now + due(&world);
    assert_eq!(world.call(READ, &[OK]).tried, [0]);
}

#[test]
fn identity_strikes_are_remembered_without_cool_down_too() {
    let world = World::new(2, plain());
    let _ = world.call(WRITE, &[UNCLEAR]);
    let group = world.group.with_targets(entries(0..2), plain()).expect("a valid group");
    assert_eq!(group.snapshot(world.now).targets[0].strikes, 1);
}

/// Targets of which it is known that they answer within 10 ms.
fn warm(targets: usize, policy: Policy) -> World {
    let mut world = World::new(targets, policy);
    for target in (0..targets).rev() {
        world.group.prefer(target, world.now).expect("a target");
        for _ in 0..8 {
            let attempt = world.begin(READ);
            world.sleep(0.01);
            let _ = report(attempt, 0, OK, None, world.now);
            world.sleep(0.5);
        }
    }
    world
}

/// Two such targets, of which the first failed twice in a row.
fn one_short() -> World {
    let mut world = warm(2, Policy::default());
    for _ in 0..2 {
        let _ = world.call(WRITE, &[UNCLEAR]);
        world.sleep(1.0);
    }
    world
}

/// Plays calls in every order, whose attempts end like this or wait up to so often, and checks what must hold after each
/// event.
fn play(choices: &mut Choices, world: World, requests: [Request; 2], kinds: &[Outcome], waits: usize) {
    let mut watch = Watch { group: world.group, now: world.now, moves: 0, waits };
    let mut calls = requests.map(Call::new);
    loop {
        let open: Vec<usize> = (0..calls.len()).filter(|&nth| calls[nth].is_open()).collect();
        if open.is_empty() {
            return;
        }
        let nth = choices.among(&open);
        // Some time goes by before the second call.
        if nth == 1 && matches!(calls[nth].state, State::New) {
            watch.now = watch.now + seconds(choices.among(&[0.0, 7.0]));
        }
        let is_taken = calls.iter().any(|call| call.probing.is_some_and(|since| watch.now < since + LEASE));
        watch.advance(&mut calls[nth], is_taken, choices, kinds);
    }
}

/// A call, and what was seen of it.
struct Call {
    request: Request,
    state: State,
    /// How often the cursor had moved when it began.
    seen: usize,
    began: Timestamp,
    /// What it was told last of its attempt.
    asked: Timestamp,
    tried: Vec<usize>,
    /// How often the attempt waited for nothing and went on.
    has_waited: usize,
    /// The attempt that ends had waited so.
    was_late: bool,
    /// Since when it has the right to probe.
    probing: Option<Timestamp>,
    /// The strikes that its answer cleared.
    cleared: u8,
}

enum State {
    New,
    Sending(Attempt<usize, usize, Outcome>),
    Reading(BodyToken),
    Over,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Begins,
    Ends(Outcome),
    /// The driver waited for as long as it was told.
    Waited,
    CallerLeaves,
    BodyIsWhole,
    BodyBreaksOff,
    /// Nobody tells how the body ended.
    IsForgotten,
}

impl Call {
    fn new(request: Request) -> Self {
        Self {
            request,
            state: State::New,
            seen: 0,
            began: Timestamp::ORIGIN,
            asked: Timestamp::ORIGIN,
            tried: vec![],
            has_waited: 0,
            was_late: false,
            probing: None,
            cleared: 0,
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// What can happen next.
    fn events(&self, kinds: &[Outcome], waits: usize) -> Vec<Event> {
        match self.state {
            State::New => vec![Event::Begins],
            State::Sending(_) => {
                let waited = (self.has_waited < waits).then_some(Event::Waited);
                kinds
                    .iter()
                    .map(|&kind| Event::Ends(kind))
                    .chain(waited)
                    .chain([Event::CallerLeaves])
                    .collect()
            }
            State::Reading(_) if self.probing.is_some() => {
                vec![Event::BodyIsWhole, Event::BodyBreaksOff, Event::IsForgotten]
            }
            State::Reading(_) => vec![Event::BodyIsWhole, Event::BodyBreaksOff],
            State::Over => vec![],
        }
    }
}

/// A group, the time, how often the cursor moved, and how often an attempt waits.
struct Watch {
    group: Group<usize>,
    now: Timestamp,
    moves: usize,
    waits: usize,
}

impl Watch {
    fn advance(&mut self, call: &mut Call, is_taken: bool, choices: &mut Choices, kinds: &[Outcome]) {
        let event = choices.among(&call.events(kinds, self.waits));
        let before = self.look();
        let (target, waited) = (call.tried.last().copied(), self.now.since(call.asked));
        call.was_late = call.has_waited > 0;
        match (event, std::mem::replace(&mut call.state, State::Over)) {
            (Event::Begins, _) => {
                call.seen = self.moves;
                let step = self.group.begin(facts(call.request), self.now);
                self.take(call, None, step);
                self.check_beginning(call, &before, is_taken);
            }
            (Event::Ends(outcome), State::Sending(attempt)) => {
                let step = report(attempt, 0, outcome, None, self.now);
                let known = &before.targets[call.tried[call.tried.len() - 1]];
                call.cleared = if outcome == OK { known.strikes } else { 0 };
                self.take(call, Some(outcome), step);
            }
            (Event::Waited, State::Sending(attempt)) => {
                self.now = self.now.max(call.asked + attempt.bound());
                call.asked = self.now;
                match attempt.expired(Evidence::MaybeProcessed, UNCLEAR, self.now) {
                    Expired::WaitOn(attempt) => {
                        assert!(!attempt.bound().is_zero(), "a driver that would ask without end");
                        call.has_waited += 1;
                        call.state = State::Sending(attempt);
                    }
                    Expired::Next(step) => self.take(call, Some(UNCLEAR), step),
                }
            }
            (Event::CallerLeaves, State::Sending(mut attempt)) => attempt.abandon(self.now),
            (Event::BodyIsWhole, State::Reading(body)) => self.group.body_whole(body, self.now),
            (Event::BodyBreaksOff, State::Reading(body)) => self.group.body_broke_off(body, self.now),
            _ => {}
        }
        let after = self.look();
        if let Some(target) = target {
            self.check_strikes(call, event, target, waited, &before, &after);
        }
        self.check_cursor(call, event, target, &before, &after);
        self.check_clocks(call, &before, &after);
        let has_failed = target
            .is_some_and(|target| after.targets[target].failed_probes > before.targets[target].failed_probes);
        let is_over = match event {
            Event::Begins | Event::Ends(OK) | Event::IsForgotten => false,
            Event::Waited => has_failed || call.tried.last().copied() != target,
            _ => true,
        };
        if is_over {
            call.probing = None;
        }
    }

    /// Takes over what the machine says, which must be allowed.
    fn take(&mut self, call: &mut Call, met: Option<Outcome>, step: Step) {
        let is_allowed = match met {
            None | Some(DEAD) => true,
            Some(_) => call.request.proof && call.request.body,
        };
        call.state = match step {
            Action::Send(attempt) => {
                assert!(is_allowed, "never_twice: {met:?} of {:?}", call.request);
                assert!(!call.tried.contains(&attempt.index()), "{:?} once in a round", call.tried);
                assert_eq!(attempt.number(), call.tried.len() + 1);
                call.tried.push(attempt.index());
                (call.began, call.asked, call.has_waited) = (self.now, self.now, 0);
                if attempt.is_probe() {
                    call.probing = Some(self.now);
                }
                State::Sending(attempt)
            }
            Action::Return(answer) => State::Reading(answer.body()),
            Action::Fail(stopped) => {
                let is_exhausted = call.tried.len() == self.group.targets().len();
                match stopped.reason() {
                    Reason::NoProof | Reason::OneShotBody => assert!(!is_allowed, "{stopped:?}"),
                    Reason::TargetsTried => assert!(is_exhausted, "never_refused_untried: {stopped:?}"),
                    other => panic!("{other:?}"),
                }
                State::Over
            }
            Action::Wait(wait) => panic!("{wait:?} although no interval is set"),
        };
    }

    /// At most one call probes, the best placed target that is due and does not cool.
    fn check_beginning(&self, call: &Call, before: &Snapshot, is_taken: bool) {
        let Some(&target) = call.tried.last().filter(|_| call.probing.is_some()) else { return };
        assert!(!is_taken, "single_flight: two probes at a time");
        assert!(target < before.sticky);
        let is_ready = |target: usize| {
            let known = &before.targets[target];
            known.probe_in.is_some_and(|due| self.now.since(Timestamp::ORIGIN) >= due) && !self.cools(known)
        };
        assert!(is_ready(target));
        assert!(call.request != READ || !(0..target).any(is_ready), "best_first");
    }

    fn check_strikes(
        &self,
        call: &Call,
        event: Event,
        target: usize,
        waited: Duration,
        before: &Snapshot,
        after: &Snapshot,
    ) {
        for (nth, (was, is)) in before.targets.iter().zip(&after.targets).enumerate() {
            let all_were_down = event == Event::Ends(OK)
                && before.targets[target].strikes >= LEAVE_AFTER
                && was.strikes >= LEAVE_AFTER;
            if nth != target && !all_were_down {
                assert_eq!(
                    (was.strikes, was.cooling),
                    (is.strikes, is.cooling),
                    "{event:?} at another target"
                );
            }
        }
        let (was, is) = (&before.targets[target], &after.targets[target]);
        // The attempt, not the one after it.
        let began = match &call.state {
            State::Sending(attempt) => {
                attempt.failures().last().map_or(call.began, failover_core::Failure::began)
            }
            _ => call.began,
        };
        let began = if event == Event::BodyBreaksOff { self.now } else { began };
        let cooled = was.strikes >= LEAVE_AFTER && began < end_of(was);
        let expected = match event {
            Event::Ends(OK) => 0..=0,
            Event::Ends(Outcome::Status(500)) | Event::BodyIsWhole | Event::IsForgotten | Event::Begins => {
                was.strikes..=was.strikes
            }
            _ if cooled => was.strikes..=was.strikes,
            // An attempt that was late has had its strike.
            Event::Ends(_) if call.was_late => was.strikes..=LEAVE_AFTER.max(was.strikes + 1),
            Event::Ends(DEAD) => was.strikes + 1..=LEAVE_AFTER.max(was.strikes + 1),
            Event::Ends(_) => was.strikes + 1..=was.strikes + 1,
            // The first cool-down is the shortest, however many strikes come together.
            Event::BodyBreaksOff if was.strikes.max(call.cleared) < LEAVE_AFTER => {
                let restored = LEAVE_AFTER.min(was.strikes + call.cleared + 1);
                restored..=restored
            }
            Event::BodyBreaksOff => was.strikes.max(call.cleared) + 1..=was.strikes.max(call.cleared) + 1,
            Event::CallerLeaves if waited < seconds(0.02) => was.strikes..=was.strikes,
            Event::CallerLeaves | Event::Waited => was.strikes..=was.strikes + 1,
        };
        assert!(expected.contains(&is.strikes), "{event:?}: {} instead of {expected:?}", is.strikes);
        if is.strikes > was.strikes && is.strikes >= LEAVE_AFTER {
            let time = seconds(5.0) * (1 << (is.strikes - LEAVE_AFTER));
            let left = end_of(is).since(self.now);
            assert!(
                left + seconds(0.001) > time && left <= time.mul_f64(1.2),
                "{event:?}: cools for {left:?}"
            );
        }
    }

    /// The cursor moves once from where a call saw it, for strikes of the sticky target or for a probe that came out well.
    fn check_cursor(
        &mut self,
        call: &Call,
        event: Event,
        target: Option<usize>,
        before: &Snapshot,
        after: &Snapshot,
    ) {
        let is_return = event == Event::BodyIsWhole && call.probing.is_some();
        if before.sticky == after.sticky {
            assert!(
                !is_return || call.seen != self.moves,
                "a probe that was answered whole moves the cursor"
            );
            return;
        }
        assert_eq!((Some(after.sticky), call.seen), (target, self.moves), "epoch: {event:?}");
        let is_down = before.targets[before.sticky].strikes >= LEAVE_AFTER;
        assert!(is_return || event == Event::Ends(OK) && is_down, "{event:?} moves the cursor");
        self.moves += 1;
    }

    /// Clocks only rise while their target is away, and begin with the whole wait.
    fn check_clocks(&self, call: &Call, before: &Snapshot, after: &Snapshot) {
        for (was, is) in before.targets.iter().zip(&after.targets) {
            match (was.probe_in, is.probe_in) {
                (Some(was), Some(is)) => {
                    assert!(is >= was, "a clock that falls");
                    assert!(is == was || call.probing.is_some() || before.sticky != after.sticky);
                }
                (None, Some(is)) => {
                    assert!(is + seconds(0.001) >= self.now.since(Timestamp::ORIGIN) + seconds(30.0));
                }
                (_, None) => {}
            }
        }
    }

    fn cools(&self, target: &failover_core::TargetSnapshot) -> bool {
        target.strikes >= LEAVE_AFTER && end_of(target) > self.now
    }

    /// What the group knows, its times since the origin.
    fn look(&self) -> Snapshot {
        self.group.snapshot(Timestamp::ORIGIN)
    }
}

/// The end of a target's cool-down.
fn end_of(target: &failover_core::TargetSnapshot) -> Timestamp {
    Timestamp::from(target.cooling.unwrap_or_default())
}

const LEAVE_AFTER: u8 = 3;
/// For how long nobody else probes, if a call never tells how its own ended.
const LEASE: Duration = Duration::from_secs(10);

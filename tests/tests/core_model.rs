//! Long random histories of many calls over virtual time, against the reference model.

use std::time::Duration;

use failover_core::{
    Action, Backoff, BodyToken, Budget, CheckNext, Checker, Checks, CoolDown, Evidence, Expired, Failback,
    Follow, Group, Late, Policy, Replay, StatusCodes, Timestamp,
};
use failover_tests::drive::{Step, facts, report};
use failover_tests::model::Model;
use failover_tests::oracle::{Outcome, Request};
use failover_tests::properties;
use failover_tests::world::entries;
use http::StatusCode;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One thing that happens: time passes, then somebody acts.
#[derive(Clone, Debug)]
struct Event {
    wait: Wait,
    /// How late the event is reported: it happened this long before.
    late: u64,
    act: Act,
}

/// How long nothing happens.
#[derive(Clone, Debug)]
enum Wait {
    Millis(u64),
    /// Until something ends that the group remembers, or so many nanoseconds after that.
    Until(Index, i64),
}

#[derive(Clone, Debug)]
enum Act {
    Begin(Request, Option<u64>),
    /// An open call goes on: its attempt ends like this, or its pause ends.
    GoOn(Index, Outcome, Option<u64>),
    /// An open attempt is asked whether it goes on, at its bound or right now; or is given up, by a driver that asks once.
    Ask(Index, Evidence, Moment),
    GiveUp(Index, Evidence, Moment),
    Progress(Index),
    BodyGone(Index),
    Abandon(Index),
    Drop(Index),
    /// The body of an answer ended whole, or broke off.
    Body(Index, bool),
    /// An operator moves the cursor, once or back and forth.
    Prefer(Vec<Index>),
    /// So many calls, one after another, are answered like this after so long, their bodies whole.
    Many(usize, Outcome, u64),
    /// So many calls begin at once, and one after another fails like this after so long.
    Fail(usize, Evidence, u64),
    /// So many calls, one after another, are abandoned after so long.
    Leave(usize, u64),
    /// A call is answered well, an operator may move the cursor, then its body ends, whole or not, and another call begins.
    Return(Option<Index>, bool),
    /// So often: the checks that are under way end well, badly or without a word, each as its place has it; if there are none, a
    /// round begins.
    Check(usize, Vec<Option<bool>>),
    /// The list of targets or the policy changes, between two callers who leave after so long; calls that are open go on in
    /// the group in which they began.
    Change(Vec<usize>, Knob, u64),
}

/// When an attempt is asked.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Now,
    /// So many nanoseconds after it was to be asked.
    Bound(i64),
}

/// What is switched off, or on again.
#[derive(Clone, Copy, Debug)]
enum Knob {
    None,
    CoolDown,
    Failback,
    Follow,
    Late,
}

/// What is asked of an attempt by time in the histories; a connection that was closed is reported at once.
const WAITED_FOR: [Evidence; 6] = [
    Evidence::MaybeProcessed,
    Evidence::NoConnection,
    Evidence::NotSent,
    Evidence::NoRoom,
    Evidence::Refused,
    Evidence::LocalFault,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..properties("regressions/core_model.txt") })]

    #[test]
    fn a_group_remembers_what_the_model_remembers(
        names in names(),
        policy in policies(),
        origin in select(&[10, 3_600, 1_700_000_000][..]),
        history in prop::collection::vec(events(), 0..150),
    ) {
        play(names, policy, origin, history);
    }
}

/// A group, its model, and the calls that are under way.
struct Play {
    names: Vec<usize>,
    /// As it was at first.
    policy: Policy,
    /// The last one is the one where calls begin.
    groups: Vec<(Group<usize>, Model)>,
    /// The last one's, and which targets are asked.
    checker: Option<Checker<usize>>,
    asked: Vec<usize>,
    /// Each by the place of its group and by its number.
    open: Vec<(usize, usize, Step)>,
    bodies: Vec<(usize, usize, BodyToken)>,
    now: u64,
}

fn play(names: Vec<usize>, policy: Policy, origin: u64, history: Vec<Event>) {
    let group = Group::of(entries(names.iter().copied()), policy.clone()).expect("a valid group");
    let checker = group.checker();
    let groups = vec![(group, Model::new(&names, policy.clone()))];
    let (open, bodies, asked, now) = (vec![], vec![], vec![], origin * 1_000_000_000);
    let mut play = Play { names, policy, groups, checker, asked, open, bodies, now };
    for Event { wait, late, act } in history {
        play.wait(&wait);
        play.act(act, late * 1_000_000);
    }
}

impl Play {
    fn wait(&mut self, wait: &Wait) {
        let world = self.groups.len() - 1;
        match wait {
            Wait::Millis(millis) => self.now += millis * 1_000_000,
            Wait::Until(which, off) => {
                let moments = self.groups[world].1.to_come(self.now);
                if !moments.is_empty() {
                    let moment = moments[which.index(moments.len())];
                    self.now = self.now.max(moment.saturating_add_signed(*off));
                }
            }
        }
        self.check(world);
    }

    fn act(&mut self, act: Act, late: u64) {
        let last = self.groups.len() - 1;
        match act {
            Act::Begin(request, within) => {
                self.begin(request, within, late);
            }
            Act::Many(count, outcome, millis) => {
                for _ in 0..count {
                    let bodies = self.bodies.len();
                    self.complete(outcome, millis);
                    if self.bodies.len() > bodies {
                        self.body(bodies, true, 0);
                        self.bodies.truncate(bodies);
                    }
                }
            }
            Act::Fail(count, evidence, millis) => {
                let begun: Vec<usize> =
                    (0..count).filter_map(|_| self.begin(Request::ALL[2], None, 0)).collect();
                self.now += millis * 1_000_000;
                for number in begun {
                    let place = self.open.iter().position(|open| (open.0, open.1) == (last, number));
                    self.go_on(place.expect("it is open"), Outcome::Error(evidence), None, 0);
                }
            }
            Act::Leave(count, millis) => {
                for _ in 0..count {
                    if self.begin(Request::ALL[0], None, 0).is_some() {
                        self.now += millis * 1_000_000;
                        self.leave(self.open.len() - 1, true, 0);
                    }
                }
            }
            Act::Return(moved, whole) => {
                let bodies = self.bodies.len();
                self.complete(Outcome::OK, 0);
                self.act(Act::Prefer(moved.into_iter().collect()), 0);
                if self.bodies.len() > bodies {
                    self.body(bodies, whole, 0);
                }
                self.begin(Request::ALL[0], None, 0);
            }
            Act::Body(which, whole) if !self.bodies.is_empty() => {
                // One of the last, since old ones say nothing new.
                let last = self.bodies.len() - 1;
                self.body(last - which.index(self.bodies.len().min(4)), whole, late);
            }
            Act::Prefer(which) => {
                for which in which {
                    let target = which.index(self.names.len());
                    let then = self.now - late;
                    let (group, model) = &mut self.groups[last];
                    group.prefer(target, Timestamp::from_nanos(then)).expect("a target");
                    model.prefer(target, then);
                    self.check(last);
                }
            }
            Act::Check(times, heard) => (0..times).for_each(|_| self.check_targets(&heard)),
            Act::Change(names, knob, millis) => {
                self.act(Act::Leave(1, millis), 0);
                self.change(names, knob);
                self.act(Act::Leave(1, millis), 0);
            }
            Act::Body(..) => {}
            _ if self.open.is_empty() => {}
            Act::GoOn(which, outcome, asked) => {
                self.go_on(which.index(self.open.len()), outcome, asked, late);
            }
            Act::Ask(which, evidence, moment) => {
                self.ask(which.index(self.open.len()), evidence, moment, true);
            }
            Act::GiveUp(which, evidence, moment) => {
                self.ask(which.index(self.open.len()), evidence, moment, false);
            }
            Act::Progress(which) | Act::BodyGone(which) => {
                let place = which.index(self.open.len());
                let then = self.now - late;
                let (world, number, step) = &mut self.open[place];
                let Action::Send(attempt) = step else { return };
                let model = &mut self.groups[*world].1;
                if matches!(act, Act::Progress(_)) {
                    attempt.progress(Timestamp::from_nanos(then));
                    model.progress(*number, then);
                } else {
                    attempt.body_gone();
                    model.body_gone(*number);
                }
                model.check_attempt(*number, attempt);
            }
            Act::Abandon(which) => self.leave(which.index(self.open.len()), true, late),
            Act::Drop(which) => self.leave(which.index(self.open.len()), false, late),
        }
    }

    /// Begins a call, and tells its number if it is not refused.
    fn begin(&mut self, request: Request, within: Option<u64>, late: u64) -> Option<usize> {
        let world = self.groups.len() - 1;
        let then = self.now - late;
        let (group, model) = &mut self.groups[world];
        let within = within.map(Duration::from_millis);
        let facts = within.map_or(facts(request), |time| facts(request).within(time));
        let step = group.begin(facts, Timestamp::from_nanos(then));
        let number = model.begin(request, within, then, &step);
        let is_open = matches!(step, Action::Send(_));
        self.keep(world, number, step);
        is_open.then_some(number)
    }

    /// Makes a call whose attempts end like this, the first one after so long.
    fn complete(&mut self, outcome: Outcome, millis: u64) {
        if self.begin(Request::ALL[0], None, 0).is_some() {
            let open = self.open.len();
            self.now += millis * 1_000_000;
            while self.open.len() == open {
                self.go_on(open - 1, outcome, None, 0);
            }
        }
    }

    /// Goes on with an open call.
    fn go_on(&mut self, place: usize, outcome: Outcome, asked: Option<u64>, late: u64) {
        let (world, number, step) = self.open.swap_remove(place);
        let then = self.now - late;
        let at = Timestamp::from_nanos(then);
        let model = &mut self.groups[world].1;
        let step = match step {
            Action::Send(attempt) => {
                let asked = asked.map(Duration::from_millis);
                let step = report(attempt, 0, outcome, asked, at);
                model.report(number, outcome, asked, then, &step);
                step
            }
            Action::Wait(wait) => {
                let step = wait.resume(at);
                model.resume(number, then, &step);
                step
            }
            ended => panic!("{ended:?} is not open"),
        };
        self.keep(world, number, step);
    }

    /// Asks an attempt, and waits until it is to be asked if it waits until then.
    fn ask(&mut self, place: usize, evidence: Evidence, moment: Moment, again: bool) {
        let (world, number, step) = self.open.swap_remove(place);
        let Action::Send(attempt) = step else { return self.open.push((world, number, step)) };
        if let Moment::Bound(off) = moment {
            let bound = self.groups[world].1.ask_at(number, again, evidence == Evidence::NoConnection);
            self.now = self.now.max(bound.saturating_add_signed(off));
        }
        let (now, at) = (self.now, Timestamp::from_nanos(self.now));
        let model = &mut self.groups[world].1;
        if again {
            let expired = attempt.expired(evidence, Outcome::Error(evidence), at);
            model.expired(number, evidence, now, &expired);
            let step = match expired {
                Expired::WaitOn(attempt) => Action::Send(attempt),
                Expired::Next(step) => step,
            };
            self.keep(world, number, step);
        } else {
            let step = attempt.timed_out(evidence, Outcome::Error(evidence), at);
            model.timed_out(number, evidence, now, &step);
            self.keep(world, number, step);
        }
    }

    /// Ends an open call for want of a caller, with a word or by dropping it.
    fn leave(&mut self, place: usize, says_so: bool, late: u64) {
        let (world, number, step) = self.open.swap_remove(place);
        let then = self.now - late;
        let model = &mut self.groups[world].1;
        match step {
            Action::Send(mut attempt) if says_so => {
                attempt.abandon(Timestamp::from_nanos(then));
                model.abandon(number, then);
            }
            step => {
                drop(step);
                model.cancel(number);
            }
        }
        self.check(world);
    }

    /// Ends a body. One of which enough passed may still break off.
    fn body(&mut self, place: usize, whole: bool, late: u64) {
        let (world, number, token) = self.bodies[place];
        let then = self.now - late;
        let (at, (group, model)) = (Timestamp::from_nanos(then), &mut self.groups[world]);
        if whole {
            group.body_whole(token, at);
            model.body_whole(number, then);
        } else {
            self.bodies.swap_remove(place);
            group.body_broke_off(token, at);
            model.body_broke_off(number, then);
        }
        self.check(world);
    }

    /// Ends the checks that are under way, or begins a round of them.
    fn check_targets(&mut self, heard: &[Option<bool>]) {
        let Some(checker) = &mut self.checker else { return };
        let world = self.groups.len() - 1;
        let model = &mut self.groups[world].1;
        if self.asked.is_empty() {
            while self.asked.len() < self.names.len() {
                match checker.next(Timestamp::from_nanos(self.now)) {
                    CheckNext::Ask(target) => {
                        model.check_begins(target, self.now);
                        self.asked.push(target);
                    }
                    CheckNext::Wait(time) => {
                        self.now += u64::try_from(time.as_nanos()).expect("a short time");
                    }
                }
            }
        } else {
            for (target, heard) in self.asked.drain(..).zip(heard.iter().cycle()) {
                let result = match heard {
                    Some(true) => Ok(StatusCode::OK),
                    Some(false) => Err(Evidence::MaybeProcessed),
                    None => Err(Evidence::NoRoom),
                };
                checker.report(target, result);
                if let Some(good) = *heard {
                    model.checked(target, good);
                }
            }
        }
        self.check(world);
    }

    fn change(&mut self, names: Vec<usize>, knob: Knob) {
        let world = self.groups.len() - 1;
        let (group, model) = &self.groups[world];
        let mut policy = group.policy().clone();
        match knob {
            Knob::None => {}
            Knob::CoolDown if policy.cool_down.is_some() => policy.cool_down = None,
            Knob::CoolDown => policy.cool_down = self.policy.cool_down,
            Knob::Late if policy.late.is_some() => policy.late = None,
            Knob::Late => policy.late = self.policy.late,
            Knob::Failback if policy.failback.is_some() => policy.failback = None,
            Knob::Failback => policy.failback = self.policy.failback,
            Knob::Follow => {
                policy.follow =
                    if policy.follow == Follow::Answer { Follow::Strikes } else { Follow::Answer };
            }
        }
        let changed = group.with_targets(entries(names.iter().copied()), policy.clone());
        let changed = changed.expect("a valid group");
        let model = model.with_targets(&names, policy);
        (self.checker, self.asked) = (changed.checker(), vec![]);
        self.groups.push((changed, model));
        self.names = names;
        self.check(world + 1);
    }

    /// Keeps what goes on of a call.
    fn keep(&mut self, world: usize, number: usize, step: Step) {
        match step {
            Action::Return(answer) => self.bodies.push((world, number, answer.body())),
            Action::Fail(_) => {}
            step => self.open.push((world, number, step)),
        }
        self.check(world);
    }

    fn check(&mut self, world: usize) {
        let (group, model) = &mut self.groups[world];
        let present = group.snapshot(Timestamp::from_nanos(self.now));
        model.check(&group.snapshot(Timestamp::ORIGIN), self.now, &present);
    }
}

fn names() -> impl Strategy<Value = Vec<usize>> {
    let count = prop_oneof![9 => 1..6_usize, 1 => 6..40_usize];
    let listed_once = count.prop_map(|count| (0..count).collect());
    prop_oneof![3 => listed_once, 1 => prop::collection::vec(0..4_usize, 1..6)]
}

fn events() -> impl Strategy<Value = Event> {
    let millis = prop_oneof![
        40 => Just(0),
        15 => 1..20_u64,
        25 => 20..1_000_u64,
        20 => 1_000..20_000_u64,
        10 => 20_000..200_000_u64,
        2 => 200_000..3_600_000_u64,
        1 => 3_600_000..300_000_000_u64,
    ];
    let until = (any::<Index>(), off()).prop_map(|(which, off)| Wait::Until(which, off));
    let wait = prop_oneof![9 => millis.prop_map(Wait::Millis), 1 => until];
    let late = prop_oneof![8 => Just(0), 1 => 1..3_000_u64, 1 => Just(3_000)];
    (wait, late, acts()).prop_map(|(wait, late, act)| Event { wait, late, act })
}

/// How far from a moment something happens, in nanoseconds.
fn off() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => Just(-1), 1 => 0..2_000_000_000_i64]
}

fn acts() -> impl Strategy<Value = Act> {
    let request = prop_oneof![3 => Just(Request::ALL[0]), 1 => select(&Request::ALL[..])];
    let within = prop::option::weighted(0.2, 0..20_000_u64);
    let status = select(&[204, 302, 404, 421, 425, 429, 500, 501, 503, 599][..]).prop_map(Outcome::Status);
    let outcome = prop_oneof![
        2 => Just(Outcome::OK),
        2 => status.clone(),
        4 => select(&Outcome::KINDS[..]),
        1 => select(&Outcome::JUDGED[..]),
    ];
    let asked = prop::option::weighted(0.2, prop_oneof![0..30_000_u64, Just(u64::MAX)]);
    let index = any::<Index>;
    let evidence = || prop_oneof![3 => Just(Evidence::MaybeProcessed), 2 => select(&WAITED_FOR[..])];
    let moment = || prop_oneof![1 => Just(Moment::Now), 5 => off().prop_map(Moment::Bound)];
    let answers = prop_oneof![6 => Just(Outcome::OK), 1 => status];
    let took = || prop_oneof![2 => 0..10_u64, 2 => 10..100_u64, 2 => 100..5_000_u64];
    let knob = select(&[Knob::None, Knob::CoolDown, Knob::Failback, Knob::Follow, Knob::Late][..]);
    let heard = select(&[Some(true), Some(true), Some(true), Some(false), None][..]);
    let fails = select(&[Evidence::MaybeProcessed, Evidence::NoConnection][..]);
    prop_oneof![
        18 => (request, within).prop_map(|(request, within)| Act::Begin(request, within)),
        24 => (index(), outcome, asked).prop_map(|(which, outcome, asked)| Act::GoOn(which, outcome, asked)),
        20 => (index(), evidence(), moment()).prop_map(|(which, evidence, moment)| Act::Ask(which, evidence, moment)),
        4 => (index(), evidence(), moment()).prop_map(|(which, evidence, moment)| Act::GiveUp(which, evidence, moment)),
        3 => index().prop_map(Act::Progress),
        1 => index().prop_map(Act::BodyGone),
        4 => index().prop_map(Act::Abandon),
        2 => index().prop_map(Act::Drop),
        8 => (index(), any::<bool>()).prop_map(|(which, whole)| Act::Body(which, whole)),
        3 => prop::collection::vec(index(), 1..4).prop_map(Act::Prefer),
        5 => (1..12_usize, answers, took()).prop_map(|(count, outcome, took)| Act::Many(count, outcome, took)),
        4 => (1..6_usize, fails, took()).prop_map(|(count, fails, took)| Act::Fail(count, fails, took)),
        3 => (1..6_usize, took()).prop_map(|(count, took)| Act::Leave(count, took)),
        3 => (prop::option::of(index()), any::<bool>()).prop_map(|(moved, whole)| Act::Return(moved, whole)),
        8 => (1..8_usize, prop::collection::vec(heard, 1..4)).prop_map(|(times, heard)| Act::Check(times, heard)),
        2 => (names(), knob, took()).prop_map(|(names, knob, took)| Act::Change(names, knob, took)),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let codes = select(&["501-504", "501-504", "5xx, 4xx", "", "503, 302"][..]);
    let not_processed = select(&[Some("421, 425, 501"), Some("421, 425, 429, 501"), Some(""), None][..]);
    let replay = select(&[Replay::Auto, Replay::Auto, Replay::Always, Replay::Never][..]);
    let failback = prop::option::weighted(0.8, (1..20_u64, 1..8_u32));
    let cool_down = prop::option::weighted(0.8, (1..10_u64, 1..8_u32));
    let follow = (select(&[Follow::Strikes, Follow::Strikes, Follow::Answer][..]), 1..5_u8);
    let late = prop::option::weighted(0.8, (1..5_u32, prop_oneof![3 => Just(1_000), 2 => 50..3_000_u64]));
    let budget = prop::option::weighted(0.4, (0..100_u32, 0..4_u32));
    let limits = (1..4_u8, prop::option::weighted(0.2, 1..5_u16), any::<bool>());
    let times = (
        select(&[0, 0, 1, 3_000][..]),
        prop::option::weighted(0.7, 3_000..40_000_u64),
        prop_oneof![2 => 1..3_000_u64, 3 => 3_000..60_000_u64],
    );
    let retry_after = prop::option::weighted(0.7, 1..20_u64);
    let checks = prop::option::weighted(0.5, (1..4_u8, 1..4_u8));
    let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
    let every = millis(1);
    let memory = (failback, cool_down, follow, late, retry_after, checks).prop_map(
        move |(failback, cool_down, (follow, leave_after), late, retry_after, checks)| {
            Policy::default()
                .follow(follow)
                .leave_after(leave_after)
                .checks(checks.map(|(rise, fall)| Checks { rise, fall, every, ..Checks::at("/") }))
                .late(late.map(|(factor, floor)| Late { factor, floor: millis(floor) }))
                .failback(
                    failback.map(|(after, times)| Failback {
                        after: seconds(after),
                        max: seconds(after) * times,
                    }),
                )
                .cool_down(
                    cool_down
                        .map(|(base, times)| CoolDown { base: seconds(base), max: seconds(base) * times }),
                )
                .retry_after(retry_after.map(seconds))
        },
    );
    (memory, codes, not_processed, replay, budget, limits, times, any::<u64>()).prop_map(
        move |(memory, codes, not_processed, replay, budget, limits, times, seed)| {
            let set = |list: &str| list.parse::<StatusCodes>().expect("codes");
            memory
                .failover_codes(set(codes))
                .not_processed(not_processed.map(set))
                .replay(replay)
                .connect_timeout(millis(1_500))
                .attempt_timeout(millis(times.2))
                .deadline(times.1.map(millis))
                .interval(millis(times.0))
                .rounds(limits.0)
                .backoff(Backoff::default())
                .max_attempts(limits.1)
                .free_repeat(limits.2)
                .budget(budget.map(|(percent, reserve)| Budget { percent, reserve }))
                .seed(seed)
        },
    )
}

#[test]
fn late_looks_at_one_answer_in_sixteen() {
    let group = Group::new([0], Policy::default()).expect("a valid group");
    let mut now = Timestamp::ORIGIN;
    let mut answer = |took| {
        let Action::Send(attempt) = group.begin::<usize, Outcome>(facts(Request::ALL[0]), now) else {
            panic!("a call that was refused")
        };
        now = now + took;
        assert!(matches!(attempt.handle_response(StatusCode::OK, None, 0, now), Action::Return(_)));
        group.snapshot(now).targets[0].usual
    };
    let mut usual = None;
    for _ in 0..8 {
        assert_eq!(usual, None);
        usual = answer(Duration::from_secs(1));
    }
    let mut looked = 0;
    for _ in 0..1_600 {
        let told = answer(usual.expect("it is known") + Duration::from_millis(80));
        looked += u32::from(told != usual);
        usual = told;
    }
    assert!((50..200).contains(&looked), "{looked} of 1,600");
}

#[test]
fn evidence_of_every_kind_is_played() {
    assert!(Evidence::ALL.into_iter().all(|kind| Outcome::KINDS.contains(&Outcome::Error(kind))));
}

//! Long random histories of many calls over virtual time, against the reference model.

use std::time::Duration;

use failover_core::{
    Action, Backoff, Budget, CoolDown, Evidence, Failback, Group, Policy, Replay, StatusCodes, Timestamp,
};
use failover_tests::drive::{Step, facts, report};
use failover_tests::model::Model;
use failover_tests::oracle::{Outcome, Request};
use failover_tests::properties;
use proptest::prelude::*;

/// One thing that happens: time passes, then somebody acts.
#[derive(Clone, Debug)]
struct Event {
    millis: u64,
    /// How late the event is reported: it happened this long before.
    late: u64,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Begin(Request, Option<u64>),
    /// An open call goes on: its attempt ends like this, or its pause ends.
    GoOn(prop::sample::Index, Outcome, Option<u64>),
    Drop(prop::sample::Index),
    Prefer(prop::sample::Index),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..properties("regressions/core_model.txt") })]

    #[test]
    fn a_group_remembers_what_the_model_remembers(
        targets in prop_oneof![9 => 1..6_usize, 1 => 6..40_usize],
        policy in policies(),
        history in prop::collection::vec(events(), 0..150),
    ) {
        play(targets, policy, history);
    }
}

fn play(targets: usize, policy: Policy, history: Vec<Event>) {
    let group = Group::new(0..targets, policy.clone()).expect("a valid group");
    let mut model = Model::new(targets, policy);
    let mut open: Vec<(usize, Step)> = vec![];
    let mut now = 0;
    for Event { millis, late, act } in history {
        now += millis * 1_000_000;
        let then = now.saturating_sub(late * 1_000_000);
        let at = Timestamp::from_nanos(then);
        let told = || group.snapshot(Timestamp::ORIGIN);
        match act {
            Act::Begin(request, within) => {
                let within = within.map(Duration::from_millis);
                let facts = within.map_or(facts(request), |time| facts(request).within(time));
                let step = group.begin(facts, at);
                let number = model.begin(request, within, then, &step);
                if matches!(step, Action::Send(_)) {
                    open.push((number, step));
                }
            }
            Act::GoOn(which, outcome, asked) if !open.is_empty() => {
                let (number, step) = open.swap_remove(which.index(open.len()));
                let asked = asked.map(Duration::from_millis);
                let step = match step {
                    Action::Send(attempt) => {
                        let step = report(attempt, 0, outcome, asked, at);
                        model.report(number, outcome, asked, then, &step, &told());
                        step
                    }
                    Action::Wait(wait) => {
                        let step = wait.resume(at);
                        model.resume(number, then, &step, &told());
                        step
                    }
                    ended => panic!("{ended:?} is not open"),
                };
                if matches!(step, Action::Send(_) | Action::Wait(_)) {
                    open.push((number, step));
                }
            }
            Act::Drop(which) if !open.is_empty() => {
                let (number, step) = open.swap_remove(which.index(open.len()));
                drop(step);
                model.cancel(number);
            }
            Act::Prefer(which) => {
                let target = which.index(targets);
                group.prefer(target, at).expect("a target");
                model.prefer(target, then, &told());
            }
            Act::GoOn(..) | Act::Drop(_) => {}
        }
        model.check(&told());
    }
}

fn events() -> impl Strategy<Value = Event> {
    let millis =
        prop_oneof![4 => Just(0), 4 => 1..1_000_u64, 2 => 1_000..20_000_u64, 1 => 20_000..200_000_u64];
    let late = prop_oneof![9 => Just(0), 1 => 1..3_000_u64];
    (millis, late, acts()).prop_map(|(millis, late, act)| Event { millis, late, act })
}

fn acts() -> impl Strategy<Value = Act> {
    let request = prop_oneof![3 => Just(Request::ALL[0]), 1 => prop::sample::select(&Request::ALL[..])];
    let within = prop::option::weighted(0.2, 0..20_000_u64);
    let unwell = prop::sample::select(&[429, 500, 599][..]).prop_map(Outcome::Status);
    let outcome =
        prop_oneof![2 => Just(Outcome::OK), 1 => unwell, 5 => prop::sample::select(&Outcome::KINDS[..])];
    let asked = prop::option::weighted(0.2, prop_oneof![0..30_000_u64, Just(u64::MAX)]);
    prop_oneof![
        6 => (request, within).prop_map(|(request, within)| Act::Begin(request, within)),
        12 => (any::<prop::sample::Index>(), outcome, asked).prop_map(|(which, outcome, asked)| Act::GoOn(which, outcome, asked)),
        1 => any::<prop::sample::Index>().prop_map(Act::Drop),
        1 => any::<prop::sample::Index>().prop_map(Act::Prefer),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let codes = prop::sample::select(&["501-504", "5xx, 4xx", "", "503"][..]);
    let not_processed = prop::sample::select(&[Some("421, 425, 501"), Some(""), None][..]);
    let replay = prop::sample::select(&[Replay::Auto, Replay::Auto, Replay::Always, Replay::Never][..]);
    let failback = prop::option::weighted(0.8, (1..20_u64, 1..8_u32));
    let cool_down = prop::option::weighted(0.8, (1..5_u8, 1..10_u64, 1..8_u32));
    let budget = prop::option::weighted(0.3, (0..100_u32, 0..4_u32));
    let limits = (1..4_u8, prop::option::weighted(0.2, 1..5_u16), any::<bool>());
    let times = (
        prop::sample::select(&[0, 0, 1, 3_000][..]),
        prop::option::weighted(0.7, 3_000..40_000_u64),
        prop_oneof![4 => 1..3_000_u64, 1 => 3_000..60_000_u64],
    );
    let retry_after = prop::option::weighted(0.7, 1..20_u64);
    let seconds = Duration::from_secs;
    (codes, not_processed, replay, failback, cool_down, budget, limits, times, retry_after, any::<u64>())
        .prop_map(
            move |(
                codes,
                not_processed,
                replay,
                failback,
                cool_down,
                budget,
                limits,
                times,
                retry_after,
                seed,
            )| {
                let set = |list: &str| list.parse::<StatusCodes>().expect("codes");
                Policy {
                    failover_codes: set(codes),
                    not_processed: not_processed.map(set),
                    replay,
                    connect_timeout: Duration::from_millis(1_500),
                    attempt_timeout: Duration::from_millis(times.2),
                    deadline: times.1.map(Duration::from_millis),
                    interval: Duration::from_millis(times.0),
                    rounds: limits.0,
                    backoff: Backoff::default(),
                    max_attempts: limits.1,
                    free_repeat: limits.2,
                    failback: failback.map(|(after, times)| Failback {
                        after: seconds(after),
                        max: seconds(after) * times,
                    }),
                    cool_down: cool_down.map(|(strikes, base, times)| CoolDown {
                        strikes,
                        base: seconds(base),
                        max: seconds(base) * times,
                    }),
                    retry_after: retry_after.map(seconds),
                    budget: budget.map(|(percent, reserve)| Budget { percent, reserve }),
                    seed,
                    ..Policy::default()
                }
            },
        )
}

#[test]
fn evidence_of_every_kind_is_played() {
    assert!(Evidence::ALL.into_iter().all(|kind| Outcome::KINDS.contains(&Outcome::Error(kind))));
}

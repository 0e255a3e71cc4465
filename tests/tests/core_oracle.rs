//! Every single call on small groups, against the oracles.

use std::time::Duration;

use failover_core::{Evidence, Follow, Group, Policy, Timestamp};
use failover_tests::drive::call;
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request, Trace, ballerina, careful, strikes};

#[test]
fn the_default_policy_follows_the_table() {
    let calls = each_call(4, &patient(&Policy::default()), &Request::ALL, &Outcome::KINDS, &careful);
    assert_eq!(calls, 740_136);
}

#[test]
fn the_cursor_follows_strikes_or_answers_whatever_is_needed_to_leave() {
    let follows = [Follow::Strikes, Follow::Answer];
    for (follow, cool_down) in follows.into_iter().flat_map(|follow| [(follow, true), (follow, false)]) {
        for leave_after in [1, 2] {
            let policy = patient(&Policy::default()).follow(follow).leave_after(leave_after);
            let policy = if cool_down { policy } else { policy.cool_down(None) };
            let calls = each_call(3, &policy, &Request::ALL, &Outcome::KINDS, &careful);
            assert_eq!(calls, 48_856);
            let others = [
                Outcome::OK,
                Outcome::Status(500),
                Outcome::Status(503),
                Outcome::Error(Evidence::NoConnection),
            ];
            let kinds = [&others[..], &Outcome::JUDGED].concat();
            let calls = each_call(3, &policy, &Request::ALL, &kinds, &careful);
            assert_eq!(calls, 1_784);
        }
    }
}

#[test]
fn the_preset_follows_the_seeds_rule() {
    // Ballerina's client knows no refusal, no fault of this side and no want of room, and every body is in memory.
    let unknown = [Evidence::Refused, Evidence::NoRoom, Evidence::LocalFault].map(Outcome::Error);
    let kinds: Vec<_> = Outcome::KINDS.into_iter().filter(|kind| !unknown.contains(kind)).collect();
    let requests = [Request { proof: true, body: true }, Request { proof: false, body: true }];
    let calls =
        each_call(5, &patient(&Policy::ballerina()), &requests, &kinds, &|_, targets, sticky, _, outcome| {
            ballerina(targets, sticky, outcome)
        });
    assert_eq!(calls, 347_476);
    let kinds = [&[Outcome::OK, Outcome::Status(503)], &Outcome::JUDGED[..]].concat();
    let calls =
        each_call(3, &patient(&Policy::ballerina()), &requests, &kinds, &|_, targets, sticky, _, outcome| {
            ballerina(targets, sticky, outcome)
        });
    assert_eq!(calls, 1_284);
}

/// A rule for one call.
type Oracle<'a> = &'a dyn Fn(&Policy, usize, usize, Request, &mut dyn FnMut(usize) -> Outcome) -> Trace;

/// With a pause between targets, so that pauses are seen.
fn patient(policy: &Policy) -> Policy {
    policy.clone().interval(Duration::from_secs(1))
}

/// Plays every sequence of outcomes that a call can meet, on groups of up to `most` targets and from every sticky
/// target, to the oracle and to the machine; says how many calls that were.
fn each_call(
    most: usize,
    policy: &Policy,
    requests: &[Request],
    kinds: &[Outcome],
    oracle: Oracle<'_>,
) -> usize {
    explore(|choices: &mut Choices| {
        let targets = 1 + choices.one_of(most);
        let sticky = choices.one_of(targets);
        let request = choices.among(requests);
        let mut script = vec![];
        let expected = oracle(policy, targets, sticky, request, &mut |_| {
            script.push(choices.among(kinds));
            script[script.len() - 1]
        });

        let group = Group::new(0..targets, policy.clone()).expect("a valid group");
        group.prefer(sticky, Timestamp::ORIGIN).expect("a target");
        let trace = call(&group, request, Timestamp::ORIGIN, |nth, _| script[nth]);
        assert_eq!(trace, expected, "{targets} targets, {sticky} sticky, {request:?}, {script:?}");
        let told = group.snapshot(Timestamp::ORIGIN).targets;
        let told: Vec<u8> = told.iter().map(|target| target.strikes).collect();
        assert_eq!(told, strikes(policy, targets, &trace.tried, &script), "{script:?}");
    })
}

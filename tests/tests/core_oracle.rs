//! Every single call on small groups, against the oracles.

use std::time::Duration;

use failover_core::{Evidence, Group, Policy, Timestamp};
use failover_tests::drive::call;
use failover_tests::explore::{Choices, explore};
use failover_tests::oracle::{Outcome, Request, Trace, ballerina, careful};

#[test]
fn the_default_policy_follows_the_table() {
    let policy = Policy { interval: Duration::from_secs(1), ..Policy::default() };
    let calls = each_call(4, &policy, &Request::ALL, &Outcome::KINDS, careful);
    assert_eq!(calls, 429_590);
}

#[test]
fn the_preset_follows_the_seeds_rule() {
    // The seed's world knows no refusal, no fault of this side and no want of room, and every body is in memory.
    let unknown = [Evidence::Refused, Evidence::NoRoom, Evidence::LocalFault].map(Outcome::Error);
    let kinds: Vec<_> = Outcome::KINDS.into_iter().filter(|kind| !unknown.contains(kind)).collect();
    let requests = [Request { proof: true, body: true }, Request { proof: false, body: true }];
    let policy = Policy { interval: Duration::from_secs(1), ..Policy::ballerina() };
    let calls = each_call(5, &policy, &requests, &kinds, |targets, sticky, _, outcome| {
        ballerina(targets, sticky, outcome)
    });
    assert_eq!(calls, 252_718);
}

/// Plays every sequence of outcomes that a call can meet, on groups of up to `most` targets and from every sticky
/// target, to the oracle and to the machine; says how many calls that were.
fn each_call(
    most: usize,
    policy: &Policy,
    requests: &[Request],
    kinds: &[Outcome],
    oracle: impl Fn(usize, usize, Request, &mut dyn FnMut(usize) -> Outcome) -> Trace,
) -> usize {
    explore(|choices: &mut Choices| {
        let targets = 1 + choices.one_of(most);
        let sticky = choices.one_of(targets);
        let request = choices.among(requests);
        let mut script = vec![];
        let expected = oracle(targets, sticky, request, &mut |_| {
            script.push(choices.among(kinds));
            script[script.len() - 1]
        });

        let group = Group::new(0..targets, policy.clone()).expect("a valid group");
        group.prefer(sticky, Timestamp::ORIGIN).expect("a target");
        let trace = call(&group, request, Timestamp::ORIGIN, |nth, _| script[nth]);
        assert_eq!(trace, expected, "{targets} targets, {sticky} sticky, {request:?}, {script:?}");
    })
}

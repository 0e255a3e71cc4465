//! What the machine costs: instructions as callgrind counts them, allocations as DHAT does. More than a benchmark's
//! bound is a failure.
//!
//! Needs valgrind, and the `gungraun-runner` of the dependency's version (`cargo install gungraun-runner`).
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::must_use_candidate,
    reason = "what the harness generates"
)]

use std::hint::black_box;

use failover_core::{Action, Attempt, Budget, Evidence, Facts, Group, Policy, Timestamp};
use gungraun::{
    Callgrind, Dhat, DhatMetric, EventKind, LibraryBenchmarkConfig, library_benchmark,
    library_benchmark_group, main,
};
use http::{HeaderMap, Method, Response, StatusCode};

// A call that is answered at once, where it is known how long answers take, and the first one of all.
#[library_benchmark(config = at_most(250, 0))]
#[bench::default(warm(Policy::default()))]
#[bench::ballerina(warm(Policy::ballerina()))]
#[bench::budget(args = (warm(with_budget())), config = at_most(293, 0))]
#[bench::first(args = (group(Policy::default())), config = at_most(270, 0))]
fn answered((group, facts): (&'static Group<&'static str>, Facts)) -> u64 {
    match first::<_, &str>(group.begin(facts, BEGAN)).handle_response(StatusCode::OK, None, 7, ENDED) {
        Action::Return(answer) => answer.into_response(),
        other => panic!("no answer: {other:?}"),
    }
}

// The same call, with a response that is large to move.
#[library_benchmark(config = at_most(267, 0))]
#[bench::default(warm(Policy::default()), Response::new(Vec::new()))]
fn answered_by_http(
    (group, facts): (&'static Group<&'static str>, Facts),
    response: Response<Vec<u8>>,
) -> Response<Vec<u8>> {
    match first::<_, &str>(group.begin(facts, BEGAN)).handle_response(
        response.status(),
        None,
        response,
        ENDED,
    ) {
        Action::Return(answer) => answer.into_response(),
        other => panic!("no answer: {other:?}"),
    }
}

#[library_benchmark(config = at_most(89, 0))]
#[bench::default(warm(Policy::default()))]
fn begin((group, facts): (&'static Group<&'static str>, Facts)) -> Action<&'static str, u64, &'static str> {
    group.begin(facts, BEGAN)
}

// An attempt that is given up for an error: the next one goes elsewhere.
#[library_benchmark]
#[bench::first(args = (attempt_after(0)), config = at_most(1_370, 2))]
#[bench::further(args = (attempt_after(1)), config = at_most(1_100, 0))]
fn failover(attempt: Attempt<&'static str, u64, &'static str>) -> Action<&'static str, u64, &'static str> {
    attempt.handle_error(Evidence::MaybeProcessed, "reset", ENDED)
}

// The same for a failover code, whose response is held.
#[library_benchmark]
#[bench::first(args = (attempt_after(0)), config = at_most(1_475, 2))]
#[bench::further(args = (attempt_after(1)), config = at_most(1_205, 0))]
fn failover_code(
    attempt: Attempt<&'static str, u64, &'static str>,
) -> Action<&'static str, u64, &'static str> {
    attempt.handle_response(StatusCode::SERVICE_UNAVAILABLE, None, 7, ENDED)
}

#[library_benchmark(config = at_most(83, 0))]
#[bench::get(Method::GET, HeaderMap::new())]
#[bench::post(Method::POST, HeaderMap::new())]
fn facts_of(method: Method, headers: HeaderMap) -> (Facts, Method, HeaderMap) {
    (Facts::of(black_box(&method), black_box(&headers)), method, headers)
}

/// A bound on the instructions and the allocations of a benchmark.
fn at_most(instructions: u64, allocations: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut dhat = Dhat::default();
    dhat.hard_limits([(DhatMetric::TotalBlocks, allocations)]);
    LibraryBenchmarkConfig::default().tool(callgrind).tool(dhat).clone()
}

/// A group that outlives the benchmark, so that its end is not counted, and the facts of a GET.
fn group(policy: Policy) -> (&'static Group<&'static str>, Facts) {
    let group = Group::new(["http://a", "http://b", "http://c"], policy).expect("a valid group");
    (Box::leak(Box::new(group)), Facts::of(&Method::GET, &HeaderMap::new()))
}

/// The same group after as many answers as tell what is usual.
fn warm(policy: Policy) -> (&'static Group<&'static str>, Facts) {
    let (group, facts) = group(policy);
    for _ in 0..16 {
        let attempt = first::<_, &str>(group.begin(facts, BEGAN));
        drop(attempt.handle_response(StatusCode::OK, None, 7, ENDED));
    }
    (group, facts)
}

fn with_budget() -> Policy {
    Policy::default().budget(Budget::default())
}

#[inline]
fn first<R, E>(action: Action<&'static str, R, E>) -> Attempt<&'static str, R, E> {
    match action {
        Action::Send(attempt) => attempt,
        _ => panic!("a call with time has an attempt"),
    }
}

/// The attempt of a call that failed this often.
fn attempt_after(failures: usize) -> Attempt<&'static str, u64, &'static str> {
    let (group, facts) = group(Policy::default());
    (0..failures).fold(first(group.begin(facts, BEGAN)), |attempt, _| {
        match attempt.handle_error(Evidence::MaybeProcessed, "reset", ENDED) {
            Action::Send(attempt) => attempt,
            other => panic!("no attempt: {other:?}"),
        }
    })
}

const BEGAN: Timestamp = Timestamp::from_nanos(1_000_000_000);
const ENDED: Timestamp = Timestamp::from_nanos(1_001_000_000);

library_benchmark_group!(
    name = calls,
    benchmarks = [answered, answered_by_http, begin, failover, failover_code, facts_of]
);
main!(library_benchmark_groups = calls);

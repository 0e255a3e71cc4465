//! What calls of several threads that share a group cost each other: calls that are answered at once, from one thread
//! and from two. It needs two idle cores; the threads of a busy machine take turns and do not meet.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use failover_core::{Action, Budget, Facts, Group, Policy, Timestamp};
use http::{HeaderMap, Method, StatusCode};

fn main() {
    divan::main();
}

#[divan::bench(threads = [1, 2])]
fn shared(bencher: Bencher<'_, '_>) {
    measure(bencher, Policy::default());
}

#[divan::bench(threads = [1, 2])]
fn shared_with_budget(bencher: Bencher<'_, '_>) {
    measure(bencher, Policy::default().budget(Budget::default()));
}

fn measure(bencher: Bencher<'_, '_>, policy: Policy) {
    let group = Group::new(["http://a", "http://b", "http://c"], policy).expect("a valid group");
    let facts = Facts::of(&Method::GET, &HeaderMap::new());
    bencher.counter(ItemsCount::new(CALLS)).bench(|| {
        for began in 0..CALLS as u64 {
            let began = Timestamp::from_nanos(black_box(began));
            let Action::Send(attempt) = group.begin::<u64, &str>(facts, began) else { unreachable!() };
            match attempt.handle_response(StatusCode::OK, None, 7, began) {
                Action::Return(answer) => drop(black_box(answer)),
                other => unreachable!("{other:?}"),
            }
        }
    });
}

/// So many calls that the clock is read rarely.
const CALLS: usize = 100_000;

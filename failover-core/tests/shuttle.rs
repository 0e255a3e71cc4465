//! The words that calls share, under many random schedules.
//!
//! Run with `RUSTFLAGS="--cfg shuttle" cargo test --release -p failover-core --test shuttle`. It takes all atomics for
//! sequentially consistent; loom, beside it, knows their orderings.
#![cfg(shuttle)]
#![allow(missing_docs, reason = "a test crate")]

mod words;

mod scheduler {
    pub(crate) use shuttle::sync::Arc;
    pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use shuttle::thread;

    pub(crate) fn explore(run: impl Fn() + Send + Sync + 'static) {
        let run = Arc::new(run);
        let again = Arc::clone(&run);
        shuttle::check_random(move || run(), SCHEDULES);
        // Those in which few threads are held up for long.
        shuttle::check_pct(move || again(), SCHEDULES, 3);
    }

    pub(crate) fn explore_some(run: impl Fn() + Send + Sync + 'static) {
        explore(run);
    }

    const SCHEDULES: usize = 5_000;
}

//! The words that calls share, under every interleaving that the memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p failover-core --test loom`. A load right before a thread's own
//! compare-and-set hides from loom what others do between the two; shuttle, beside it, sees that.
#![cfg(loom)]
#![allow(missing_docs, reason = "a test crate")]

mod words;

mod scheduler {
    pub(crate) use loom::model as explore;
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use loom::thread;

    /// Explores those interleavings in which no more than three threads are interrupted.
    pub(crate) fn explore_some(run: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(run);
    }
}

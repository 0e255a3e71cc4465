//! How judges are asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a judge says. One that panics has said nothing, so that it harms no call but its own.
pub(crate) fn unless_it_panics<T>(ask: impl FnOnce() -> T) -> Option<T> {
    let said = catch_unwind(AssertUnwindSafe(ask)).ok();
    if said.is_none() {
        tracing::error!(target: "failover", "a judge panicked, and so has said nothing");
    }
    said
}

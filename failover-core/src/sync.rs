//! The atomics of the shared words; loom's own where it explores their interleavings.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU16, AtomicU64, Ordering};

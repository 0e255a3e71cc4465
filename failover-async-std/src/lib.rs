//! Failover for HTTP on async-std and surf.
//!
//! The adapter is not built yet: this crate only shows the core that it will drive.
#![forbid(unsafe_code)]

pub use failover_core as core;

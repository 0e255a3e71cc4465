//! What the test suites share: servers that misbehave, clients that look closely, and the oracles.
#![forbid(unsafe_code)]

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

pub mod drive;
pub mod example;
pub mod explore;
pub mod lab;
pub mod model;
pub mod oracle;
pub mod simulation;
pub mod soak;
pub mod wire;
pub mod world;

/// The configuration of a suite of properties: what failed once is kept in the repository and tried first.
#[must_use]
pub fn properties(suite: &'static str) -> ProptestConfig {
    let failures = FileFailurePersistence::Direct(suite);
    ProptestConfig { failure_persistence: Some(Box::new(failures)), ..ProptestConfig::default() }
}

/// The README, whose code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

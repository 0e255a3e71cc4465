//! What the test suites share: servers that misbehave, and the oracles.
#![forbid(unsafe_code)]

pub mod drive;
pub mod explore;
pub mod lab;
pub mod model;
pub mod oracle;

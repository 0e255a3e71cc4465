//! The adapter for reqwest over the features of reqwest's that its users choose: see `tests`.
#![forbid(unsafe_code)]

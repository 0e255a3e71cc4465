//! What only a transport of our own does, over all adapters that have one: see `suite`, beside which `crate::Client` has
//!
//! - `set_targets(&self, targets: Vec<Target>, policy: Policy)`, `prefer(&self, target: usize)`

mod bodies;
mod checks;
mod connections;
mod expect;
mod requests;
mod routes;
mod stale;

//! What only a transport of our own does, over all adapters that have one: see `suite`, beside which `crate::Client` has
//!
//! - `set_targets(&self, targets: Vec<Target>, policy: Policy)`, `prefer(&self, target: usize)`
//! - `Client::built(targets, policy, settings) -> Self`, whose builder `settings` may change
//! - `send(&self, begin: impl FnOnce(&FailoverClient) -> RequestBuilder) -> Outcome`

mod bodies;
mod builder;
mod checks;
mod connections;
mod connector;
mod expect;
mod headers;
mod pool;
mod requests;
mod routes;
mod stale;

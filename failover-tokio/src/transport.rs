//! The transport of tokio's clients.

use crate::runtime::Tokio;

/// Connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It is what a [`FailoverClient`](crate::FailoverClient) has its [`Connections`] from, and a service of its own to build
/// stacks on. Made by [`Builder::transport`](crate::Builder::transport).
pub type Transport = failover_hyper::Transport<Tokio>;

/// The connections to one target: the service that a [`FailoverClient`](crate::FailoverClient) sends with.
pub type Connections = failover_hyper::Connections<Tokio>;

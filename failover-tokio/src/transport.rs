//! The transport of tokio's clients.

use crate::runtime::Tokio;

/// A pool of connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It is what a [`FailoverClient`](crate::FailoverClient) sends with, as a service of its own to build stacks on. Made by
/// [`Builder::transport`](crate::Builder::transport).
pub type Transport = failover_hyper::Transport<Tokio>;

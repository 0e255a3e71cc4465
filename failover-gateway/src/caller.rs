//! Who asks.

use std::net::IpAddr;
use std::sync::Arc;

use failover_tokio::Peer;
use tokio::sync::Semaphore;

/// Who asks, and over which connection.
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    /// `None` over a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// The place that the connection has for itself.
    pub(crate) place: Arc<Semaphore>,
}

//! What an adapter needs to know of HTTP on the wire. The machine itself knows nothing of it.

mod credentials;
#[cfg(feature = "serde")]
mod event;
mod framing;
mod head;
#[cfg(feature = "serde")]
pub(crate) mod pointer;
mod retry_after;
mod route;
#[cfg(feature = "serde")]
pub(crate) mod rule;
pub(crate) mod target;

pub use crate::wire::framing::settle_framing;
pub use crate::wire::head::Head;
pub use crate::wire::retry_after::retry_after;
pub use crate::wire::route::{Address, Protocol, Route};
pub use crate::wire::target::{PathError, Target};

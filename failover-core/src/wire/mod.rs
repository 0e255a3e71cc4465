//! What an adapter needs to know of HTTP on the wire. The machine itself knows nothing of it.

mod head;
mod retry_after;
pub(crate) mod target;

pub use crate::wire::head::{Head, settle_framing};
pub use crate::wire::retry_after::retry_after;
pub use crate::wire::target::{PathError, Target};

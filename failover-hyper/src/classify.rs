//! What a service's errors prove.

use std::error::Error as StdError;

use failover_core::Evidence;

use crate::evidence;

/// Tells what the error of a target's service proves about whether the request was executed.
///
/// Anything that is not *proven* is [`Evidence::MaybeProcessed`]: a request that is wrongly taken for unsent is executed
/// twice. An error that a service gives before it takes the request, by `poll_ready`, is proof of itself and is not
/// asked for here.
///
/// A function is one. What a stack adds to the errors of its transport is known to who built the stack. A limit on this
/// side that had no room for a request is [`Evidence::NoRoom`]: any request goes on, and the target, which is busy and not
/// broken, is still preferred:
///
/// ```
/// use std::error::Error;
///
/// use failover_core::Evidence;
/// use failover_hyper::{Classify, Proven};
/// use tower::load_shed::error::Overloaded;
///
/// fn classify(error: &(dyn Error + 'static)) -> Evidence {
///     if error.is::<Overloaded>() { Evidence::NoRoom } else { Proven.classify(error) }
/// }
/// # assert_eq!(classify(&Overloaded::new()), Evidence::NoRoom);
/// # assert_eq!(classify(&std::io::Error::other("unknown")), Evidence::MaybeProcessed);
/// ```
///
/// Of a client that this crate does not know, only who configured it can say that an error is of the one time that it
/// sent the request. Whoever vouches for that, with redirects and retries off, can tell what its errors prove:
///
/// ```
/// use std::error::Error;
///
/// use failover_core::Evidence;
/// use hyper_util::client::legacy;
///
/// /// For a client of hyper-util's, with `retry_canceled_requests(false)`.
/// fn classify(error: &(dyn Error + 'static)) -> Evidence {
///     match error.downcast_ref::<legacy::Error>() {
///         Some(error) if error.is_connect() => Evidence::NoConnection,
///         _ => Evidence::MaybeProcessed,
///     }
/// }
/// ```
pub trait Classify {
    /// Tells what an error proves. Its causes can be told from it too, by `source`.
    fn classify(&self, error: &(dyn StdError + 'static)) -> Evidence;
}

/// What the errors of a [`Transport`](crate::Transport) prove, wherever among an error's causes they stand; nothing
/// else.
///
/// Of other services nothing is proved (`unknown_service`): a client that follows redirects or sends again by itself
/// has the same error for a request that never left as for one that was executed and whose second sending failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proven;

impl Classify for Proven {
    fn classify(&self, error: &(dyn StdError + 'static)) -> Evidence {
        evidence::of(error).0
    }
}

impl<F: Fn(&(dyn StdError + 'static)) -> Evidence> Classify for F {
    fn classify(&self, error: &(dyn StdError + 'static)) -> Evidence {
        self(error)
    }
}

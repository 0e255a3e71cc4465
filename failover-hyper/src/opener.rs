//! What opens byte streams to targets, where the runtime's sockets are not what is wanted.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use failover_core::Address;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::BoxError;
use crate::stream::Duplex;

/// Opens a byte stream to an address.
#[derive(Clone)]
pub struct Opener(Arc<Open>);

type Open = dyn Fn(Address) -> Opening + Send + Sync;

type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Duplex>, BoxError>> + Send>>;

impl Opener {
    /// What opens streams by a function.
    #[must_use]
    pub fn new<F, O, S, E>(open: F) -> Self
    where
        F: Fn(Address) -> O + Send + Sync + 'static,
        O: Future<Output = Result<S, E>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move |address| {
            let opening = open(address);
            Box::pin(async {
                match opening.await {
                    Ok(stream) => Ok(Box::new(stream) as Box<dyn Duplex>),
                    Err(error) => Err(error.into()),
                }
            })
        }))
    }

    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) async fn open(&self, address: Address) -> Result<Box<dyn Duplex>, BoxError> {
        (self.0)(address).await
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

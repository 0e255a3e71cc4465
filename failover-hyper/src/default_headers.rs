//! Headers that each request of a client has, unless it has them of its own.

use std::fmt;
use std::sync::Arc;

use failover_core::BuildError;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that each request of a client has, unless it has them of its own.
#[derive(Clone, Default)]
pub struct DefaultHeaders(Option<Arc<HeaderMap>>);

impl DefaultHeaders {
    /// Adds headers, each in place of those of its name that were added before.
    ///
    /// # Errors
    ///
    /// One of them cannot be the same for all requests.
    pub(crate) fn add(&mut self, headers: HeaderMap) -> Result<(), BuildError> {
        if let Some(name) = headers.keys().find(|name| OWN.contains(name)) {
            return Err(BuildError::new("default_headers", name, "no header that is each request's own"));
        }
        Arc::make_mut(self.0.get_or_insert_default()).extend(headers);
        Ok(())
    }

    /// Adds one header, in place of those of its name that were added before.
    ///
    /// # Errors
    ///
    /// It is none, or cannot be the same for all requests.
    pub(crate) fn add_one(
        &mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<(), BuildError> {
        let refuse = |shown: &str, expected| BuildError::new("default_headers", shown, expected);
        // Whoever mixes them up shall not read a secret.
        let name = name.try_into().map_err(|_| refuse("(not shown)", "the name of a header"))?;
        let value = value.try_into();
        let value = value.map_err(|_| refuse(name.as_str(), "a value without control characters"))?;
        self.add([(name, value)].into_iter().collect())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|headers| headers.is_empty())
    }

    /// Adds to the headers of a request those that it does not have.
    pub fn complete(&self, headers: &mut HeaderMap) {
        let Some(defaults) = &self.0 else { return };
        for name in defaults.keys() {
            if !headers.contains_key(name) {
                headers.extend(defaults.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            }
        }
    }
}

impl fmt::Debug for DefaultHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().flat_map(|headers| headers.keys())).finish()
    }
}

/// What says how a request is sent, and what tells one from another.
static OWN: [HeaderName; 6] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HeaderName::from_static("idempotency-key"),
    TRANSFER_ENCODING,
    UPGRADE,
];

//! What stands for a connection of HTTP/2 where the feature `http2` is off: there is none.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::evidence::TransportError;
use crate::places::{Freed, Place};
use crate::progress::Progress;
use crate::request_body::AttemptBody;

pub(crate) struct Http2(Infallible);

pub(crate) struct Joined(Infallible);

pub(crate) struct Broken(Infallible);

impl Http2 {
    pub(crate) fn opened(&self) -> Instant {
        match self.0 {}
    }

    pub(crate) fn is_ended(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_good(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_idle(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn most(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn join(&self, _: &Weak<dyn Freed>) -> Option<Joined> {
        match self.0 {}
    }
}

impl Joined {
    #[expect(clippy::unused_async, reason = "it is one where there is a connection")]
    pub(crate) async fn exchange(
        self,
        _: Request<AttemptBody>,
        _: &Progress,
    ) -> Result<(Response<Incoming>, Arc<Place>), Broken> {
        match self.0 {}
    }
}

impl From<Broken> for TransportError {
    fn from(broken: Broken) -> Self {
        match broken.0 {}
    }
}

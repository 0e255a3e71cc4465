//! The body of an answer, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Version;
use hyper::body::{Body, Frame, SizeHint};

use crate::activity::Call;
use crate::places::Place;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body with which its call ends.
pub(crate) struct Outgoing<B> {
    body: B,
    version: Version,
    /// Whether its next piece is waited for.
    waits: bool,
    call: Call,
    _place: Option<Place>,
}

impl<B> Outgoing<B> {
    pub(crate) fn new(body: B, version: Version, call: Call, place: Option<Place>) -> Self {
        call.waits_for_the_client();
        Self { body, version, waits: false, call, _place: place }
    }

    fn broke_off(&self, error: BoxError) -> BoxError {
        // The end of the connection is that of the body (RFC 9112, section 6.3), and must not look like a good one.
        if self.version == Version::HTTP_10 {
            self.call.reset_connection();
        }
        error
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = false;
            this.call.waits_for_the_client();
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| this.broke_off(error.into()))));
        }
        if !this.waits {
            this.waits = true;
            this.call.waits_for_a_target();
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

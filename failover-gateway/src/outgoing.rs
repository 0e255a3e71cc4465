//! The body of an answer, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::Version;
use hyper::body::{Body, Frame, SizeHint};

use crate::access::Record;
use crate::activity::Call;
use crate::places::Place;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a call keeps until its answer was sent.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) place: Option<Place>,
    pub(crate) record: Option<Box<Record>>,
}

/// A body with which its call ends.
pub(crate) struct Outgoing<B> {
    body: B,
    version: Version,
    /// Whether it is the answer to a HEAD, of which only the length is told.
    is_head: bool,
    /// Whether its next piece is waited for.
    waits: bool,
    call: Call,
    kept: Kept,
}

impl<B: Body> Outgoing<B> {
    pub(crate) fn new(body: B, version: Version, is_head: bool, call: Call, kept: Kept) -> Self {
        call.waits_for_the_client();
        let mut this = Self { body, version, is_head, waits: false, call, kept };
        this.note(None);
        this
    }

    /// Notes a piece of the body, and its end, for the access log.
    fn note(&mut self, piece: Option<&B::Data>) {
        let Some(record) = &mut self.kept.record else { return };
        record.sends(piece.map_or(0, Buf::remaining));
        if self.is_head || self.body.is_end_stream() {
            record.ends();
        }
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
        if this.is_head {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = false;
            this.call.waits_for_the_client();
            match &frame {
                Some(Ok(frame)) if frame.is_data() => this.note(frame.data_ref()),
                // After trailers nothing comes.
                Some(Ok(_)) => this.kept.record.iter_mut().for_each(|record| record.ends()),
                Some(Err(_)) => {}
                None => this.kept.record.iter_mut().for_each(|record| record.ends()),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| this.broke_off(error.into()))));
        }
        if !this.waits {
            this.waits = true;
            this.call.waits_for_a_target();
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.is_head || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

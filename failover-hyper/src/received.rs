//! Bodies as hyper receives them: their end is one that the peer marked.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;

use crate::error::BoxError;
use crate::limits::is_too_large;

/// A body of hyper's, but where the peer ends a stream of HTTP/2 without having ended the body (`RST_STREAM` or GOAWAY with
/// `NO_ERROR`), that is an error and not the body's end (`committed`).
#[derive(Debug)]
pub(crate) struct Received<B = Incoming> {
    body: B,
    http2: bool,
}

impl<B> Received<B> {
    pub(crate) fn new(body: B, version: Version) -> Self {
        Self { body, http2: version == Version::HTTP_2 }
    }
}

/// A body that a server received, if it is hyper's, with a bound or without.
#[derive(Debug)]
pub(crate) enum Inbound<B> {
    Whole(Received),
    Limited(Received<Limited<Incoming>>),
    /// It is not hyper's.
    Other(B),
}

impl<B: 'static> Inbound<B> {
    pub(crate) fn of(body: B, version: Version) -> Self {
        let mut body = Some(body);
        if let Some(body) = taken::<Incoming>(&mut body) {
            return Self::Whole(Received::new(body, version));
        }
        if let Some(body) = taken::<Limited<Incoming>>(&mut body) {
            return Self::Limited(Received::new(body, version));
        }
        body.map_or_else(|| unreachable!("a body that is not taken is there"), Self::Other)
    }
}

/// What is there, if it is of this type.
fn taken<T: 'static>(option: &mut dyn Any) -> Option<T> {
    option.downcast_mut::<Option<T>>().and_then(Option::take)
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Received<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() && self.http2 && !self.body.is_end_stream() {
            return Poll::Ready(Some(Err(Unmarked.into())));
        }
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
        if trailers.is_some_and(is_too_large) {
            return Poll::Ready(Some(Err(Trailers.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The end of a stream before the end of its body.
#[derive(Debug, thiserror::Error)]
#[error("the stream ended before the body did")]
struct Unmarked;

#[derive(Debug, thiserror::Error)]
#[error("the trailers are too large")]
struct Trailers;

//! The body of an answer, with what it keeps of its connection.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::error::BoxError;
use crate::expect::WhileRead;
use crate::http1::Reading;
use crate::places::Place;
use crate::received::Received;

/// The body of a [`Transport`](crate::Transport)'s response.
///
/// Where the peer does not mark its end, that is an error and not the body's end (`committed`). Over HTTP/1.1 reading it
/// drives the connection; one that is dropped before its end closes it.
#[derive(Debug)]
pub struct TransportBody {
    body: Received,
    held: Held,
    /// How the body broke off, until it is told: a server that passes the body on sends what came before only when there is
    /// a pause.
    broke_off: Option<BoxError>,
}

/// What a body keeps of the connection that it comes over.
#[derive(Debug)]
pub(crate) enum Held {
    /// Nothing: the body has ended.
    Nothing,
    /// All of it.
    Alone(Reading),
    /// A place on it.
    #[expect(
        dead_code,
        reason = "the place is free, and a body that nobody wanted ends, when this is dropped"
    )]
    Among { place: Arc<Place>, expected: Option<WhileRead> },
}

impl TransportBody {
    pub(crate) fn new(body: Received, held: Held) -> Self {
        let mut body = Self { body, held, broke_off: None };
        if body.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Gives the connection back, since the body has ended.
    fn finish(&mut self) {
        if let Held::Alone(reading) = mem::replace(&mut self.held, Held::Nothing) {
            reading.finish();
        }
    }
}

impl Body for TransportBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(error) = this.broke_off.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut body = Pin::new(&mut this.body);
        let frame = match &mut this.held {
            Held::Alone(reading) => reading.poll(cx, |cx| body.as_mut().poll_frame(cx)),
            _ => body.poll_frame(cx),
        };
        match ready!(frame) {
            Some(Err(error)) => {
                (this.held, this.broke_off) = (Held::Nothing, Some(error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => {
                if frame.is_none() || this.body.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broke_off.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

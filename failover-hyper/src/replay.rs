//! A streamed request body, kept up to a bound so that another attempt can send it again.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError};

use crate::error::BoxError;

/// A body that is read from the caller once and can be sent by one attempt after the other.
///
/// The first attempt gets each piece as it comes in. What came in is kept until it outgrows the bound; from then on
/// only the attempt that is under way can send the rest.
#[derive(Debug)]
pub(crate) struct ReplayBody {
    source: Arc<Mutex<Source>>,
    size: SizeHint,
    limit: usize,
}

impl ReplayBody {
    pub(crate) fn new<B>(inbound: B, limit: usize) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let size = inbound.size_hint();
        Self::sized(inbound, size, limit)
    }

    /// The same of this size, whatever the body says of it.
    pub(crate) fn sized<B>(inbound: B, size: SizeHint, limit: usize) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inbound = inbound
            .map_frame(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
            .map_err(Into::into)
            .boxed_unsync();
        let source = Source {
            inbound,
            kept: Some(Vec::new()),
            limit,
            trailers: None,
            ended: false,
            too_long: false,
            turn: 0,
            held: false,
            reading: None,
        };
        Self { source: Arc::new(Mutex::new(source)), size, limit }
    }

    /// The body from its first byte on.
    pub(crate) fn reader(&self) -> Reader {
        let turn = lock(&self.source).turn;
        Reader { source: Arc::clone(&self.source), size: self.size, turn, sent: 0, done: false }
    }

    /// Ends all readers, and tells whether a new one could send the whole body.
    pub(crate) fn rewind(&self) -> bool {
        let mut source = lock(&self.source);
        source.turn += 1;
        source.release();
        source.kept.is_some()
    }

    /// Halts all readers, and tells whether a new one could send the whole body.
    pub(crate) fn hold(&self) -> bool {
        let mut source = lock(&self.source);
        source.held = true;
        source.kept.is_some()
    }

    /// Lets the reader go on that was halted.
    pub(crate) fn release(&self) {
        lock(&self.source).release();
    }

    /// Whether an attempt has a reader still, and so has not sent it all.
    pub(crate) fn is_being_read(&self) -> bool {
        Arc::strong_count(&self.source) > 1
    }

    /// Whether the caller's body broke off since it is longer than its bound.
    pub(crate) fn is_too_long(&self) -> bool {
        lock(&self.source).too_long
    }

    /// Whether the whole body can be sent from its first byte on, now or by another attempt.
    pub(crate) fn is_whole(&self) -> bool {
        lock(&self.source).kept.is_some()
    }

    pub(crate) fn is_one_shot(&self) -> bool {
        self.size.lower() > self.limit as u64
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// One attempt's view of the body.
pub(crate) struct Reader {
    source: Arc<Mutex<Source>>,
    /// The size of the whole body.
    size: SizeHint,
    turn: u64,
    sent: u64,
    done: bool,
}

impl Reader {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let mut source = lock(&self.source);
        if self.done {
            return Poll::Ready(None);
        }
        if self.turn != source.turn {
            return Poll::Ready(Some(Err(InboundError::GivenUp)));
        }
        if source.held {
            source.reading = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let piece = match source.kept_from(self.sent) {
            Some(kept) => Some(Ok(Frame::data(kept))),
            None => ready!(source.poll_next(cx)),
        };
        match &piece {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.sent += data.len() as u64,
                None => self.done = true,
            },
            Some(Err(_)) | None => self.done = true,
        }
        Poll::Ready(piece)
    }

    /// Whether nothing comes any more. Of a body that had no length when it was first sent, that is said only at its end,
    /// so that another attempt frames it alike.
    pub(crate) fn is_end_stream(&self) -> bool {
        let source = lock(&self.source);
        let is_framed_alike = self.size.exact().is_some() || self.sent > 0;
        self.done
            || is_framed_alike
                && source.ended
                && source.trailers.is_none()
                && source.kept_from(self.sent).is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let mut left = SizeHint::new();
        left.set_lower(self.size.lower().saturating_sub(self.sent));
        if let Some(upper) = self.size.upper() {
            left.set_upper(upper.saturating_sub(self.sent));
        }
        left
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("sent", &self.sent).finish_non_exhaustive()
    }
}

struct Source {
    inbound: UnsyncBoxBody<Bytes, BoxError>,
    /// All data so far, while the body can be sent from its first byte on. A copy, so that its size is what it costs.
    kept: Option<Vec<u8>>,
    limit: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Whether it broke off at the bound that the caller gave it.
    too_long: bool,
    /// Counts the attempts: only the last one's reader may read.
    turn: u64,
    /// Whether nobody may read.
    held: bool,
    /// Wakes the reader that waits, for the caller or until it may go on.
    reading: Option<Waker>,
}

impl Source {
    /// The next piece of what was kept, after the first `sent` bytes.
    fn kept_from(&self, sent: u64) -> Option<Bytes> {
        let rest = self.kept.as_ref()?.get(usize::try_from(sent).ok()?..)?;
        (!rest.is_empty()).then(|| Bytes::copy_from_slice(&rest[..rest.len().min(COPIED)]))
    }

    /// The next piece from the caller; the trailers again once it has ended.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        if self.ended {
            return Poll::Ready(self.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let Poll::Ready(next) = Pin::new(&mut self.inbound).poll_frame(cx) else {
            self.reading = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.reading = None;
        match &next {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.keep(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    self.trailers = Some(trailers.clone());
                    self.ended = true;
                }
            }
            Some(Err(error)) => {
                self.kept = None;
                self.too_long = error.is::<LengthLimitError>();
            }
            None => self.ended = true,
        }
        Poll::Ready(next.map(|frame| frame.map_err(InboundError::Inbound)))
    }

    fn release(&mut self) {
        self.held = false;
        if let Some(reading) = self.reading.take() {
            reading.wake();
        }
    }

    fn keep(&mut self, data: &[u8]) {
        match &mut self.kept {
            Some(kept) if data.len() <= self.limit - kept.len() => kept.extend_from_slice(data),
            _ => self.kept = None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("kept", &self.kept.as_ref().map(Vec::len))
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a request body broke off: always the caller's part, never the target's.
#[derive(Debug)]
pub(crate) enum InboundError {
    /// The caller's body failed.
    Inbound(BoxError),
    /// The attempt that this body belonged to was given up.
    GivenUp,
}

impl fmt::Display for InboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbound(_) => "the request body failed",
            Self::GivenUp => "the attempt was given up",
        })
    }
}

impl std::error::Error for InboundError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Inbound(error) => Some(&**error),
            Self::GivenUp => None,
        }
    }
}

/// The largest piece of what was kept that is handed to the transport at once.
const COPIED: usize = 16 << 10;

/// The largest piece of a body that is handed to the transport at once, where the body is in memory.
pub(crate) const SLICE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Wake;

    use super::*;
    use crate::testing::{Frames, Stalled};

    #[test]
    fn every_attempt_sends_every_byte_once_wherever_the_one_before_ended() {
        for pieces in 0..=4 {
            for first in 0..=pieces + 1 {
                for second in 0..=pieces + 1 {
                    let (inbound, all) = inbound(pieces);
                    let replay = ReplayBody::new(inbound, all.len());
                    read(&mut replay.reader(), first.into());
                    assert!(replay.rewind());
                    read(&mut replay.reader(), second.into());
                    assert!(replay.rewind());
                    let mut last = replay.reader();
                    let (data, trailers) = read(&mut last, usize::MAX);
                    assert_eq!(
                        (data, trailers),
                        (all, true),
                        "{pieces} pieces, {first} and {second} read before"
                    );
                    assert!(last.is_end_stream());
                }
            }
        }
    }

    #[test]
    fn a_body_that_outgrows_the_bound_goes_on_and_cannot_be_sent_again() {
        let (inbound, all) = inbound(3);
        let replay = ReplayBody::new(inbound, all.len() - 1);
        assert_eq!(read(&mut replay.reader(), usize::MAX), (all, true));
        assert!(!replay.rewind());
        assert!(lock(&replay.source).kept.is_none());
    }

    #[test]
    fn a_reader_whose_attempt_was_given_up_reads_nothing_more() {
        let (inbound, all) = inbound(2);
        let replay = ReplayBody::new(inbound, 100);
        let mut old = replay.reader();
        replay.rewind();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(old.poll_frame(&mut cx), Poll::Ready(Some(Err(InboundError::GivenUp)))));
        assert_eq!(read(&mut replay.reader(), usize::MAX), (all, true));
    }

    #[test]
    fn a_reader_that_waits_for_the_caller_is_woken_when_its_attempt_is_given_up() {
        let replay = ReplayBody::new(Stalled, 100);
        let woken = Woken::new();
        assert!(replay.reader().poll_frame(&mut Context::from_waker(&woken.waker())).is_pending());
        assert!(replay.rewind());
        assert!(woken.is_woken());
    }

    /// Guards: `ReplayBody::hold` that lets the reader read on, or ends it; `release` that does not wake it.
    #[test]
    fn a_reader_that_is_halted_reads_nothing_and_then_goes_on_where_it_was() {
        for goes_on in [true, false] {
            let (inbound, all) = inbound(2);
            let replay = ReplayBody::new(inbound, 100);
            assert!(!replay.is_being_read());
            let mut reader = replay.reader();
            assert!(replay.is_being_read());
            let (first, _) = read(&mut reader, 1);
            assert!(replay.hold());
            let woken = Woken::new();
            assert!(reader.poll_frame(&mut Context::from_waker(&woken.waker())).is_pending());
            if goes_on {
                replay.release();
                let (rest, trailers) = read(&mut reader, usize::MAX);
                assert_eq!(([first, rest].concat(), trailers), (all, true));
            } else {
                assert!(replay.rewind());
                assert_eq!(read(&mut replay.reader(), usize::MAX), (all, true));
            }
            assert!(woken.is_woken());
        }
    }

    /// Notes that it was woken.
    struct Woken(Mutex<bool>);

    impl Woken {
        fn new() -> Arc<Self> {
            Arc::new(Self(Mutex::new(false)))
        }

        fn waker(self: &Arc<Self>) -> Waker {
            Waker::from(Arc::clone(self))
        }

        fn is_woken(&self) -> bool {
            *self.0.lock().unwrap()
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = true;
        }
    }

    /// Pieces of different lengths, and trailers; and all that the pieces hold.
    fn inbound(pieces: u8) -> (Frames<Infallible>, Vec<u8>) {
        let pieces = (1..=pieces).map(|piece| vec![piece; usize::from(piece)]);
        let all = pieces.clone().flatten().collect();
        let frames = pieces.map(|piece| Frame::data(Bytes::from(piece)));
        (Frames(frames.chain([Frame::trailers(HeaderMap::new())]).map(Ok).collect()), all)
    }

    /// Reads so many frames, or to the end: the data, and whether trailers came.
    fn read(reader: &mut Reader, frames: usize) -> (Vec<u8>, bool) {
        let (mut data, mut trailers) = (Vec::new(), false);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..frames {
            let Poll::Ready(Some(frame)) = reader.poll_frame(&mut cx) else { break };
            match frame.unwrap().into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(_) => trailers = true,
            }
        }
        (data, trailers)
    }
}

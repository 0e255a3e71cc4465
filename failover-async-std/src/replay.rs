//! A streamed request body, kept up to a bound so that another attempt can send it again.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;

use crate::body::BodyError;
use crate::read::{PIECE, Pieces};

/// A body that is read from the caller once and can be sent by one attempt after the other.
///
/// The first attempt gets each piece as it comes in. What came in is kept until it outgrows the bound; from then on
/// only the attempt that is under way can send the rest.
#[derive(Debug)]
pub(crate) struct Replay {
    source: Arc<Mutex<Source>>,
    length: Option<u64>,
    limit: usize,
}

impl Replay {
    pub(crate) fn new(inbound: Pieces, limit: usize) -> Self {
        let length = inbound.left();
        let source = Source { inbound, kept: Vec::new(), limit, whole: true, turn: 0, reading: None };
        Self { source: Arc::new(Mutex::new(source)), length, limit }
    }

    /// The body from its first byte on.
    pub(crate) fn reader(&self) -> Reader {
        let turn = lock(&self.source).turn;
        Reader { source: Arc::clone(&self.source), length: self.length, turn, sent: 0 }
    }

    /// Ends all readers, and tells whether a new one could send the whole body.
    pub(crate) fn rewind(&self) -> bool {
        let mut source = lock(&self.source);
        source.turn += 1;
        if let Some(reading) = source.reading.take() {
            reading.wake();
        }
        source.whole
    }

    pub(crate) fn is_one_shot(&self) -> bool {
        self.length.is_some_and(|length| length > self.limit as u64)
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }
}

/// One attempt's view of the body.
pub(crate) struct Reader {
    source: Arc<Mutex<Source>>,
    /// Of the whole body.
    length: Option<u64>,
    turn: u64,
    sent: u64,
}

impl Reader {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut source = lock(&self.source);
        if self.turn != source.turn {
            return Poll::Ready(Some(Err(BodyError::GivenUp)));
        }
        let piece = match source.kept_from(self.sent) {
            Some(kept) => Some(Ok(kept)),
            None => ready!(source.poll_next(cx)),
        };
        if let Some(Ok(piece)) = &piece {
            self.sent += piece.len() as u64;
        }
        Poll::Ready(piece)
    }

    /// What is still to be sent, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.length.map(|length| length.saturating_sub(self.sent))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("sent", &self.sent).finish_non_exhaustive()
    }
}

struct Source {
    inbound: Pieces,
    /// All data so far while `whole`, else empty.
    kept: Vec<u8>,
    limit: usize,
    /// Whether the body can be sent from its first byte on.
    whole: bool,
    /// Counts the attempts: only the last one's reader may read.
    turn: u64,
    /// Wakes the reader that waits for the caller.
    reading: Option<Waker>,
}

impl Source {
    /// The next piece of what was kept, after the first `sent` bytes.
    fn kept_from(&self, sent: u64) -> Option<Bytes> {
        let rest = self.kept.get(usize::try_from(sent).ok()?..)?;
        (!rest.is_empty()).then(|| Bytes::copy_from_slice(&rest[..rest.len().min(PIECE)]))
    }

    /// The next piece from the caller.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Poll::Ready(next) = self.inbound.poll_next(cx) else {
            self.reading = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.reading = None;
        match &next {
            Some(Ok(data)) => self.keep(data),
            Some(Err(_)) => self.whole = false,
            None => {}
        }
        Poll::Ready(next.map(|piece| piece.map_err(BodyError::Inbound)))
    }

    fn keep(&mut self, data: &[u8]) {
        if self.whole && data.len() <= self.limit - self.kept.len() {
            self.kept.extend_from_slice(data);
        } else {
            self.whole = false;
            drop(mem::take(&mut self.kept));
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("kept", &self.kept.len())
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::Wake;

    use async_std::io::{BufRead, Read};

    use super::*;

    #[test]
    fn every_attempt_sends_every_byte_once_wherever_the_one_before_ended() {
        for pieces in 0..=4 {
            for first in 0..=pieces + 1 {
                for second in 0..=pieces + 1 {
                    for length_known in [false, true] {
                        let (inbound, all) = inbound(pieces, length_known);
                        let replay = Replay::new(inbound, all.len());
                        read(&mut replay.reader(), first.into());
                        assert!(replay.rewind());
                        read(&mut replay.reader(), second.into());
                        assert!(replay.rewind());
                        let mut last = replay.reader();
                        assert_eq!(read(&mut last, usize::MAX), all, "{pieces}, {first}, {second}");
                        assert_eq!(last.left(), length_known.then_some(0));
                    }
                }
            }
        }
    }

    #[test]
    fn a_body_that_outgrows_the_bound_goes_on_and_cannot_be_sent_again() {
        let (inbound, all) = inbound(3, false);
        let replay = Replay::new(inbound, all.len() - 1);
        assert_eq!(read(&mut replay.reader(), usize::MAX), all);
        assert!(!replay.rewind());
        assert!(lock(&replay.source).kept.is_empty());
    }

    #[test]
    fn a_reader_whose_attempt_was_given_up_reads_nothing_more() {
        let (inbound, all) = inbound(2, true);
        let replay = Replay::new(inbound, 100);
        let mut old = replay.reader();
        replay.rewind();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(old.poll_next(&mut cx), Poll::Ready(Some(Err(BodyError::GivenUp)))));
        assert_eq!(read(&mut replay.reader(), usize::MAX), all);
    }

    #[test]
    fn a_reader_that_waits_for_the_caller_is_woken_when_its_attempt_is_given_up() {
        struct Woken(Mutex<bool>);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                *self.0.lock().unwrap() = true;
            }
        }
        let stalled = surf::Body::from_reader(Inbound { pieces: vec![], stalled: true }, None);
        let replay = Replay::new(Pieces::new(stalled), 100);
        let woken = Arc::new(Woken(Mutex::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(replay.reader().poll_next(&mut Context::from_waker(&waker)).is_pending());
        assert!(replay.rewind());
        assert!(*woken.0.lock().unwrap());
    }

    /// Pieces of different lengths, the last one first.
    struct Inbound {
        pieces: Vec<Vec<u8>>,
        stalled: bool,
    }

    fn inbound(pieces: u8, length_known: bool) -> (Pieces, Vec<u8>) {
        let pieces: Vec<_> = (1..=pieces).map(|piece| vec![piece; usize::from(piece)]).collect();
        let all = pieces.concat();
        let inbound = Inbound { pieces: pieces.into_iter().rev().collect(), stalled: false };
        let body = surf::Body::from_reader(inbound, length_known.then_some(all.len()));
        (Pieces::new(body), all)
    }

    impl BufRead for Inbound {
        fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            let this = self.get_mut();
            if this.stalled {
                return Poll::Pending;
            }
            Poll::Ready(Ok(this.pieces.last().map_or(&[], Vec::as_slice)))
        }

        fn consume(mut self: Pin<&mut Self>, count: usize) {
            assert_eq!(self.pieces.pop().map(|piece| piece.len()), Some(count));
        }
    }

    impl Read for Inbound {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            unreachable!("it is read by pieces")
        }
    }

    /// Reads so many pieces, or to the end.
    fn read(reader: &mut Reader, pieces: usize) -> Vec<u8> {
        let mut data = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..pieces {
            let Poll::Ready(Some(piece)) = reader.poll_next(&mut cx) else { break };
            data.extend_from_slice(&piece.unwrap());
        }
        data
    }
}

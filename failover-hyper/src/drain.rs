//! Draining: what becomes of the body of an answer that was given up.
//!
//! Read to its end, it leaves its connection to another request. That happens in the background, within bounds, while the
//! call goes on; if the call comes back to the answer, the answer's reader takes over.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use failover_core::{Group, Target};
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ahead::Ahead;
use crate::error::BoxError;
use crate::runtime::Runtime;

/// How many answers of each target of a group may still be drained at once.
#[derive(Clone, Debug)]
pub struct Drains(Arc<[Arc<Semaphore>]>);

impl Drains {
    /// None so far, of the targets of this group.
    #[must_use]
    pub fn new(group: &Group<Target>) -> Self {
        Self(group.targets().iter().map(|_| Arc::new(Semaphore::new(MOST_DRAINS))).collect())
    }

    /// The right to drain an answer of a target, if there is room.
    fn take(&self, target: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0[target]).try_acquire_owned().ok()
    }
}

/// The body of an answer that was given up, for what drains it and for the answer.
pub(crate) struct Drain<B: Body>(Arc<Mutex<Drained<B>>>);

struct Drained<B: Body> {
    body: Ahead<B>,
    /// What drains it, while it waits.
    task: Option<Waker>,
}

impl<B: Body> Drain<B> {
    /// The same for another holder.
    pub(crate) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Takes the body over, for its reader: what was read of it, and the rest.
    pub(crate) fn take_over(&self) -> Ahead<B> {
        let (body, task) = {
            let mut drained = self.lock();
            (mem::replace(&mut drained.body, Ahead::gone()), drained.task.take())
        };
        if let Some(task) = task {
            task.wake();
        }
        body
    }

    /// Lets go of what was not read.
    pub(crate) fn let_go(&self) {
        let rest = self.lock().body.let_go();
        // What it closes is closed without the lock.
        drop(rest);
    }

    /// What `look` sees of the body.
    pub(crate) fn see<T>(&self, look: impl FnOnce(&Ahead<B>) -> T) -> T {
        look(&self.lock().body)
    }

    fn lock(&self) -> MutexGuard<'_, Drained<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Drain<B> {
    /// Reads what is at hand. If that is not all, it can be drained.
    pub(crate) fn of(mut body: Ahead<B>) -> Result<Ahead<B>, Self> {
        let _ = body.poll_ahead(DRAIN_SIZE, &mut Context::from_waker(Waker::noop()));
        if body.is_read() { Ok(body) } else { Err(Self(Arc::new(Mutex::new(Drained { body, task: None })))) }
    }

    /// Reads on: ready when there is nothing more to read, or it is not to be read.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut drained = self.lock();
        let polled = drained.body.poll_ahead(DRAIN_SIZE, cx);
        drained.task = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

impl<B> Drain<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// Drains it in the background. Where there is no room for that, it stays as it is, until the answer is dropped.
    pub(crate) fn start<R: Runtime>(self, drains: &Drains, target: usize) {
        if self.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return self.let_go();
        }
        let Some(permit) = R::is_running().then(|| drains.take(target)).flatten() else { return };
        R::spawn(async move {
            R::timeout(DRAIN_TIME, poll_fn(|cx| self.poll(cx))).await;
            self.let_go();
            drop(permit);
        });
    }
}

/// How much of an answer is read so that its connection can be used again.
const DRAIN_SIZE: usize = 64 << 10;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(250);

/// How many answers of a target are drained at once.
const MOST_DRAINS: usize = 64;

#[cfg(test)]
mod tests {
    use std::error::Error;

    use bytes::Bytes;
    use failover_core::{Entry, Policy};
    use http::HeaderMap;
    use http_body::Frame;
    use http_body_util::{BodyExt, Full};
    use tokio::sync::mpsc::{Receiver, Sender, channel};
    use tokio::task::yield_now;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::ahead::LetGo;
    use crate::clock::Clock;
    use crate::observed::Observed;
    use crate::response_body::{Origin, ResponseBody};
    use crate::testing::{Frames, Pieces, Stalled, Tokio};

    /// Guards: `Ahead::poll_ahead` that reads on when it has read enough, or stops too soon.
    #[tokio::test]
    async fn what_is_at_hand_is_read_to_its_end_unless_it_is_long() {
        for (size, read_to_end) in [(0, true), (1, true), (DRAIN_SIZE, true), (DRAIN_SIZE + 2, false)] {
            let halves = [vec![1; size / 2 + size % 2], vec![2; size / 2]];
            let (body, drain) = given_up(Frames::<&str>(halves.iter().map(|half| Ok(data(half))).collect()));
            assert_eq!(drain.is_none(), read_to_end, "{size}");
            assert_eq!(body.bytes().await.unwrap(), halves.concat());
        }
    }

    #[tokio::test]
    async fn the_size_that_was_known_stays_known() {
        let (body, _) = given_up(Full::new(Bytes::from_static(b"busy")));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(given_up(Full::<Bytes>::default()).0.is_end_stream());
    }

    /// Guards: an `Ahead` that drops an error which it read.
    #[tokio::test]
    async fn a_body_that_broke_off_is_an_error_to_its_reader() {
        let (body, drain) = given_up(Frames([Ok(data(b"half")), Err("reset")].into()));
        assert!(drain.is_none());
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(body.bytes().await.unwrap_err().to_string(), "the answer's body broke off: reset");

        let (pieces, body, drains) = drained();
        pieces.send(Ok(data(b"half"))).await.unwrap();
        pieces.send(Err("reset")).await.unwrap();
        settle().await;
        assert!(pieces.is_closed() && drains.are_done());
        assert_eq!(body.bytes().await.unwrap_err().to_string(), "the answer's body broke off: reset");
    }

    /// Guards: `Drain::start` that does nothing.
    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_to_its_end_without_its_reader() {
        let (pieces, body, drains) = drained();
        for piece in [Ok(data(b"a ")), Ok(data(b"few ")), Ok(data(b"bytes")), Ok(trailers())] {
            sleep(DRAIN_TIME / 5).await;
            pieces.send(piece).await.unwrap();
        }
        drop(pieces);
        settle().await;
        assert!(drains.are_done() && !body.is_let_go());
        let body = body.collect().await.unwrap();
        assert!(body.trailers().is_some());
        assert_eq!(body.to_bytes(), "a few bytes");
    }

    /// Guards: a `DRAIN_TIME` that counts from the last piece, and a task that ends before.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_slow_is_let_go_when_its_time_is_over() {
        for is_dropped in [false, true] {
            let began = Instant::now();
            let (pieces, body, drains) = drained();
            let body = (!is_dropped).then_some(body);
            while send(&pieces, b"x").await {
                assert!(began.elapsed() < 2 * DRAIN_TIME, "it is drained still");
                sleep(DRAIN_TIME / 25).await;
            }
            let took = began.elapsed();
            assert!((DRAIN_TIME..DRAIN_TIME * 27 / 25).contains(&took), "{took:?}");
            assert!(drains.are_done());
            if let Some(body) = body {
                assert!(body.is_let_go());
                assert!(body.bytes().await.unwrap_err().source().unwrap().is::<LetGo>());
            }
        }
    }

    /// Guards: a `Drain::let_go` that takes what was read, and one that makes an end of it.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_endless_is_let_go_when_enough_was_read() {
        let began = Instant::now();
        let (pieces, mut body, drains) = drained();
        let feeder = tokio::spawn(async move {
            let mut sent = 0;
            while send(&pieces, &[1; 1024]).await {
                assert!(sent < 2 * DRAIN_SIZE, "it is drained still");
                sent += 1024;
            }
            sent
        });
        let sent = feeder.await.unwrap();
        assert!((DRAIN_SIZE..=DRAIN_SIZE + 4096).contains(&sent), "{sent}");
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(drains.are_done() && body.is_let_go() && !body.is_end_stream());
        let mut read = 0;
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => read += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!((DRAIN_SIZE..=sent).contains(&read), "{read}");
        assert!(error.source().unwrap().is::<LetGo>());
    }

    /// Guards: a size that counts bytes only.
    #[tokio::test]
    async fn a_body_of_empty_pieces_is_endless_too() {
        let (body, drain) = given_up(Frames::<&str>((0..=2 * DRAIN_SIZE).map(|_| Ok(data(b""))).collect()));
        assert!(drain.is_some());
        drop(body);
    }

    /// Guards: `Drain::take_over` that leaves the pieces, or the rest; that does not wake the task; a task that reads on.
    #[tokio::test(start_paused = true)]
    async fn the_reader_takes_over_wherever_the_task_is() {
        for at_hand in 0..=2_u8 {
            for drained in 0..=2 {
                let (pieces, receiver) = channel(4);
                let mut nth = 0;
                let mut send = |count| {
                    for _ in 0..count {
                        pieces.try_send(Ok(data(&[nth]))).unwrap();
                        nth += 1;
                    }
                };
                send(at_hand);
                let (body, drains) = start(receiver);
                settle().await;
                send(drained);
                settle().await;
                // These come when the task was not asked yet, and when there is none any more.
                send(1);
                let body = body.taken_over(1);
                settle().await;
                assert!(drains.are_done());
                let reader = tokio::spawn(body.collect());
                settle().await;
                send(2);
                sleep(2 * DRAIN_TIME).await;
                send(1);
                drop(pieces);
                let all = reader.await.unwrap().unwrap().to_bytes();
                assert_eq!(all, (0..at_hand + drained + 4).collect::<Vec<_>>(), "{at_hand} {drained}");
            }
        }
    }

    /// Guards: a reader that waits for the task, and one that is woken for the task only.
    #[tokio::test(start_paused = true)]
    async fn a_reader_that_just_reads_takes_over_too() {
        let (pieces, body, drains) = drained();
        settle().await;
        let reader = tokio::spawn(body.bytes());
        settle().await;
        assert!(drains.are_done());
        sleep(2 * DRAIN_TIME).await;
        pieces.send(Ok(data(b"late"))).await.unwrap();
        drop(pieces);
        assert_eq!(reader.await.unwrap().unwrap(), "late");
    }

    /// Guards: a bound that is missing, or one for all targets; a place that is not given back.
    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_drained_at_once() {
        let drains = Drains::new(&group());
        for _ in 0..2 {
            let start = |target| {
                let (pieces, receiver) = channel(4);
                let (body, drain) = given_up(Pieces(receiver));
                drain.unwrap().start::<Tokio>(&drains, target);
                (pieces, body)
            };
            let first: Vec<_> = (0..MOST_DRAINS).map(|_| start(0)).collect();
            let (too_many, other) = (start(0), start(1));
            settle().await;
            for (pieces, _) in first.iter().chain([&too_many, &other]) {
                pieces.try_send(Ok(data(b"x"))).unwrap();
            }
            settle().await;
            let is_drained = |(pieces, _): &(Sender<_>, _)| pieces.capacity() == pieces.max_capacity();
            assert!(first.iter().all(is_drained) && is_drained(&other) && !is_drained(&too_many));
            sleep(2 * DRAIN_TIME).await;
            assert!(first.iter().all(|(pieces, body)| pieces.is_closed() && body.is_let_go()));
            // It is the answer's still, whole.
            let (pieces, body) = too_many;
            assert!(!pieces.is_closed() && !body.is_let_go());
            drop(body);
            assert!(pieces.is_closed());
        }
    }

    /// Guards: `Drain::start` that spawns where no runtime is.
    #[test]
    fn without_a_runtime_nothing_is_drained() {
        let drains = Drains::new(&group());
        let (body, drain) = given_up(Stalled);
        drain.unwrap().start::<Tokio>(&drains, 0);
        assert!(!body.is_let_go() && drains.are_done());
    }

    impl Drains {
        /// Whether nothing is being drained.
        fn are_done(&self) -> bool {
            self.0.iter().all(|left| left.available_permits() == MOST_DRAINS)
        }
    }

    /// A body that is being drained, as its target sends it.
    fn drained() -> (Sender<Piece>, ResponseBody<Pieces>, Drains) {
        let (pieces, receiver) = channel(2);
        let (body, drains) = start(receiver);
        (pieces, body, drains)
    }

    fn start(pieces: Receiver<Piece>) -> (ResponseBody<Pieces>, Drains) {
        let drains = Drains::new(&group());
        let (body, drain) = given_up(Pieces(pieces));
        drain.unwrap().start::<Tokio>(&drains, 0);
        (body, drains)
    }

    fn given_up<B: Body<Error: Into<BoxError>> + Unpin>(body: B) -> (ResponseBody<B>, Option<Drain<B>>) {
        ResponseBody::given_up(
            Ahead::new(body),
            Origin { observed: Observed::new(group(), Clock::start::<Tokio>(), None), index: 0, body: None },
        )
    }

    fn group() -> Group<Target> {
        let targets = ["http://a", "http://b"].map(|url| Target::parse(url).unwrap());
        Group::of(targets.map(Entry::from), Policy::default()).unwrap()
    }

    /// Sends a piece, unless nobody wants it any more.
    async fn send(pieces: &Sender<Piece>, bytes: &[u8]) -> bool {
        timeout(2 * DRAIN_TIME, pieces.send(Ok(data(bytes)))).await.expect("it is read or let go").is_ok()
    }

    fn data(bytes: &[u8]) -> Frame<Bytes> {
        Frame::data(Bytes::copy_from_slice(bytes))
    }

    fn trailers() -> Frame<Bytes> {
        Frame::trailers(HeaderMap::new())
    }

    /// Lets all tasks run as far as they can.
    async fn settle() {
        for _ in 0..10 {
            yield_now().await;
        }
    }

    type Piece = Result<Frame<Bytes>, &'static str>;
}

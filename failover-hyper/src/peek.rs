//! Judging an answer before its call has it: by its head, and by as much of its body as a judge asks for.

use std::future::poll_fn;
use std::task::{Context, Waker};
use std::time::Duration;

use failover_core::{Case, Judge, Judgement, Judges, MOST_PEEKED, Verdict};
use http::header::CONTENT_ENCODING;
use http::{Response, StatusCode};
use http_body::Body;

use crate::ahead::Ahead;
use crate::error::{AttemptError, BoxError};
use crate::judging::unless_it_panics;
use crate::runtime::Runtime;
use crate::template::Template;

/// What judges the answers to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) judges: &'a Judges,
    pub(crate) template: &'a Template,
}

impl Bench<'_> {
    /// What the judges say of an answer by its head. One that leads to another protocol is not judged, and of one with a coding
    /// nothing more is shown.
    pub(crate) fn judge<B: Body>(self, answer: &Response<Ahead<B>>) -> Judgement {
        if self.judges.is_empty() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Judgement::ByStatus;
        }
        match self.ask(answer, None, Judge::judge) {
            Some(Judgement::Peek(asked)) if asked == 0 || is_encoded(answer) => {
                self.settle(answer, None).map_or(Judgement::ByStatus, Judgement::Is)
            }
            said => said.unwrap_or(Judgement::ByStatus),
        }
    }

    /// Waits until so much of the body has come that the judges decide, for no longer than `time`. The body stays as it
    /// came, also if it broke off.
    pub(crate) async fn peek<R, B>(
        self,
        asked: usize,
        answer: &mut Response<Ahead<B>>,
        time: Duration,
    ) -> Peeked
    where
        R: Runtime,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin,
    {
        let mut seen = Seen { asked, bytes: Vec::new(), next: 0 };
        if let Some(said) = R::timeout(time, self.look(answer, &mut seen)).await {
            return said;
        }
        seen.is_all_of(answer.body());
        self.settle(answer, Some((&seen.bytes, false))).map_or(Peeked::TooLate, Peeked::Judged)
    }

    async fn look<B>(self, answer: &mut Response<Ahead<B>>, seen: &mut Seen) -> Peeked
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin,
    {
        loop {
            let body = answer.body_mut();
            let missing = seen.asked.min(MOST_PEEKED).saturating_sub(seen.bytes.len());
            // Pieces without data count, too.
            let most = body.size() + missing.saturating_sub(1);
            poll_fn(|cx| body.poll_ahead(most, cx)).await;
            // What is at hand, too, so that the judges are asked once for all of it.
            let _ = body.poll_ahead(MOST_PEEKED, &mut Context::from_waker(Waker::noop()));
            let is_all = seen.is_all_of(body);
            let is_enough = body.size() >= MOST_PEEKED || body.pieces() >= MOST_PIECES;
            let goes_on = is_all && !body.is_read() && !is_enough;
            if goes_on && seen.bytes.len() < seen.asked {
                continue;
            }
            if body.is_broken() {
                return Peeked::BrokeOff;
            }
            let shown = Some((&*seen.bytes, body.is_read() && is_all));
            if goes_on {
                match self.ask(answer, shown, Judge::judge) {
                    Some(Judgement::Is(verdict)) => return Peeked::Judged(verdict),
                    Some(Judgement::Peek(more)) if more > seen.bytes.len() => {
                        seen.asked = more;
                        continue;
                    }
                    _ => {}
                }
            }
            return self.settle(answer, shown).map_or(Peeked::ByStatus, Peeked::Judged);
        }
    }

    /// What the judges say by what there is, where no more will be shown.
    fn settle<B: Body>(self, answer: &Response<Ahead<B>>, body: Option<(&[u8], bool)>) -> Option<Verdict> {
        self.ask(answer, body, Judges::settle).flatten()
    }

    /// Asks the judges, if none of them panics.
    fn ask<B: Body, T>(
        self,
        answer: &Response<Ahead<B>>,
        body: Option<(&[u8], bool)>,
        ask: impl FnOnce(&Judges, &Case<'_>) -> T,
    ) -> Option<T> {
        let request = (self.template.method(), self.template.path(), self.template.headers());
        let case = Case::new(request, (answer.status(), answer.headers()));
        let case = match body {
            Some((bytes, is_whole)) => case.with_body(bytes, is_whole),
            None => case,
        };
        unless_it_panics(|| ask(self.judges, &case))
    }
}

/// What came of peeking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peeked {
    Judged(Verdict),
    /// The judges leave it to the status.
    ByStatus,
    /// So they do, since what they wait for did not come in time.
    TooLate,
    /// The body broke off before they decided.
    BrokeOff,
}

impl Peeked {
    /// What the answer is, to which its status would come.
    ///
    /// # Errors
    ///
    /// It broke off, which takes the error from its body, and its status does not give it up.
    pub(crate) fn verdict<B>(self, by_status: Verdict, body: &mut Ahead<B>) -> Result<Verdict, AttemptError>
    where
        B: Body,
    {
        match self {
            Self::Judged(verdict) => Ok(verdict),
            // It is not seen to be well.
            Self::TooLate if by_status == Verdict::Accept => Ok(Verdict::Pass),
            Self::BrokeOff if !by_status.gives_up() => Err(AttemptError::broke_off(body.take_error())),
            Self::ByStatus | Self::TooLate | Self::BrokeOff => Ok(by_status),
        }
    }
}

/// What was seen of a body.
struct Seen {
    /// How much was asked for.
    asked: usize,
    bytes: Vec<u8>,
    /// The piece that is to be seen next.
    next: usize,
}

impl Seen {
    /// Takes in what was read, and tells whether that is all of it.
    fn is_all_of<B: Body>(&mut self, body: &Ahead<B>) -> bool {
        body.copy_to(&mut self.bytes, MOST_PEEKED, &mut self.next)
    }
}

/// In how many pieces a body is looked at, which are kept.
const MOST_PIECES: usize = 1_024;

/// Whether the body is not what it means.
fn is_encoded<B>(answer: &Response<B>) -> bool {
    let mut codings = answer.headers().get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::{Buf, Bytes};
    use http::{HeaderMap, Method, Request};
    use http_body::Frame;
    use http_body_util::{BodyExt, Full};
    use tokio::sync::mpsc::channel;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::body_error::BodyError;
    use crate::request_body::CallBody;
    use crate::testing::{Frames, Pieces, Tokio};

    /// Guards: `Ahead::copy_to` that copies a byte twice, or skips one; `Bench::peek` that counts pieces without data.
    #[tokio::test]
    async fn however_a_body_comes_in_pieces_a_judge_sees_the_same_and_its_reader_too() {
        const BODY: &[u8] = b"0123456789";
        for asked in 1..=12 {
            for cuts in 0..1 << (BODY.len() - 1) {
                let mut pieces: VecDeque<_> = [Ok(Frame::data(Bytes::new()))].into();
                let mut rest = BODY;
                for place in 1..BODY.len() {
                    if cuts & (1 << (place - 1)) != 0 {
                        let (piece, after) = rest.split_at(place - (BODY.len() - rest.len()));
                        pieces.extend([Ok::<_, &str>(Frame::data(Bytes::from_static(piece)))]);
                        rest = after;
                    }
                }
                pieces.push_back(Ok(Frame::data(Bytes::from_static(rest))));
                pieces.push_back(Ok(Frame::trailers(HeaderMap::from_iter([(
                    http::header::EXPIRES,
                    http::HeaderValue::from_static("never"),
                )]))));
                let mut answer = Response::new(Ahead::new(Frames(pieces)));
                let said = asking(move |bytes, is_whole| {
                    assert!(bytes.len() >= asked || is_whole, "{bytes:?} of {asked}");
                    assert!(BODY.starts_with(bytes) && is_whole <= (bytes == BODY));
                    bytes.starts_with(&BODY[..asked.min(BODY.len())]).then_some(Verdict::Pass)
                })
                .peek(asked, &mut answer, SECOND)
                .await;
                assert_eq!(said, Peeked::Judged(Verdict::Pass));
                let (bytes, trailers) = read(answer.into_body()).await;
                assert!(bytes == BODY && trailers.is_some());
            }
        }
    }

    #[tokio::test]
    async fn a_judge_may_look_again_and_at_no_more_than_there_is() {
        // One that wants a piece more each time sees each once, and no more than the most.
        let pieces = || (0..100).map(|_| Ok::<_, &str>(Frame::data(Bytes::from(vec![7; 1000])))).collect();
        let mut answer = Response::new(Ahead::new(Frames(pieces())));
        let most = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&most);
        let judges = judging(move |case| {
            let length = case.body.map_or(0, |peeked| peeked.bytes.len());
            seen.fetch_max(length, Ordering::Relaxed);
            Judgement::Peek(length + 1)
        });
        let template = template();
        let bench = Bench { judges: &judges, template: &template };
        assert_eq!(bench.judge(&answer), Judgement::Peek(1));
        assert_eq!(bench.peek::<Tokio, _>(1, &mut answer, SECOND).await, Peeked::ByStatus);
        assert_eq!(most.load(Ordering::Relaxed), MOST_PEEKED);
        assert!(answer.body().size() <= MOST_PEEKED + 1000);
        assert_eq!(read(answer.into_body()).await.0.len(), 100_000);

        // One that is not content with what it has does not wait for ever.
        let mut answer = Response::new(Ahead::new(Full::new(Bytes::from_static(b"all"))));
        let said = asking(|_, _| None).peek(usize::MAX, &mut answer, SECOND).await;
        assert_eq!((said, answer.body().size_hint().exact()), (Peeked::ByStatus, Some(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_bound_a_body_that_does_not_come_is_judged_by_what_did() {
        for decides in [false, true] {
            let began = Instant::now();
            let (pieces, receiver) = channel(4);
            tokio::spawn(async move {
                for _ in 0..4 {
                    pieces.send(Ok(Frame::data("half".into()))).await.unwrap();
                    sleep(SECOND * 2 / 5).await;
                }
            });
            let mut answer = Response::new(Ahead::new(Pieces(receiver)));
            let judge = asking(move |bytes, is_whole| {
                (decides && !is_whole && bytes == b"halfhalfhalf").then_some(Verdict::Pass)
            });
            let said = judge.peek(100, &mut answer, SECOND).await;
            let expected = if decides { Peeked::Judged(Verdict::Pass) } else { Peeked::TooLate };
            assert_eq!((said, began.elapsed()), (expected, SECOND));
            assert_eq!(read(answer.into_body()).await.0, b"half".repeat(4));
        }
    }

    #[tokio::test]
    async fn broken_body_an_answer_that_breaks_off_is_an_error_unless_it_was_judged_before() {
        let half = || [Ok(Frame::data(Bytes::from_static(b"half"))), Err("reset")].into();
        let mut answer = Response::new(Ahead::new(Frames(half())));
        assert_eq!(asking(|_, _| None).peek(5, &mut answer, SECOND).await, Peeked::BrokeOff);
        assert_eq!(answer.body_mut().take_error().unwrap().to_string(), "reset");
        let mut answer = Response::new(Ahead::new(Frames(half())));
        assert_eq!(asking(|_, _| None).peek(4, &mut answer, SECOND).await, Peeked::BrokeOff);
        let error = answer.into_body().collect_all().await.unwrap_err();
        assert_eq!(error.to_string(), "the answer's body broke off: reset");
    }

    /// Guards: `Ahead::copy_to` that goes on behind what it cannot see.
    #[tokio::test]
    async fn a_piece_in_more_parts_than_can_be_seen_is_judged_by_its_status() {
        let parts = (0..=MOST_PARTS).map(|_| Bytes::from_static(b"part"));
        let piece = parts.fold(Parts(VecDeque::new()), |mut piece, part| {
            piece.0.push_back(part);
            piece
        });
        let mut answer = Response::new(Ahead::new(Full::new(piece)));
        let sees =
            |bytes: &[u8], is_whole| (is_whole || bytes.len() != 4 * MOST_PARTS).then_some(Verdict::Pass);
        assert_eq!(asking(sees).peek(1000, &mut answer, SECOND).await, Peeked::ByStatus);
    }

    /// A piece that lies in parts.
    struct Parts(VecDeque<Bytes>);

    impl Buf for Parts {
        fn remaining(&self) -> usize {
            self.0.iter().map(Bytes::len).sum()
        }

        fn chunk(&self) -> &[u8] {
            self.0.front().map_or(&[], |part| part)
        }

        fn chunks_vectored<'a>(&'a self, parts: &mut [std::io::IoSlice<'a>]) -> usize {
            let shown = self.0.iter().zip(parts).map(|(part, shown)| *shown = std::io::IoSlice::new(part));
            shown.count()
        }

        fn advance(&mut self, _: usize) {
            unreachable!("nobody reads it");
        }
    }

    struct Asking(Judges);

    impl Asking {
        async fn peek<B>(self, asked: usize, answer: &mut Response<Ahead<B>>, time: Duration) -> Peeked
        where
            B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin,
        {
            let template = template();
            Bench { judges: &self.0, template: &template }.peek::<Tokio, B>(asked, answer, time).await
        }
    }

    /// A judge that is shown what there is, and has a verdict or wants all that it asked for.
    fn asking(judge: impl Fn(&[u8], bool) -> Option<Verdict> + Send + Sync + 'static) -> Asking {
        Asking(judging(move |case| {
            let body = case.body.expect("it is asked about the body");
            judge(body.bytes, body.is_whole).map_or(Judgement::Peek(body.bytes.len()), Judgement::Is)
        }))
    }

    fn judging(judge: impl Fn(&Case<'_>) -> Judgement + Send + Sync + 'static) -> Judges {
        let mut judges = Judges::default();
        judges.push(judge);
        judges
    }

    fn template() -> Template {
        let head = Request::builder().method(Method::GET).uri("/").body(()).unwrap().into_parts().0;
        Template::new(head, CallBody::whole("")).unwrap()
    }

    async fn read<B>(body: Ahead<B>) -> (Vec<u8>, Option<HeaderMap>)
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let body = body.collect_all().await.unwrap();
        let trailers = body.trailers().cloned();
        (body.to_bytes().into(), trailers)
    }

    impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Ahead<B> {
        async fn collect_all(self) -> Result<http_body_util::Collected<Bytes>, BodyError> {
            crate::response_body::ResponseBody::new(self, None).collect().await
        }
    }

    const MOST_PARTS: usize = 16;
    const SECOND: Duration = Duration::from_secs(1);
}

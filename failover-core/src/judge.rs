//! Judges: what an answer means that its status alone does not tell.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use http::{HeaderMap, Method, StatusCode};

use crate::evidence::Replay;
use crate::verdict::Verdict;

/// What knows better than the status whether an answer is one: an error in a 200, for example.
///
/// An adapter asks it once the head of an answer is there. A judge that must see the body first says
/// [`Peek`](Judgement::Peek) and is asked again. What was returned to the caller is judged no more.
///
/// It is called by the call's task, must not block, and should not panic: the adapters go on by the status where it does. A closure is
/// a judge:
///
/// ```
/// use failover_core::{Case, Judgement, Policy, Verdict};
///
/// let policy = Policy::default().judge(|case: &Case<'_>| match &case.body {
///     None if case.path == "/rpc" => Judgement::Peek(4096),
///     Some(peeked) if peeked.bytes.starts_with(b"{\"error\"") => {
///         Verdict::Elsewhere { processed: false, harm: true }.into()
///     }
///     _ => Judgement::ByStatus,
/// });
/// ```
pub trait Judge: Send + Sync {
    /// What the answer means, as far as that can be told by what there is of it.
    fn judge(&self, case: &Case<'_>) -> Judgement;

    /// Whether trailers, which come when an answer was returned, tell that its target failed: then that counts against it,
    /// and changes nothing for the call.
    fn is_failure(&self, trailers: &HeaderMap) -> bool {
        let _ = trailers;
        false
    }

    /// By which rule a request may be sent again, if not by the policy's. `path` is that below the target's, without the query.
    fn replay(&self, method: &Method, path: &str) -> Option<Replay> {
        let _ = (method, path);
        None
    }
}

impl<F: Fn(&Case<'_>) -> Judgement + Send + Sync> Judge for F {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        self(case)
    }
}

/// What a judge says of an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Judgement {
    /// Nothing: the next judge is asked, and after the last one the status says it.
    ByStatus,
    /// It is this, whatever its status.
    Is(Verdict),
    /// It depends on the body: the judge is asked again when that many bytes of it have come, at most [`MOST_PEEKED`], or it
    /// has ended, or the attempt's time is over.
    ///
    /// If that is not more than what it was shown, it is taken for [`ByStatus`](Self::ByStatus). So it is of an answer with a
    /// content coding, and when no more will be shown.
    Peek(usize),
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self::Is(verdict)
    }
}

/// What a [`Judge`] decides on: a request and its answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// Its path below the target's, without the query.
    pub path: &'a str,
    /// Its headers, without those that are the target's own.
    pub request: &'a HeaderMap,
    /// The answer's status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// What there is of its body, if a judge asked for that.
    pub body: Option<Peeked<'a>>,
}

impl<'a> Case<'a> {
    /// An answer to a request, by their heads.
    #[must_use]
    pub fn new(
        (method, path, request): (&'a Method, &'a str, &'a HeaderMap),
        (status, headers): (StatusCode, &'a HeaderMap),
    ) -> Self {
        Self { method, path, request, status, headers, body: None }
    }

    /// The same answer with the first bytes of its body.
    #[must_use]
    pub fn with_body(self, bytes: &'a [u8], is_whole: bool) -> Self {
        Self { body: Some(Peeked { bytes, is_whole }), ..self }
    }
}

/// The first bytes of an answer's body, for which a [`Judge`] asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Peeked<'a> {
    /// Those that have come, at most [`MOST_PEEKED`].
    pub bytes: &'a [u8],
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// The judges of a policy, in the order in which they are asked.
///
/// Two are equal if they are the same judges, not if they would judge alike.
#[derive(Clone, Default)]
pub struct Judges(Vec<Arc<dyn Judge>>);

impl Judges {
    /// Adds a judge, to be asked after those that are there.
    pub fn push(&mut self, judge: impl Judge + 'static) {
        self.0.push(Arc::new(judge));
    }

    /// Adds judges, to be asked after those that are there.
    pub fn extend(&mut self, judges: &Self) {
        self.0.extend_from_slice(&judges.0);
    }

    /// What the first one says that decides by what there is, where no more will be shown.
    #[must_use]
    pub fn settle(&self, case: &Case<'_>) -> Option<Verdict> {
        self.0.iter().find_map(|judge| match judge.judge(case) {
            Judgement::Is(verdict) => Some(verdict),
            Judgement::ByStatus | Judgement::Peek(_) => None,
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Judge for Judges {
    /// What the first one says that does not leave it to the status.
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let mut said = self.0.iter().map(|judge| judge.judge(case));
        said.find(|said| *said != Judgement::ByStatus).unwrap_or(Judgement::ByStatus)
    }

    fn is_failure(&self, trailers: &HeaderMap) -> bool {
        self.0.iter().any(|judge| judge.is_failure(trailers))
    }

    fn replay(&self, method: &Method, path: &str) -> Option<Replay> {
        self.0.iter().find_map(|judge| judge.replay(method, path))
    }
}

impl PartialEq for Judges {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(one, two)| Arc::ptr_eq(one, two))
    }
}

impl fmt::Debug for Judges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Judges({})", self.0.len())
    }
}

/// The most bytes of a body that a judge is shown.
pub const MOST_PEEKED: usize = 64 << 10;

//! How a call ended, and the whole story of it: `Answer`, `Stopped`, and the failures before.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use http::StatusCode;

use crate::cursor::Position;
use crate::evidence::{Evidence, Row};
use crate::failback::Lease;
use crate::mark::Mark;
use crate::reason::Reason;
use crate::time::Timestamp;

/// The answer to a call: the response, the target that gave it, and the failures that came before.
pub struct Answer<R, E> {
    pub(crate) response: R,
    pub(crate) trail: Option<Box<Trail<R, E>>>,
    pub(crate) began: Timestamp,
    pub(crate) ended: Timestamp,
    /// What the answer cleared of its target's mark.
    pub(crate) cleared: Mark,
    pub(crate) seen: Position,
    /// Held if it is a probe's.
    pub(crate) lease: Lease,
    pub(crate) target: u8,
}

impl<R, E> Answer<R, E> {
    /// The response.
    #[must_use]
    pub fn into_response(self) -> R {
        self.response
    }

    /// The response, the index of the target that gave it, and the failures before it, in order.
    #[must_use]
    pub fn into_parts(self) -> (R, usize, Vec<Failure<E>>) {
        (self.response, self.target.into(), self.trail.map_or_else(Vec::new, |trail| trail.failures))
    }

    /// What is to be kept until the response's body ends, and told to the group then, by
    /// [`body_whole`](crate::Group::body_whole) or [`body_broke_off`](crate::Group::body_broke_off).
    ///
    /// A driver that does not tell learns less: broken bodies are no strikes, and no probe makes calls return.
    #[must_use]
    pub fn body(&self) -> BodyToken {
        BodyToken { target: self.target, cleared: self.cleared, seen: self.seen, lease: self.lease }
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> &R {
        &self.response
    }

    /// The index of the target that answered.
    #[must_use]
    pub fn target(&self) -> usize {
        self.target.into()
    }

    /// The failures that came before the answer, in the order in which they happened.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        self.trail.as_deref().map_or(&[], |trail| &trail.failures)
    }

    /// How many strikes against its target the answer cleared; a target that cooled with them does so no more.
    #[must_use]
    pub fn cleared(&self) -> u8 {
        self.cleared.strikes()
    }

    /// When the attempt that was answered began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// When the answer came.
    #[must_use]
    pub fn ended(&self) -> Timestamp {
        self.ended
    }
}

impl<R, E: fmt::Debug> fmt::Debug for Answer<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("target", &self.target)
            .field("failures", &self.failures())
            .field("began", &self.began)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What is handed back to the group when the body of an answer has ended.
#[derive(Clone, Copy, Debug)]
pub struct BodyToken {
    pub(crate) target: u8,
    pub(crate) cleared: Mark,
    pub(crate) seen: Position,
    pub(crate) lease: Lease,
}

impl BodyToken {
    /// Whether the answer was a probe's, so that somebody waits for [`body_whole`](crate::Group::body_whole).
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.lease.is_held()
    }
}

/// A call that ended without an acceptable answer: the reason, the failures, and the last response if there was one.
///
/// It displays as one line. Its errors' messages are part of the line, so it has no `source`.
pub struct Stopped<R, E> {
    pub(crate) trail: Box<Trail<R, E>>,
    pub(crate) reason: Reason,
}

impl<R, E> Stopped<R, E> {
    /// The last real response, if any target gave one.
    #[must_use]
    pub fn into_response(self) -> Option<R> {
        self.trail.response
    }

    /// The reason, the failures in order, and the last response.
    #[must_use]
    pub fn into_parts(self) -> (Reason, Vec<Failure<E>>, Option<R>) {
        (self.reason, self.trail.failures, self.trail.response)
    }

    /// The same with its last response, if there is one, made another.
    #[must_use]
    pub fn map_response<S>(self, change: impl FnOnce(R) -> S) -> Stopped<S, E> {
        let (reason, failures, response) = self.into_parts();
        Stopped { trail: Box::new(Trail { failures, response: response.map(change) }), reason }
    }

    /// Why no further target was tried.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The failures, in the order in which they happened; none if the call was refused before it began.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        &self.trail.failures
    }

    /// The last real response, if any target gave one (`last_answer`).
    #[must_use]
    pub fn last_response(&self) -> Option<&R> {
        self.trail.response.as_ref()
    }
}

impl<R, E: fmt::Display> fmt::Display for Stopped<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures().is_empty() && self.reason == Reason::Deadline {
            return f.write_str("the time of the call was over before it began");
        }
        write!(f, "{}", self.reason)?;
        for (nth, failure) in self.failures().iter().enumerate() {
            write!(f, "{} {failure}", if nth == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl<R, E: fmt::Debug> fmt::Debug for Stopped<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped")
            .field("reason", &self.reason)
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}

impl<R, E: fmt::Debug + fmt::Display> Error for Stopped<R, E> {}

/// Why one attempt was given up, at which target, and when.
pub struct Failure<E> {
    pub(crate) cause: Cause<E>,
    pub(crate) began: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) row: Row,
    pub(crate) target: u8,
    /// The attempt was the failback probe.
    pub(crate) probe: bool,
    /// The attempt waited for less than the policy's time, since its call had no more.
    pub(crate) cut: bool,
    /// The attempt was repeated for free, and so is no try.
    pub(crate) repeated: bool,
}

impl<E> Failure<E> {
    /// The index of the target that failed.
    #[must_use]
    pub fn target(&self) -> usize {
        self.target.into()
    }

    /// What happened.
    #[must_use]
    pub fn cause(&self) -> &Cause<E> {
        &self.cause
    }

    /// The status, if there was an answer: a failover code, or that of an answer which was judged otherwise.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.cause {
            Cause::Status(status) | Cause::Judged(status) => Some(status),
            Cause::Error(..) => None,
        }
    }

    /// Whether there was an answer that a judge gave up.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        matches!(self.cause, Cause::Judged(_))
    }

    /// What the error proves, if there was no answer.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        match self.cause {
            Cause::Status(_) | Cause::Judged(_) => None,
            Cause::Error(evidence, _) => Some(evidence),
        }
    }

    /// The error, if there was no answer.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        match &self.cause {
            Cause::Status(_) | Cause::Judged(_) => None,
            Cause::Error(_, error) => Some(error),
        }
    }

    /// When the attempt began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// When it was given up.
    #[must_use]
    pub fn ended(&self) -> Timestamp {
        self.ended
    }
}

impl<E: fmt::Debug> fmt::Debug for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("target", &self.target)
            .field("cause", &self.cause)
            .field("began", &self.began)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Status(status) => write!(f, "target {} answered {}", self.target, Named(*status)),
            Cause::Judged(status) => {
                write!(f, "target {} answered {}, which was judged a failure", self.target, Named(*status))
            }
            Cause::Error(evidence, error) => write!(f, "target {}: {evidence}: {error}", self.target),
        }
    }
}

/// What happened to an attempt.
///
/// Under the feature `serde` one without an error serializes and deserializes: as its status, as `judged 200`, or as the name of
/// its evidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The target answered with a status that gives it up.
    Status(StatusCode),
    /// The target answered with this status, and a judge gave it up.
    Judged(StatusCode),
    /// There was no answer: what that proves, and the driver's error.
    Error(Evidence, E),
}

/// The failures of a call so far and the last response: all that a call keeps on the heap.
#[derive(Debug)]
pub(crate) struct Trail<R, E> {
    /// In the order in which they happened.
    pub(crate) failures: Vec<Failure<E>>,
    pub(crate) response: Option<R>,
}

impl<R, E> Default for Trail<R, E> {
    fn default() -> Self {
        Self { failures: Vec::new(), response: None }
    }
}

/// A status with its reason phrase, where it has one.
pub(crate) struct Named(pub(crate) StatusCode);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())?;
        self.0.canonical_reason().map_or(Ok(()), |reason| write!(f, " {reason}"))
    }
}

/// How a cause without an error is written.
#[cfg(feature = "serde")]
mod written {
    use alloc::string::String;

    use http::StatusCode;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::evidence::Evidence;
    use crate::outcome::Cause;

    impl Serialize for Cause<()> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Status(status) => serializer.serialize_u16(status.as_u16()),
                Self::Judged(status) => serializer.collect_str(&format_args!("{JUDGED}{}", status.as_u16())),
                Self::Error(evidence, ()) => serializer.serialize_str(evidence.as_str()),
            }
        }
    }

    impl<'de> Deserialize<'de> for Cause<()> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let cause = match Written::deserialize(deserializer)? {
                Written::Status(status) => StatusCode::from_u16(status).ok().map(Self::Status),
                Written::Named(name) => {
                    let status = name.strip_prefix(JUDGED).and_then(|status| status.parse().ok());
                    let evidence = Evidence::ALL.into_iter().find(|evidence| evidence.as_str() == name);
                    let error = evidence.map(|evidence| Self::Error(evidence, ()));
                    status.map(Self::Judged).or(error)
                }
            };
            let expected = "a last failure must be a status, one that was judged, or the name of an evidence";
            cause.ok_or_else(|| D::Error::custom(expected))
        }
    }

    const JUDGED: &str = "judged ";

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Status(u16),
        Named(String),
    }
}

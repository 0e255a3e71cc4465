//! May this request be sent again, and should later requests go elsewhere? One table answers both.

use core::fmt;
use core::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::reason::Reason;
use crate::time::Limit;

/// What is known about whether an attempt that ended in an error was executed.
///
/// An adapter reports the strongest kind that the transport *proves*, and [`MaybeProcessed`] for all else. That a
/// connection was reused proves nothing.
///
/// [`MaybeProcessed`]: Evidence::MaybeProcessed
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Evidence {
    /// Nothing of the request was sent: the name did not resolve, the connection or TLS failed.
    NotSent,
    /// The connection pool returned the request unsent.
    HandedBack,
    /// The target states that it did not process the request: HTTP/2 `REFUSED_STREAM`, or a stream above the last
    /// one of a GOAWAY (RFC 9113, section 8.7); or a limit on this side has no room for it there.
    Refused,
    /// The connection was closed or reset, not timed out, before any byte of an answer, after it had served a request
    /// before: the target may have closed an idle connection just then (RFC 9112, section 9.3.1).
    Stale,
    /// Anything else: a timeout, a reset, garbage. The request may have been executed.
    MaybeProcessed,
    /// The cause is on this side: a request that cannot be built, no file descriptors, a full pool.
    LocalFault,
}

impl Evidence {
    /// The kind's name in logs, metrics and JSON: `not_sent`, `maybe_processed` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::HandedBack => "handed_back",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::MaybeProcessed => "maybe_processed",
            Self::LocalFault => "local_fault",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "not sent",
            Self::HandedBack => "handed back",
            Self::Refused => "refused",
            Self::Stale => "stale connection",
            Self::MaybeProcessed => "maybe processed",
            Self::LocalFault => "local fault",
        })
    }
}

/// When a request that may have been executed may be sent again.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Replay {
    /// With proof that a second execution is harmless: an idempotent method or an `Idempotency-Key`.
    #[default]
    Auto,
    /// Always: the caller vouches for all requests.
    Always,
    /// Never: only what was certainly not executed goes to another target.
    Never,
}

/// What the machine must know about a request.
///
/// # Examples
///
/// ```
/// use failover_core::Facts;
/// use http::{HeaderMap, Method};
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// assert!(!Facts::of(&Method::POST, &headers).is_idempotent());
/// headers.insert("idempotency-key", "8e03978e".parse()?);
/// let facts = Facts::of(&Method::POST, &headers).within(Duration::from_secs(2));
/// assert!(facts.is_idempotent());
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    idempotent: bool,
    body: Body,
    within: Limit,
}

impl Facts {
    /// The facts that method and headers tell, about a request whose body can be sent again.
    ///
    /// GET, HEAD, OPTIONS, TRACE, PUT and DELETE are idempotent (RFC 9110, section 9.2.2), as is any request with an
    /// `Idempotency-Key` that is not empty.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let idempotent = method.is_idempotent()
            || headers.get(&IDEMPOTENCY_KEY).is_some_and(|key| !key.as_bytes().trim_ascii().is_empty());
        Self { idempotent, body: Body::Repeatable, within: Limit::NONE }
    }

    /// The same request with a body that can be sent only once.
    #[must_use]
    pub const fn one_shot(self) -> Self {
        Self { body: Body::OneShot, ..self }
    }

    /// The same request from a caller who waits for an answer only this long, from `begin` on.
    ///
    /// The shorter of this and the policy's deadline holds.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { within: deadline.into(), ..self }
    }

    /// Whether a second execution is known to be harmless.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    pub(crate) const fn deadline(&self) -> Limit {
        self.within
    }

    #[inline]
    pub(crate) fn standing(&self, replay: Replay) -> Standing {
        let proof = match replay {
            Replay::Auto => self.idempotent,
            Replay::Always => true,
            Replay::Never => false,
        };
        Standing { proof, body: self.body }
    }
}

/// What a request brings to the question whether it may be sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) proof: bool,
    pub(crate) body: Body,
}

impl Standing {
    /// Why what a replay `needs` is not there.
    pub(crate) fn lacks(self, needs: Needs) -> Option<Reason> {
        match needs {
            Needs::Nothing => None,
            Needs::Never => Some(Reason::LocalFault),
            Needs::ProofAndBody if !self.proof => Some(Reason::NoProof),
            Needs::Body | Needs::ProofAndBody => match self.body {
                Body::Repeatable => None,
                Body::OneShot => Some(Reason::OneShotBody),
                Body::Gone => Some(Reason::BodyGone),
            },
        }
    }
}

/// Whether the request's body can be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    Repeatable,
    OneShot,
    Gone,
}

/// How an attempt ended that is given up, as far as the table distinguishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Error(Evidence),
    FailoverCode { status: StatusCode, not_processed: bool },
    NotProcessed,
}

impl Ending {
    /// The same ending in a call that has had its free repeat, or has none.
    pub(crate) fn without_free_repeat(self) -> Self {
        match self {
            Self::Error(Evidence::HandedBack) => Self::Error(Evidence::NotSent),
            Self::Error(Evidence::Stale) => Self::Error(Evidence::MaybeProcessed),
            other => other,
        }
    }

    /// The table: what a replay needs, where it goes, and what it says of the target and of the cursor.
    #[rustfmt::skip]
    #[expect(clippy::match_same_arms, reason = "the table has a row for each ending")]
    pub(crate) fn row(self) -> Row {
        let (needs, goes, harm, cursor) = match self {
            Self::Error(Evidence::NotSent)        => (Needs::Nothing,      Goes::Next,      Harm::Connect, Moves::Leaves),
            Self::Error(Evidence::HandedBack)     => (Needs::Nothing,      Goes::SameFree,  Harm::None,    Moves::Stays),
            Self::Error(Evidence::Refused)        => (Needs::Body,         Goes::Next,      Harm::Failure, Moves::Stays),
            Self::Error(Evidence::Stale)          => (Needs::ProofAndBody, Goes::SameFree,  Harm::None,    Moves::Stays),
            Self::Error(Evidence::MaybeProcessed) => (Needs::ProofAndBody, Goes::Next,      Harm::Failure, Moves::Leaves),
            Self::Error(Evidence::LocalFault)     => (Needs::Never,        Goes::Next,      Harm::None,    Moves::Stays),
            Self::NotProcessed                    => (Needs::Body,         Goes::Next,      Harm::Failure, Moves::Stays),
            Self::FailoverCode { status, not_processed: true }
                                                  => (Needs::Body,         Goes::Next,      harm(status),  Moves::Leaves),
            Self::FailoverCode { status, not_processed: false }
                                                  => (Needs::ProofAndBody, Goes::Next,      harm(status),  Moves::Leaves),
        };
        Row { needs, goes, harm, cursor }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) needs: Needs,
    pub(crate) goes: Goes,
    pub(crate) harm: Harm,
    pub(crate) cursor: Moves,
}

impl Row {
    /// Whether the ending says nothing about the target: neither a failure nor an answer of it.
    pub(crate) fn is_neutral(self) -> bool {
        self.harm == Harm::None && self.cursor == Moves::Stays
    }
}

/// What must be there before a request may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Needs {
    Nothing,
    Body,
    ProofAndBody,
    Never,
}

/// Where a replay goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Goes {
    Next,
    /// To the same target, at no cost: neither a pause nor a try.
    SameFree,
}

/// What a failure says about the target's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Harm {
    None,
    Failure,
    Connect,
}

/// What a failure of the sticky target does to the cursor once another target has answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moves {
    Leaves,
    Stays,
}

/// A status of 4xx or 501 speaks about the request, not about the target's health.
fn harm(status: StatusCode) -> Harm {
    if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED { Harm::None } else { Harm::Failure }
}

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

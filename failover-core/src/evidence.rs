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
#[non_exhaustive]
pub enum Evidence {
    /// There is no connection: the name did not resolve, nobody took the connection or TLS failed, at once or in the
    /// time that connecting has.
    NoConnection,
    /// There was a way to the target, and nothing of the request was written to it.
    NotSent,
    /// A limit on this side kept the request from being sent there: file descriptors, a full pool.
    NoRoom,
    /// The connection pool returned the request unsent.
    HandedBack,
    /// The target states that it did not process the request: HTTP/2 `REFUSED_STREAM` (RFC 9113, section 8.7).
    Refused,
    /// The connection was closed or reset, not timed out, before any byte of an answer, after it had served a request
    /// before: the target may have closed an idle connection just then (RFC 9112, section 9.3.1).
    Stale,
    /// Anything else: a timeout, a reset, garbage. The request may have been executed.
    MaybeProcessed,
    /// The cause is on this side and is the request's own: it cannot be built, or its body broke off.
    LocalFault,
}

impl Evidence {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::NoConnection,
        Self::NotSent,
        Self::NoRoom,
        Self::HandedBack,
        Self::Refused,
        Self::Stale,
        Self::MaybeProcessed,
        Self::LocalFault,
    ];

    /// The kind's name in logs, metrics and JSON: `no_connection`, `maybe_processed` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoConnection => "no_connection",
            Self::NotSent => "not_sent",
            Self::NoRoom => "no_room",
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
            Self::NoConnection => "no connection",
            Self::NotSent => "not sent",
            Self::NoRoom => "no room",
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
#[non_exhaustive]
pub enum Replay {
    /// With proof that a second execution is harmless: an idempotent method or an `Idempotency-Key`.
    #[default]
    Auto,
    /// With an idempotent method only, for targets that do not share what they know of keys.
    Methods,
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
    pub(crate) standing: Standing,
    within: Limit,
}

impl Facts {
    /// The facts that method and headers tell, about a request whose body can be sent again.
    ///
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, section 9.2.2) and QUERY are idempotent, as is any request with an
    /// `Idempotency-Key` that is not empty.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let key = headers.get(&IDEMPOTENCY_KEY);
        let standing = Standing {
            idempotent: method.is_idempotent(),
            keyed: key.is_some_and(|key| !key.as_bytes().trim_ascii().is_empty()),
            replay: None,
            body: Body::Repeatable,
            gone: false,
        };
        Self { standing, within: Limit::NONE }
    }

    /// The same request, of which the caller knows whether a second execution is harmless.
    #[must_use]
    pub const fn idempotent(self, idempotent: bool) -> Self {
        Self { standing: Standing { idempotent, keyed: false, ..self.standing }, ..self }
    }

    /// The same request under a rule of its own, in place of the policy's.
    #[must_use]
    pub const fn replay(self, replay: Replay) -> Self {
        Self { standing: Standing { replay: Some(replay), ..self.standing }, ..self }
    }

    /// The same request with a body that can be sent only once.
    #[must_use]
    pub const fn one_shot(self) -> Self {
        Self { standing: Standing { body: Body::OneShot, ..self.standing }, ..self }
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
        self.standing.idempotent || self.standing.keyed
    }

    pub(crate) const fn deadline(&self) -> Limit {
        self.within
    }
}

/// What a request brings to the question whether it may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) idempotent: bool,
    pub(crate) keyed: bool,
    /// In place of the policy's rule.
    pub(crate) replay: Option<Replay>,
    pub(crate) body: Body,
    /// Whether the body is no longer whole.
    pub(crate) gone: bool,
}

impl Standing {
    /// Why what a replay `needs` is not there, under the policy's `rule`.
    pub(crate) fn lacks(self, needs: Needs, rule: Replay) -> Option<Reason> {
        let one_shot = self.body == Body::OneShot;
        match needs {
            Needs::Never => Some(Reason::LocalFault),
            Needs::ProofAndBody if !self.has_proof(rule) => Some(Reason::NoProof),
            Needs::Body | Needs::ProofAndBody if one_shot => Some(Reason::OneShotBody),
            _ if self.gone => Some(if one_shot { Reason::OneShotBody } else { Reason::BodyGone }),
            _ => None,
        }
    }

    fn has_proof(self, rule: Replay) -> bool {
        match self.replay.unwrap_or(rule) {
            Replay::Auto => self.idempotent || self.keyed,
            Replay::Methods => self.idempotent,
            Replay::Always => true,
            Replay::Never => false,
        }
    }
}

/// Whether the request's body can be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    Repeatable,
    OneShot,
}

/// How an attempt ended that is given up, as far as the table distinguishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Error(Evidence),
    FailoverCode {
        status: StatusCode,
        not_processed: bool,
    },
    NotProcessed {
        status: StatusCode,
    },
    /// An answer that somebody judged otherwise than the policy would.
    Judged {
        processed: bool,
        harm: bool,
    },
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
    pub(crate) fn row(self) -> Row {
        let (needs, goes, harm, cursor) = match self {
            Self::Error(Evidence::NoConnection)   => (Needs::BodyNotGone,  Goes::Next,      Harm::Connect, Moves::Leaves),
            Self::Error(Evidence::NotSent)        => (Needs::BodyNotGone,  Goes::Next,      Harm::None,    Moves::Leaves),
            Self::Error(Evidence::NoRoom)         => (Needs::BodyNotGone,  Goes::Next,      Harm::None,    Moves::Stays),
            Self::Error(Evidence::HandedBack)     => (Needs::BodyNotGone,  Goes::SameFree,  Harm::None,    Moves::Stays),
            Self::Error(Evidence::Refused)        => (Needs::Body,         Goes::Next,      Harm::Failure, Moves::Stays),
            Self::Error(Evidence::Stale)          => (Needs::ProofAndBody, Goes::SameFree,  Harm::None,    Moves::Stays),
            Self::Error(Evidence::MaybeProcessed) => (Needs::ProofAndBody, Goes::Next,      Harm::Failure, Moves::Leaves),
            Self::Error(Evidence::LocalFault)     => (Needs::Never,        Goes::Next,      Harm::None,    Moves::Stays),
            Self::NotProcessed { status }         => (Needs::Body,         Goes::Next,      harm(status),  Moves::Stays),
            Self::Judged { processed: true, harm }
                                                  => (Needs::ProofAndBody, Goes::Next,   if_any(harm),  Moves::Leaves),
            Self::Judged { processed: false, harm }
                                                  => (Needs::Body,       Goes::Next,     if_any(harm),  Moves::Leaves),
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

/// What must be there before a request may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Needs {
    /// Nothing but that the request is still whole: a body that was not begun may be one that can be sent once only.
    BodyNotGone,
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
    /// It waited for less than the policy's time, which says something only where answers usually take far less.
    Cut,
    Failure,
    Connect,
}

/// What a failure of the sticky target does to the cursor under `Follow::Answer`, once another target has answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moves {
    Leaves,
    Stays,
}

/// Whether a returned answer shows that its target works: one of 5xx, or 429, is passed on, but is no recovery
/// (`not_well`).
#[inline]
pub(crate) fn is_well(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn if_any(harm: bool) -> Harm {
    if harm { Harm::Failure } else { Harm::None }
}

/// A status of 4xx or 501 speaks about the request, not about the target's health; but for 421, which says that the target is
/// the wrong one, and 429.
fn harm(status: StatusCode) -> Harm {
    match status {
        StatusCode::MISDIRECTED_REQUEST | StatusCode::TOO_MANY_REQUESTS => Harm::Failure,
        StatusCode::NOT_IMPLEMENTED => Harm::None,
        _ if status.is_client_error() => Harm::None,
        _ => Harm::Failure,
    }
}

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

//! May this request be sent again, and should later requests go elsewhere? One table answers both.

use core::fmt;
use core::num::NonZeroU8;
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
    /// The most attempts, in place of the policy's.
    pub(crate) attempts: Option<NonZeroU8>,
}

impl Facts {
    /// The facts that method and headers tell, about a request whose body can be sent again.
    ///
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, section 9.2.2) and QUERY are idempotent, as is any request with an
    /// `Idempotency-Key` that is not empty.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        // Few headers are passed over faster than one is looked up.
        let key = || headers.iter().find(|(name, _)| **name == IDEMPOTENCY_KEY).map(|(_, key)| key);
        let is_keyed = || key().is_some_and(|key| !key.as_bytes().trim_ascii().is_empty());
        let standing = Standing {
            proof: if method.is_idempotent() {
                Proof::Method
            } else if is_keyed() {
                Proof::Key
            } else {
                Proof::None
            },
            replay: None,
            body: Body::Repeatable,
            gone: false,
        };
        Self { standing, within: Limit::NONE, attempts: None }
    }

    /// The same request, of which the caller knows whether a second execution is harmless.
    #[must_use]
    pub const fn idempotent(self, idempotent: bool) -> Self {
        let proof = if idempotent { Proof::Method } else { Proof::None };
        Self { standing: Standing { proof, ..self.standing }, ..self }
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

    /// The same request with at most so many attempts, at least one, in place of the policy's `max_attempts`.
    #[must_use]
    pub fn attempts(self, attempts: u8) -> Self {
        Self { attempts: NonZeroU8::new(attempts.max(1)), ..self }
    }

    /// Whether a second execution is known to be harmless.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        !matches!(self.standing.proof, Proof::None)
    }

    pub(crate) const fn deadline(&self) -> Limit {
        self.within
    }
}

/// What a request brings to the question whether it may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) proof: Proof,
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
            Replay::Auto => self.proof != Proof::None,
            Replay::Methods => self.proof == Proof::Method,
            Replay::Always => true,
            Replay::Never => false,
        }
    }
}

/// What shows that a second execution is harmless.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    None,
    /// An `Idempotency-Key`.
    Key,
    /// An idempotent method, or the caller's word.
    Method,
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// The failure table as the design has it: what happened, what a replay needs, where it goes, its strikes, and whether
    /// the cursor follows an answer.
    const TABLE: [(&str, &str, &str, &str, bool); 13] = [
        ("no connection", "a body that is not gone", "next", "all that are needed", true),
        ("not sent", "a body that is not gone", "next", "none", true),
        ("no room", "a body that is not gone", "next", "none", false),
        ("handed back", "a body that is not gone", "same, free", "none", false),
        ("refused", "the body", "next", "one", false),
        ("stale connection", "proof and the body", "same, free", "none", false),
        ("maybe processed", "proof and the body", "next", "one", true),
        ("local fault", "never", "-", "none", false),
        ("not processed, no failover code", "the body", "next", "by its status", false),
        ("not processed, a failover code", "the body", "next", "by its status", true),
        ("another failover code", "proof and the body", "next", "by its status", true),
        ("judged, processed", "proof and the body", "next", "by the judgement", true),
        ("judged, not processed", "the body", "next", "by the judgement", true),
    ];

    /// Guards: `Ending::row` that needs no proof after `MaybeProcessed`.
    #[test]
    fn never_twice_each_ending_of_each_request_is_sent_again_where_the_table_allows_it() {
        for (ending, happened, _) in endings() {
            let (_, needs, goes, ..) = row_of(happened);
            let row = ending.row();
            if goes != "-" {
                assert_eq!(row.goes == Goes::SameFree, goes == "same, free", "{ending:?}");
            }
            for standing in standings() {
                let (Standing { proof, body, gone, .. }, may) = (standing, may(needs, standing));
                let lacks = standing.lacks(row.needs, Replay::Auto);
                assert_eq!(lacks.is_none(), may, "{ending:?} of {standing:?}");
                let is_true = match lacks {
                    None => may,
                    Some(Reason::LocalFault) => needs == "never",
                    Some(Reason::NoProof) => needs == "proof and the body" && proof == Proof::None,
                    Some(Reason::OneShotBody) => body == Body::OneShot,
                    Some(Reason::BodyGone) => gone && body == Body::Repeatable,
                    Some(_) => false,
                };
                assert!(is_true, "{ending:?} of {standing:?} stops by {lacks:?}");
            }
        }
    }

    /// Guards: `Standing::lacks` that does not miss a body where nothing was sent.
    #[test]
    fn body_gone_nothing_is_sent_again_without_its_body_whatever_happened() {
        for (ending, ..) in endings() {
            for standing in standings().filter(|standing| standing.gone) {
                assert!(
                    standing.lacks(ending.row().needs, Replay::Auto).is_some(),
                    "{ending:?} of {standing:?}"
                );
            }
        }
    }

    /// Guards: `Ending::row` by which a refused stream is no strike; `harm` that forgives a 421.
    #[test]
    fn per_attempt_each_ending_of_any_status_says_of_its_target_what_the_table_has() {
        for (ending, happened, strikes) in endings() {
            let (.., in_table, follows) = row_of(happened);
            let row = ending.row();
            assert_eq!(row.harm, harm_of(strikes.unwrap_or(in_table)), "{ending:?}");
            assert_eq!(row.cursor == Moves::Leaves, follows, "{ending:?}");
        }
    }

    /// Guards: `Ending::without_free_repeat` that takes what was handed back twice for maybe processed.
    #[test]
    fn stale_connection_a_second_free_repeat_is_as_the_ending_that_it_then_is() {
        for (ending, happened, strikes) in endings() {
            let then = match happened {
                "handed back" => "not sent",
                "stale connection" => "maybe processed",
                other => other,
            };
            let (_, needs, _, in_table, follows) = row_of(then);
            let row = ending.without_free_repeat().row();
            assert_eq!(row.goes, Goes::Next, "{ending:?}");
            assert_eq!(
                (row.harm, row.cursor == Moves::Leaves),
                (harm_of(strikes.unwrap_or(in_table)), follows)
            );
            for standing in standings() {
                let is_allowed = standing.lacks(row.needs, Replay::Auto).is_none();
                assert_eq!(is_allowed, may(needs, standing), "{ending:?} of {standing:?}");
            }
        }
    }

    /// Guards: `Standing::has_proof` that takes a key for proof under `Methods`.
    #[test]
    fn never_twice_proof_is_what_the_rule_takes_for_it() {
        for method in
            ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY", "POST", "PATCH", "CONNECT", "get"]
        {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let harmless =
                ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"].contains(&method.as_str());
            for key in [None, Some(""), Some(" \t"), Some("8e03978e")] {
                let mut headers = HeaderMap::new();
                if let Some(key) = key {
                    headers.insert("idempotency-key", key.parse().expect("a value"));
                }
                let keyed = key == Some("8e03978e");
                let facts = Facts::of(&method, &headers);
                for rule in [Replay::Auto, Replay::Methods, Replay::Always, Replay::Never] {
                    let proof = match rule {
                        Replay::Auto => harmless || keyed,
                        Replay::Methods => harmless,
                        Replay::Always => true,
                        Replay::Never => false,
                    };
                    assert_eq!(facts.standing.has_proof(rule), proof, "{method} {key:?} {rule:?}");
                    let own = facts.replay(rule).standing;
                    assert_eq!(own.has_proof(Replay::Never), proof, "its own rule holds");
                    for known in [false, true] {
                        let own = match rule {
                            Replay::Auto | Replay::Methods => known,
                            Replay::Always => true,
                            Replay::Never => false,
                        };
                        assert_eq!(facts.idempotent(known).standing.has_proof(rule), own, "the caller knows");
                    }
                }
            }
        }
    }

    #[test]
    fn never_twice_of_two_keys_the_first_one_is_what_a_target_reads() {
        for (keys, is_proof) in [(["", "8e03978e"], false), (["8e03978e", ""], true)] {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append("idempotency-key", key.parse().expect("a value"));
            }
            assert_eq!(Facts::of(&Method::POST, &headers).is_idempotent(), is_proof, "{keys:?}");
        }
    }

    /// Each ending, what happened in the words of the table, and its strikes where the table has them by something else.
    fn endings() -> Vec<(Ending, &'static str, Option<&'static str>)> {
        let mut endings = Vec::new();
        for evidence in Evidence::ALL {
            let happened = match evidence {
                Evidence::NoConnection => "no connection",
                Evidence::NotSent => "not sent",
                Evidence::NoRoom => "no room",
                Evidence::HandedBack => "handed back",
                Evidence::Refused => "refused",
                Evidence::Stale => "stale connection",
                Evidence::MaybeProcessed => "maybe processed",
                Evidence::LocalFault => "local fault",
            };
            endings.push((Ending::Error(evidence), happened, None));
        }
        for status in (100..=999).map(|code| StatusCode::from_u16(code).expect("a status")) {
            let strikes = match status.as_u16() {
                421 | 429 => "one",
                501 | 400..=499 => "none",
                _ => "one",
            };
            for (ending, happened) in [
                (Ending::NotProcessed { status }, "not processed, no failover code"),
                (Ending::FailoverCode { status, not_processed: true }, "not processed, a failover code"),
                (Ending::FailoverCode { status, not_processed: false }, "another failover code"),
            ] {
                endings.push((ending, happened, Some(strikes)));
            }
        }
        for (processed, happened) in [(true, "judged, processed"), (false, "judged, not processed")] {
            for (harm, strikes) in [(true, "one"), (false, "none")] {
                endings.push((Ending::Judged { processed, harm }, happened, Some(strikes)));
            }
        }
        endings
    }

    /// Whether there is what a replay needs, in the words of the table.
    fn may(needs: &str, Standing { proof, body, gone, .. }: Standing) -> bool {
        let has_body = body == Body::Repeatable && !gone;
        match needs {
            "never" => false,
            "a body that is not gone" => !gone,
            "the body" => has_body,
            "proof and the body" => proof != Proof::None && has_body,
            _ => unreachable!(),
        }
    }

    fn harm_of(strikes: &str) -> Harm {
        match strikes {
            "none" => Harm::None,
            "one" => Harm::Failure,
            "all that are needed" => Harm::Connect,
            _ => unreachable!(),
        }
    }

    fn row_of(happened: &str) -> (&'static str, &'static str, &'static str, &'static str, bool) {
        TABLE.into_iter().find(|row| row.0 == happened).expect("a row")
    }

    fn standings() -> impl Iterator<Item = Standing> {
        (0..8).map(|bits| {
            let body = if bits & 2 == 0 { Body::Repeatable } else { Body::OneShot };
            let proof = if bits & 1 == 1 { Proof::Method } else { Proof::None };
            Standing { proof, replay: None, body, gone: bits & 4 == 4 }
        })
    }
}

//! What the fuzzer's bytes mean: a policy, built knob by knob, and a sequence of events.

use std::time::Duration;

use arbitrary::Arbitrary;
use failover_core::{
    Backoff, Budget, CoolDown, Evidence, Facts, Failback, Follow, Late, Policy, Replay, StatusCodes,
};
use http::{HeaderMap, Method, StatusCode};

#[derive(Arbitrary, Debug)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<u8>,
    pub(crate) knobs: Knobs,
    pub(crate) events: Vec<Event>,
}

/// An event; a call is named by its place among those that are open, modulo their number.
#[derive(Arbitrary, Debug)]
pub(crate) enum Event {
    Begin(Request, Moment),
    /// What became of an attempt; a pause is only over, whatever the outcome.
    Report(u8, Outcome, Moment),
    /// The driver waited for nothing; a pause is only over.
    Expire(u8, Kind, Moment),
    Progress(u8, Moment),
    BodyGone(u8),
    /// The call is dropped.
    Drop(u8),
    /// The caller leaves.
    Abandon(u8, Moment),
    /// The body of an answer ended, whole or not.
    Body(u8, bool, Moment),
    Prefer(u8, Moment),
    Replace(Vec<u8>, Box<Knobs>),
    Look(Moment),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) idempotent: bool,
    pub(crate) one_shot: bool,
    pub(crate) within: Option<Span>,
}

impl Request {
    pub(crate) fn facts(self) -> Facts {
        let method = if self.idempotent { Method::GET } else { Method::POST };
        let mut facts = Facts::of(&method, &HeaderMap::new());
        if self.one_shot {
            facts = facts.one_shot();
        }
        self.within.map_or(facts, |span| facts.within(span.duration()))
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Answer(Status, Option<Span>),
    Error(Kind),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Kind {
    NoConnection,
    NotSent,
    NoRoom,
    HandedBack,
    Refused,
    Stale,
    MaybeProcessed,
    LocalFault,
}

impl Kind {
    pub(crate) fn evidence(self) -> Evidence {
        match self {
            Self::NoConnection => Evidence::NoConnection,
            Self::NotSent => Evidence::NotSent,
            Self::NoRoom => Evidence::NoRoom,
            Self::HandedBack => Evidence::HandedBack,
            Self::Refused => Evidence::Refused,
            Self::Stale => Evidence::Stale,
            Self::MaybeProcessed => Evidence::MaybeProcessed,
            Self::LocalFault => Evidence::LocalFault,
        }
    }
}

/// A status: one of those on which the default policy turns, or any.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Status {
    Accepted,
    Misdirected,
    NotImplemented,
    Unavailable,
    Any(u16),
}

impl Status {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Accepted => StatusCode::OK,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Any(number) => StatusCode::from_u16(100 + number % 900).unwrap_or_default(),
        }
    }
}

/// A moment: some time after the latest, or anywhere, so that time can go backwards and to its end.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Moment {
    Later(Span),
    At(u64),
}

/// A length of time: zero, as short as the machine can tell, ordinary, or any.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Span {
    Zero,
    Nanos(u8),
    Millis(u16),
    Seconds(u64),
}

impl Span {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Zero => Duration::ZERO,
            Self::Nanos(nanos) => Duration::from_nanos(nanos.into()),
            Self::Millis(millis) => Duration::from_millis(millis.into()),
            Self::Seconds(seconds) => Duration::from_secs(seconds),
        }
    }
}

/// A policy; what is `None` is as in the preset.
#[derive(Arbitrary, Debug)]
#[expect(clippy::option_option, reason = "the inner option is the knob's own")]
pub(crate) struct Knobs {
    ballerina: bool,
    failover_codes: Option<Vec<Status>>,
    not_processed: Option<Option<Vec<Status>>>,
    replay: Option<bool>,
    attempt_timeout: Option<Span>,
    deadline: Option<Option<Span>>,
    interval: Option<Span>,
    rounds: u8,
    backoff: Option<(Span, Span)>,
    max_attempts: Option<u16>,
    free_repeat: Option<bool>,
    follow: Option<bool>,
    leave_after: Option<u8>,
    late: Option<Option<(u32, Span)>>,
    failback: Option<Option<(Span, Span)>>,
    cool_down: Option<Option<(Span, Span)>>,
    retry_after: Option<Option<Span>>,
    budget: Option<(u32, u32)>,
    seed: u64,
}

impl Knobs {
    pub(crate) fn policy(&self) -> Policy {
        let preset = if self.ballerina { Policy::ballerina() } else { Policy::default() };
        let codes = |list: &Vec<Status>| list.iter().map(|status| status.code()).collect::<StatusCodes>();
        let span = |span: Option<Span>, preset: Duration| span.map_or(preset, Span::duration);
        let time = |span: Option<Span>| span.map(Span::duration);
        preset
            .clone()
            .failover_codes(self.failover_codes.as_ref().map_or(preset.failover_codes, codes))
            .not_processed(
                self.not_processed.as_ref().map_or(preset.not_processed, |list| list.as_ref().map(codes)),
            )
            .replay(match self.replay {
                None => preset.replay,
                Some(true) => Replay::Always,
                Some(false) => Replay::Never,
            })
            .attempt_timeout(span(self.attempt_timeout, preset.attempt_timeout))
            .deadline(self.deadline.map_or(preset.deadline, time))
            .interval(span(self.interval, preset.interval))
            .rounds(self.rounds % 5)
            .backoff(
                self.backoff.map_or(preset.backoff, |(base, max)| Backoff {
                    base: base.duration(),
                    max: max.duration(),
                }),
            )
            .max_attempts(self.max_attempts)
            .free_repeat(self.free_repeat.unwrap_or(preset.free_repeat))
            .follow(match self.follow {
                None => preset.follow,
                Some(true) => Follow::Strikes,
                Some(false) => Follow::Answer,
            })
            .leave_after(self.leave_after.unwrap_or(preset.leave_after))
            .late(self.late.map_or(preset.late, |rule| {
                rule.map(|(factor, floor)| Late { factor, floor: floor.duration() })
            }))
            .failback(self.failback.map_or(preset.failback, |rule| {
                rule.map(|(after, max)| Failback { after: after.duration(), max: max.duration() })
            }))
            .cool_down(self.cool_down.map_or(preset.cool_down, |rule| {
                rule.map(|(base, max)| CoolDown { base: base.duration(), max: max.duration() })
            }))
            .retry_after(self.retry_after.map_or(preset.retry_after, time))
            .budget(self.budget.map(|(percent, reserve)| Budget { percent, reserve }))
            .seed(self.seed)
    }
}

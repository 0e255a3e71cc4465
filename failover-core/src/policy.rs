//! The policy: every knob of a group with its default, and what is refused.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::budget::Budget;
use crate::checks::Checks;
use crate::codes::StatusCodes;
use crate::error::{BuildError, at_least_one, at_most, positive};
use crate::evidence::Replay;
use crate::failback::Failback;
use crate::health::CoolDown;
use crate::judge::{Judge, Judges};
use crate::late::Late;
use crate::pause::Backoff;

/// How a group fails over.
///
/// A knob's name is also its key in a configuration, and its setter. A policy is written as what differs from a preset:
///
/// ```
/// use failover_core::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::default()
///     .failover_codes("5xx, 429, !501".parse()?)
///     .attempt_timeout(Duration::from_secs(2))
///     .failback(None);
/// # Ok::<(), failover_core::InvalidCodes>(())
/// ```
///
/// # Jitter
///
/// | wait | how it is spread | without `jitter` |
/// | --- | --- | --- |
/// | [`interval`](field@Self::interval) | not at all | the same |
/// | [`backoff`](field@Self::backoff) | anew each time, from zero to its upper end | its upper end |
/// | [`cool_down`](field@Self::cool_down) | by up to a fifth longer, all of a group by the same part | as it is |
/// | clock of [`failback`](field@Self::failback) | by up to a fifth longer, anew each time | as it is |
/// | round of [`checks`](field@Self::checks) | each target up to a tenth of `every` later, anew each time | all at once |
/// | what a target asks for by `Retry-After` | not at all | the same |
///
/// Bounds of time, such as `attempt_timeout` and the floor of `late`, are never spread. The core has no randomness of its own: all
/// of it comes from [`seed`](field@Self::seed), which the adapters draw for each client where it is 0. Without jitter, clients that
/// met the same outage come back to its target at the same moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The statuses that give a target up. By default 501 to 504; empty is legal.
    pub failover_codes: StatusCodes,
    /// The statuses that state "not executed", so that a replay needs no proof. By default 421, 425 and 501; `None`:
    /// all failover codes.
    pub not_processed: Option<StatusCodes>,
    /// When a request that may have been executed is sent again. By default with proof.
    pub replay: Replay,
    /// The bound of resolve, connect and TLS together, at most that of the attempt. By default 3 s.
    pub connect_timeout: Duration,
    /// The bound of one attempt: resolve, connect, TLS and the wait for the head of the answer. By default 10 s. Where
    /// the deadline is shorter, that holds.
    pub attempt_timeout: Duration,
    /// The bound of a call: no attempt starts and no pause ends after it. By default 30 s.
    pub deadline: Option<Duration>,
    /// By how much an attempt whose request's body makes progress may outlast the deadline. By default without a bound.
    pub upload_deadline: Option<Duration>,
    /// For how long an adapter lets a reader of an answer's body wait for the next piece: one that stands still longer broke
    /// off. By default without a bound.
    pub body_idle: Option<Duration>,
    /// The protocols that an adapter which forwards requests takes up where a client offers them by `Upgrade`. By default
    /// `websocket`.
    pub upgrades: Vec<String>,
    /// The pause between attempts on different targets, but at most half of the time that is left. By default none.
    pub interval: Duration,
    /// How often each target is tried, at most. By default once.
    pub rounds: u8,
    /// The pause between rounds. By default up to 25 ms x 2^round, at most 250 ms.
    pub backoff: Backoff,
    /// The attempts of a call, without the free repeat and the failback probe. By default targets x rounds.
    pub max_attempts: Option<u16>,
    /// Whether an attempt that was handed back or met a stale connection is repeated at once at the same target, once
    /// in a call. By default it is.
    pub free_repeat: bool,
    /// How many bytes of a streamed body an adapter keeps so that it can send them again. By default 64 KiB.
    pub replay_buffer: usize,
    /// What makes calls begin at another target. By default strikes.
    pub follow: Follow,
    /// The strikes in a row with which a target is left and cools. By default 3.
    pub leave_after: u8,
    /// When an attempt is late; `None`: never. By default after 3 times what is usual, at least 1 s.
    pub late: Option<Late>,
    /// When a preferred target is tried again after calls left it. By default after 30 s.
    pub failback: Option<Failback>,
    /// How long a target that was left is tried last. By default for 5 s and longer.
    pub cool_down: Option<CoolDown>,
    /// How the group asks its targets by itself how they are. By default not at all.
    pub checks: Option<Checks>,
    /// The longest cool-down that a target may ask for by Retry-After; `None` ignores the header. By default 5 min. It
    /// lengthens the cool-down of a target that has `leave_after` strikes, and causes none.
    pub retry_after: Option<Duration>,
    /// The bound on replays. By default none.
    pub budget: Option<Budget>,
    /// What judges answers by more than their status, for adapters that can hold them back. By default nothing.
    pub judge: Judges,
    /// Whether waits are spread, so that what began together does not go on together (see [*Jitter*](Self#jitter)). By default
    /// they are.
    pub jitter: bool,
    /// The seed of all jitter: same seed, same trace. Where it is 0, as by default, an adapter draws one.
    pub seed: u64,
}

impl Default for Policy {
    /// What a careful operator would choose.
    fn default() -> Self {
        Self {
            failover_codes: codes(501, 504),
            not_processed: Some(codes(421, 421).union(codes(425, 425)).union(codes(501, 501))),
            replay: Replay::Auto,
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(10),
            deadline: Some(Duration::from_secs(30)),
            upload_deadline: None,
            body_idle: None,
            upgrades: alloc::vec!["websocket".to_owned()],
            interval: Duration::ZERO,
            rounds: 1,
            backoff: Backoff::default(),
            max_attempts: None,
            free_repeat: true,
            replay_buffer: 64 << 10,
            follow: Follow::default(),
            leave_after: 3,
            late: Some(Late::default()),
            failback: Some(Failback::default()),
            cool_down: Some(CoolDown::default()),
            checks: None,
            retry_after: Some(Duration::from_secs(300)),
            budget: None,
            judge: Judges::default(),
            jitter: true,
            seed: 0,
        }
    }
}

impl Policy {
    /// The same policy, with a seed that is drawn if it has none.
    #[must_use]
    pub fn seeded(self, draw: impl FnOnce() -> u64) -> Self {
        let seed = if self.seed == 0 { draw() } else { self.seed };
        Self { seed, ..self }
    }

    /// The same policy with these bounds, where its own values are defaults: a default gives way to a bound that was
    /// chosen.
    ///
    /// Two that were chosen stay as they are, and the shorter one holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::Policy;
    /// use std::time::Duration;
    ///
    /// let (short, long) = (Duration::from_secs(5), Duration::from_secs(60));
    /// let hasty = Policy::default().with_bounds(None, Some(short));
    /// assert_eq!((hasty.attempt_timeout, hasty.deadline), (short, Some(short)));
    /// let patient = Policy::default().with_bounds(Some(long), None);
    /// assert_eq!((patient.attempt_timeout, patient.deadline), (long, Some(long)));
    /// ```
    #[must_use]
    pub fn with_bounds(self, attempt_timeout: Option<Duration>, deadline: Option<Duration>) -> Self {
        let (attempt_timeout, deadline) = match (attempt_timeout, deadline) {
            (None, None) => (self.attempt_timeout, self.deadline),
            (Some(chosen), None) => (chosen, self.deadline.map(|default| default.max(chosen))),
            (None, Some(chosen)) => (self.attempt_timeout.min(chosen), Some(chosen)),
            (Some(attempt_timeout), Some(deadline)) => (attempt_timeout, Some(deadline)),
        };
        Self { attempt_timeout, deadline, ..self }
    }

    /// The same policy with these [`upgrades`](field@Self::upgrades), named as in `Upgrade`; none takes up nothing.
    #[must_use]
    pub fn upgrades<U: Into<String>>(self, upgrades: impl IntoIterator<Item = U>) -> Self {
        Self { upgrades: upgrades.into_iter().map(Into::into).collect(), ..self }
    }

    /// The same policy with one more [`judge`](field@Self::judge), which is asked after those that it has.
    #[must_use]
    pub fn judge(mut self, judge: impl Judge + 'static) -> Self {
        self.judge.push(judge);
        self
    }

    /// Refuses knobs that make no sense, the first one found.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        // A deadline of zero makes the attempt timeout zero that gives way to it.
        self.deadline.map_or(Ok(()), |deadline| positive("deadline", deadline))?;
        self.body_idle.map_or(Ok(()), |idle| positive("body_idle", idle))?;
        self.upgrades.iter().enumerate().try_for_each(|(place, name)| upgrade(place, name))?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("attempt_timeout", self.attempt_timeout)?;
        at_least_one("rounds", self.rounds == 0)?;
        at_least_one("max_attempts", self.max_attempts == Some(0))?;
        at_most("backoff.base", self.backoff.base, "backoff.max", self.backoff.max)?;
        at_least_one("leave_after", self.leave_after == 0)?;
        if let Some(late) = self.late {
            at_least_one("late.factor", late.factor == 0)?;
            positive("late.floor", late.floor)?;
        }
        if let Some(failback) = self.failback {
            positive("failback.after", failback.after)?;
            at_most("failback.after", failback.after, "failback.max", failback.max)?;
        }
        if let Some(cool_down) = self.cool_down {
            positive("cool_down.base", cool_down.base)?;
            at_most("cool_down.base", cool_down.base, "cool_down.max", cool_down.max)?;
        }
        self.checks.as_ref().map_or(Ok(()), Checks::refuse)?;
        self.retry_after.map_or(Ok(()), |most| positive("retry_after", most))
    }

    /// All statuses that give an attempt up.
    pub(crate) fn gives_up(&self) -> StatusCodes {
        self.failover_codes.union(self.not_processed.unwrap_or_default())
    }
}

/// A setter for each knob.
macro_rules! setters {
    ({ $($knob:ident: $type:ty,)* } or none { $($optional:ident: $inner:ty,)* }) => {
        impl Policy {
            $(
                #[doc = concat!("The same policy with this [`", stringify!($knob), "`](field@Self::", stringify!($knob), ").")]
                #[must_use]
                pub fn $knob(self, $knob: $type) -> Self {
                    Self { $knob, ..self }
                }
            )*
            $(
                #[doc = concat!("The same policy with this [`", stringify!($optional), "`](field@Self::", stringify!($optional), "), or none.")]
                #[must_use]
                pub fn $optional(self, $optional: impl Into<Option<$inner>>) -> Self {
                    Self { $optional: $optional.into(), ..self }
                }
            )*
        }
    };
}

setters!({
    failover_codes: StatusCodes,
    replay: Replay,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    interval: Duration,
    rounds: u8,
    backoff: Backoff,
    free_repeat: bool,
    replay_buffer: usize,
    follow: Follow,
    leave_after: u8,
    jitter: bool,
    seed: u64,
} or none {
    not_processed: StatusCodes,
    deadline: Duration,
    upload_deadline: Duration,
    body_idle: Duration,
    max_attempts: u16,
    late: Late,
    failback: Failback,
    cool_down: CoolDown,
    checks: Checks,
    retry_after: Duration,
    budget: Budget,
});

/// What makes another target the sticky one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Follow {
    /// Strikes: a target that has `leave_after` of them is left, once another one gave a call an answer by which that is
    /// well. So one failure in a thousand moves nobody (`blip`).
    #[default]
    Strikes,
    /// Each answer: the target that answered is the sticky one, if the one before was given up in that call.
    Answer,
}

/// Refuses what is no protocol's name (RFC 9110, section 7.8), and the protocols in which further requests could come, which
/// nobody would look at.
fn upgrade(place: usize, name: &str) -> Result<(), BuildError> {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !DELIMITERS.contains(&byte))
    };
    let (protocol, version) = name.split_once('/').unwrap_or((name, "1"));
    let is_unseen = UNSEEN.iter().any(|unseen| protocol.eq_ignore_ascii_case(unseen));
    if is_token(protocol) && is_token(version) && !is_unseen {
        return Ok(());
    }
    let expected = "the name of a protocol such as websocket, and none of h2c, HTTP and TLS";
    Err(BuildError::new(format!("upgrades[{place}]"), name, expected))
}

const UNSEEN: [&str; 4] = ["h2", "h2c", "http", "tls"];

/// What is no part of a token (RFC 9110, section 5.6.2).
const DELIMITERS: &[u8] = b"\"(),/:;<=>?@[\\]{}";

fn codes(first: u16, last: u16) -> StatusCodes {
    StatusCodes::range(first, last).unwrap_or_default()
}

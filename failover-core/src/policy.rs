//! The policy: every knob of a group with its default, and what is refused.

use core::fmt;
use core::time::Duration;

use crate::budget::Budget;
use crate::codes::StatusCodes;
use crate::error::BuildError;
use crate::evidence::Replay;
use crate::failback::Failback;
use crate::health::CoolDown;
use crate::pause::Backoff;

/// How a group fails over.
///
/// A knob's name is also its key in a configuration. Write a policy as what differs from a preset, which stays right
/// when knobs are added:
///
/// ```
/// use failover_core::Policy;
/// use std::time::Duration;
///
/// let policy = Policy {
///     failover_codes: "5xx, 429, !501".parse()?,
///     attempt_timeout: Duration::from_secs(2),
///     ..Policy::default()
/// };
/// # Ok::<(), failover_core::InvalidCodes>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
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
    /// When target 0 is tried again after the cursor left it. By default after 30 s.
    pub failback: Option<Failback>,
    /// How long a target that failed is tried last. By default after 3 strikes, for 5 s and longer.
    pub cool_down: Option<CoolDown>,
    /// The longest cool-down that a target may ask for by Retry-After; `None` ignores the header. By default 5 min.
    pub retry_after: Option<Duration>,
    /// The bound on replays. By default none.
    pub budget: Option<Budget>,
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
            interval: Duration::ZERO,
            rounds: 1,
            backoff: Backoff::default(),
            max_attempts: None,
            free_repeat: true,
            replay_buffer: 64 << 10,
            failback: Some(Failback::default()),
            cool_down: Some(CoolDown::default()),
            retry_after: Some(Duration::from_secs(300)),
            budget: None,
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

    /// Refuses knobs that make no sense, the first one found.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        // A deadline of zero makes the attempt timeout zero that gives way to it.
        self.deadline.map_or(Ok(()), |deadline| positive("deadline", deadline))?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("attempt_timeout", self.attempt_timeout)?;
        at_least_one("rounds", self.rounds == 0)?;
        at_least_one("max_attempts", self.max_attempts == Some(0))?;
        at_most("backoff.base", self.backoff.base, "backoff.max", self.backoff.max)?;
        if let Some(failback) = self.failback {
            positive("failback.after", failback.after)?;
            at_most("failback.after", failback.after, "failback.max", failback.max)?;
        }
        if let Some(cool_down) = self.cool_down {
            at_least_one("cool_down.strikes", cool_down.strikes == 0)?;
            positive("cool_down.base", cool_down.base)?;
            at_most("cool_down.base", cool_down.base, "cool_down.max", cool_down.max)?;
        }
        self.retry_after.map_or(Ok(()), |most| positive("retry_after", most))
    }

    /// The longest time that an attempt can have.
    pub(crate) fn attempt_bound(&self) -> Duration {
        self.deadline.map_or(self.attempt_timeout, |deadline| deadline.min(self.attempt_timeout))
    }

    /// All statuses that give an attempt up.
    pub(crate) fn gives_up(&self) -> StatusCodes {
        self.failover_codes.union(self.not_processed.unwrap_or_default())
    }
}

fn codes(first: u16, last: u16) -> StatusCodes {
    StatusCodes::range(first, last).unwrap_or_default()
}

fn positive(key: &str, value: Duration) -> Result<(), BuildError> {
    refuse(value.is_zero(), key, Seconds(value), "a time above zero")
}

/// Refuses a time that is longer than the one of another key.
pub(crate) fn at_most(key: &str, value: Duration, bound: &str, most: Duration) -> Result<(), BuildError> {
    refuse(value > most, key, Seconds(value), format_args!("at most {bound} = {}", Seconds(most)))
}

fn at_least_one(key: &str, is_zero: bool) -> Result<(), BuildError> {
    refuse(is_zero, key, 0, "at least 1")
}

fn refuse(
    refused: bool,
    key: &str,
    value: impl fmt::Display,
    expected: impl fmt::Display,
) -> Result<(), BuildError> {
    if refused { Err(BuildError::new(key, value, alloc::format!("{expected}"))) } else { Ok(()) }
}

/// A duration as a configuration writes it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

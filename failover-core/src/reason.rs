//! Why a call stops without an acceptable answer, and why a target was passed over.

use core::fmt;

/// Why a call stopped. Judged in the order replay, targets, attempts, time, budget.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Every target was tried, in every round.
    TargetsTried,
    /// The attempts that the policy allows are used up.
    MaxAttempts,
    /// The deadline leaves no time for another attempt.
    Deadline,
    /// The budget for replays is spent.
    Budget,
    /// The request may have been executed, and nothing proves that a second execution is harmless.
    NoProof,
    /// The body could be sent only once, and was.
    OneShotBody,
    /// The body outgrew the replay buffer.
    BodyGone,
    /// The cause is on this side, so that no target could do better.
    LocalFault,
    /// Every target is in maintenance, from the call's beginning or since then.
    Maintenance,
}

impl Reason {
    /// The reason's name in logs, metrics and JSON: `targets_tried`, `no_proof` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TargetsTried => "targets_tried",
            Self::MaxAttempts => "max_attempts",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::NoProof => "no_proof",
            Self::OneShotBody => "one_shot_body",
            Self::BodyGone => "body_gone",
            Self::LocalFault => "local_fault",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TargetsTried => "all targets were tried",
            Self::MaxAttempts => "no attempts are left",
            Self::Deadline => "no time is left",
            Self::Budget => "the replay budget is spent",
            Self::NoProof => "the request may have been executed and must not be sent again",
            Self::OneShotBody => "the request's body can be sent only once",
            Self::BodyGone => "the request's body outgrew the replay buffer",
            Self::LocalFault => "the fault is on this side",
            Self::Maintenance => "every target is in maintenance",
        })
    }
}

/// Why a target was passed over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PassedOver {
    /// It cools down.
    Cooling,
    /// Its checks say that it is down.
    Down,
    /// An administrator drains it.
    Drain,
    /// It is in maintenance.
    Maintenance,
}

impl PassedOver {
    /// Its name in logs and JSON: `cooling`, `down`, `drain` or `maintenance`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooling => "cooling",
            Self::Down => "down",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        }
    }
}

//! How the gateway stands: whether calls are answered, and whether they begin where they should.

use failover_tokio::AdminState;
use serde::Serialize;

/// How the gateway stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Calls are answered, and begin at the best placed target.
    Ok,
    /// Calls are answered, and begin at another one.
    FailedOver,
    /// Calls are not answered.
    Down,
}

/// How calls ended in the last ten seconds. Those whose end was their client's own fault are none of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent {
    pub(crate) answered: u32,
    pub(crate) stopped: u32,
    /// The last call stopped, however long ago.
    pub(crate) last_stopped: bool,
}

impl State {
    /// Down if at least as many calls stopped as were answered, if none ended since one stopped, or if every target is in
    /// maintenance; failed over if calls begin behind the best placed target.
    pub(crate) fn of(recent: Recent, sticky: usize, targets: &[AdminState]) -> Self {
        let is_down = match (recent.answered, recent.stopped) {
            (0, 0) => recent.last_stopped,
            (answered, stopped) => stopped >= answered,
        };
        match best(targets) {
            Some(_) if is_down => Self::Down,
            Some(best) if sticky > best => Self::FailedOver,
            Some(_) => Self::Ok,
            None => Self::Down,
        }
    }
}

/// The first target that is ready, or else that is drained; none if all are in maintenance.
pub(crate) fn best(targets: &[AdminState]) -> Option<usize> {
    let first = |state| targets.iter().position(|&target| target == state);
    first(AdminState::Ready).or_else(|| first(AdminState::Drain))
}

#[cfg(test)]
mod tests {
    use failover_tokio::AdminState::{Drain, Maintenance, Ready};

    use super::*;

    /// Guards: `State::of` that is down only if more stopped than were answered, or if any stopped.
    #[test]
    fn down_is_when_at_least_as_many_calls_stop_as_are_answered() {
        for (answered, stopped, expected) in [
            (0, 1, State::Down),
            (1, 1, State::Down),
            (10, 9, State::Ok),
            (1_000, 1, State::Ok),
            (1, 0, State::Ok),
        ] {
            for last_stopped in [false, true] {
                let recent = Recent { answered, stopped, last_stopped };
                assert_eq!(State::of(recent, 0, &[Ready, Ready]), expected, "{recent:?}");
            }
        }
    }

    /// Guards: `State::of` without the last call.
    #[test]
    fn down_is_when_no_call_has_ended_since_one_stopped() {
        let silent = |last_stopped| Recent { last_stopped, ..Recent::default() };
        assert_eq!(State::of(silent(true), 0, &[Ready]), State::Down);
        assert_eq!(State::of(silent(false), 0, &[Ready]), State::Ok);
    }

    /// Guards: `State::of` that asks for target 0, and one that takes a drained target for preferred.
    #[test]
    fn failed_over_is_behind_the_best_target_that_is_neither_drained_nor_in_maintenance() {
        for (targets, sticky, expected) in [
            (&[Ready, Ready][..], 0, State::Ok),
            (&[Ready, Ready], 1, State::FailedOver),
            (&[Drain, Ready], 1, State::Ok),
            (&[Maintenance, Drain, Ready, Ready], 2, State::Ok),
            (&[Maintenance, Drain, Ready, Ready], 3, State::FailedOver),
            // No call has moved the cursor so far.
            (&[Drain, Ready], 0, State::Ok),
            (&[Maintenance, Drain, Drain], 1, State::Ok),
            (&[Drain, Drain], 1, State::FailedOver),
            (&[Maintenance, Maintenance], 0, State::Down),
        ] {
            assert_eq!(State::of(Recent::default(), sticky, targets), expected, "{targets:?} {sticky}");
        }
        let stopping = Recent { stopped: 1, ..Recent::default() };
        assert_eq!(State::of(stopping, 1, &[Ready, Ready]), State::Down);
    }
}

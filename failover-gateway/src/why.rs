//! Why an attempt failed, in kinds that can be counted, and at which targets.

use std::time::Duration;

use failover_tokio::{AttemptError, Failure, Fault};
use http::StatusCode;

/// Why an attempt failed, so that like is counted with like: how long a timeout was, and what a fault's cause says, is no
/// other kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Status(StatusCode),
    Judged(StatusCode),
    Fault(Fault),
}

impl Why {
    pub(crate) fn of(failure: &Failure<AttemptError>) -> Self {
        match (failure.error().map(AttemptError::fault), failure.status()) {
            (Some(Fault::Timeout(_)), _) => Self::Fault(Fault::Timeout(Duration::ZERO)),
            (Some(fault), _) => Self::Fault(fault),
            (None, Some(status)) if failure.is_judged() => Self::Judged(status),
            (None, status) => Self::Status(status.unwrap_or_default()),
        }
    }
}

/// Targets by their indices, which are in order: `target 3`, or `targets 0-2, 5`.
pub(crate) fn targets(indices: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    let run = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    };
    let runs = runs.iter().map(run).collect::<Vec<_>>().join(", ");
    format!("target{} {runs}", if indices.len() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_in_runs() {
        assert_eq!(targets(&[3]), "target 3");
        assert_eq!(targets(&[0, 1]), "targets 0-1");
        assert_eq!(targets(&[0, 1, 2, 5, 7, 8]), "targets 0-2, 5, 7-8");
    }
}

//! What is noted of a call while it runs, and recorded if something failed in it.

use std::time::Duration;

use failover_core::{Attempt, Failure, PassedOver, Reason, Target};
use http::Method;

use crate::error::AttemptError;
use crate::observed::Observed;
use crate::recorded::{Call, Failed, Skipped};
use crate::why::failure_in_words;

/// The notes of one call.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    probe: bool,
    /// The targets that were not asked although it would have been their turn, and why.
    passed_over: Vec<(usize, PassedOver)>,
}

impl Notes {
    /// An attempt begins.
    pub(crate) fn sends<R>(&mut self, attempt: &Attempt<Target, R, AttemptError>) {
        self.probe |= attempt.is_probe();
        for (target, why) in attempt.passed_over() {
            self.passed_over.retain(|(known, _)| *known != target);
            self.passed_over.push((target, why));
        }
    }

    /// The call ended after these failures, with the answer of a target or for a reason.
    #[cold]
    pub(crate) fn record(
        &self,
        observed: &Observed,
        method: &Method,
        outcome: Result<usize, Reason>,
        failures: &[Failure<AttemptError>],
        took: Duration,
    ) {
        let Some(recording) = observed.recording() else { return };
        let passed_over = self.passed_over.iter().filter(|(target, _)| {
            outcome != Ok(*target) && failures.iter().all(|failure| failure.target() != *target)
        });
        // The last one is why it stopped.
        let (first, rest) = failures.split_at(failures.len().min(MOST_FAILURES - 1));
        let told = first.iter().chain(rest.last());
        recording.call(Call {
            method: short(method.as_str(), LONGEST_METHOD),
            count: 1,
            since: None,
            took: took.as_secs_f64(),
            answered: outcome.ok().map(|target| observed.place(target)),
            stopped: outcome.err().map(|reason| reason.as_str().to_owned()),
            probe: self.probe,
            failures: told.map(|failure| failed(observed, failure)).collect(),
            more: failures.len().saturating_sub(MOST_FAILURES) as u64,
            passed_over: passed_over
                .map(|&(target, why)| Skipped {
                    target: observed.place(target),
                    why: why.as_str().to_owned(),
                })
                .collect(),
        });
    }
}

fn failed(observed: &Observed, failure: &Failure<AttemptError>) -> Failed {
    Failed {
        target: observed.place(failure.target()),
        status: failure.status().map(|status| status.as_u16()),
        judged: failure.is_judged(),
        evidence: failure.evidence().map(|evidence| evidence.as_str().to_owned()),
        // How long a timeout was stands beside it, and would tell alike calls apart.
        why: short(&failure_in_words(failure), LONGEST_WHY),
        took: failure.ended().since(failure.began()).as_secs_f64(),
    }
}

/// Its beginning, in characters.
fn short(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

const LONGEST_METHOD: usize = 32;

const LONGEST_WHY: usize = 300;

/// Of a call that are told one by one.
const MOST_FAILURES: usize = 32;

//! Why calls stopped in the last minute, each kind with its count. Its size is bounded.

use failover_tokio::{AttemptError, Failure, failure_in_words};
use serde::Serialize;

use crate::seconds::Seconds;
use crate::why::{self, Why};

/// The kinds of the last minute, and the last one if it is older.
#[derive(Default)]
pub(crate) struct Stops {
    kinds: Vec<Kind>,
    /// What had no place among the kinds.
    others: Seconds<u32>,
}

struct Kind {
    reason: &'static str,
    /// Why each target was given up last.
    met: Vec<(usize, Why)>,
    words: String,
    counts: Seconds<u32>,
    last: u64,
}

/// What is told of a kind.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Stop {
    reason: &'static str,
    pub(crate) why: String,
    /// In the last minute.
    pub(crate) count: u32,
}

impl Stops {
    /// Counts a call that stopped for a reason after these failures.
    pub(crate) fn count(
        &mut self,
        now: u64,
        reason: &'static str,
        text: &str,
        failures: &[Failure<AttemptError>],
    ) {
        let mut last: Vec<&Failure<AttemptError>> = Vec::new();
        for failure in failures {
            last.retain(|earlier| earlier.target() != failure.target());
            last.push(failure);
        }
        last.sort_by_key(|failure| failure.target());
        let met = last.iter().map(|failure| (failure.target(), Why::of(failure))).collect();
        self.add(now, reason, met, || words(text, &last));
    }

    fn add(
        &mut self,
        now: u64,
        reason: &'static str,
        met: Vec<(usize, Why)>,
        words: impl FnOnce() -> String,
    ) {
        let known = self.kinds.iter().position(|kind| kind.reason == reason && kind.met == met);
        let place = known.or_else(|| {
            if self.kinds.len() == MOST {
                let is_over = |kind: &Kind| kind.counts.last_minute(now).all(|count| count == 0);
                self.kinds.remove(self.kinds.iter().position(is_over)?);
            }
            self.kinds.push(Kind { reason, met, words: words(), counts: Seconds::default(), last: now });
            Some(self.kinds.len() - 1)
        });
        match place {
            Some(place) => {
                let kind = &mut self.kinds[place];
                kind.last = now;
                *kind.counts.at(now) += 1;
            }
            None => *self.others.at(now) += 1,
        }
    }

    /// The kinds of the last minute, the most frequent first.
    pub(crate) fn last_minute(&self, now: u64) -> Vec<Stop> {
        let stop = |kind: &Kind| Stop {
            reason: kind.reason,
            why: kind.words.clone(),
            count: kind.counts.last_minute(now).sum(),
        };
        let others = Stop {
            reason: "others",
            why: "for other reasons".to_owned(),
            count: self.others.last_minute(now).sum(),
        };
        let mut stops: Vec<_> = self.kinds.iter().map(stop).collect();
        stops.sort_by_key(|stop| u32::MAX - stop.count);
        stops.push(others);
        stops.retain(|stop| stop.count > 0);
        stops
    }

    /// Why the last call stopped that did.
    pub(crate) fn latest(&self) -> Option<&str> {
        self.kinds.iter().max_by_key(|kind| kind.last).map(|kind| &*kind.words)
    }
}

/// The reason, and what became of the targets.
fn words(text: &str, last: &[&Failure<AttemptError>]) -> String {
    let mut told: Vec<(String, Vec<usize>)> = Vec::new();
    for failure in last {
        let words = failure_in_words(failure);
        match told.iter_mut().find(|(known, _)| *known == words) {
            Some((_, targets)) => targets.push(failure.target()),
            None => told.push((words, vec![failure.target()])),
        }
    }
    let mut text = text.to_owned();
    for (words, targets) in told {
        text = format!("{text}; {}: {words}", why::targets(&targets));
    }
    text
}

/// The most kinds that are kept.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use failover_tokio::Fault;

    use super::*;

    /// Guards: `Stops::add` without its bound, with one that forgets what does not fit, and one that keeps old kinds.
    #[test]
    fn bounded_what_exceeds_the_kinds_is_counted_as_others_until_one_is_a_minute_old() {
        let mut stops = Stops::default();
        let mut add = |now, target| {
            stops
                .add(now, "targets_tried", vec![(target, Why::Fault(Fault::Refused))], || target.to_string());
            stops.last_minute(now)
        };
        for target in 0..MOST {
            add(0, target);
        }
        add(0, 3);
        let told = add(1, 99);
        assert_eq!((told.len(), &*told[0].why, told[0].count), (MOST + 1, "3", 2));
        assert_eq!((told[MOST].reason, told[MOST].count), ("others", 1));
        assert_eq!(add(60, 100).len(), 2);
        assert_eq!((stops.kinds.len(), stops.latest()), (MOST, Some("100")));
        assert_eq!((stops.last_minute(1_000), stops.latest()), (vec![], Some("100")));
    }
}

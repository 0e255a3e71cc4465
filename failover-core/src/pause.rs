//! Pauses: the interval between targets, the backoff between rounds, and the jitter of every wait.

use core::time::Duration;

use crate::mark::doubled;
use crate::sync::{AtomicU64, Ordering};
use crate::time::nanos;

/// The pause between two rounds: uniform between zero and `base`, doubled with each round, at most `max`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The upper end of the first pause's range before it is doubled: after round `r` it is `base` x 2^r.
    pub base: Duration,
    /// The upper end that no pause exceeds.
    pub max: Duration,
}

impl Default for Backoff {
    /// Up to 25 ms x 2^round, at most 250 ms.
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

impl Backoff {
    /// The pause after `round` rounds.
    pub(crate) fn pause(self, round: usize, jitter: &Jitter) -> Duration {
        let round = u8::try_from(round).unwrap_or(u8::MAX);
        jitter.up_to(doubled(self.base, round, self.max))
    }
}

/// The pause before the next attempt, which goes to another target or opens another round.
///
/// The interval holds between targets. Between rounds it is the longest of the interval, the backoff and what the
/// target that is next asked for by Retry-After, of which at most 10 s are granted.
pub(crate) fn pause(
    interval: Duration,
    between_rounds: Option<Duration>,
    retry_after: Option<Duration>,
) -> Duration {
    match between_rounds {
        None => interval,
        Some(backoff) => interval.max(backoff).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)),
    }
}

/// A repeatable source of jitter: a seed, a counter, and a mixing function (`herd`).
#[derive(Debug)]
pub(crate) struct Jitter {
    seed: u64,
    drawn: AtomicU64,
}

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }

    /// `wait`, lengthened by up to a fifth.
    pub(crate) fn lengthen(&self, wait: Duration) -> Duration {
        wait.saturating_add(self.up_to(wait / 5))
    }

    /// `wait`, lengthened by up to a fifth, by the same part each time: what was begun together ends together, so that targets
    /// that failed for a common cause come back in order.
    pub(crate) fn lengthen_alike(&self, wait: Duration) -> Duration {
        wait.saturating_add(scaled(mix(!self.seed), wait / 5))
    }

    /// Uniform between zero and `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        scaled(mix(self.seed ^ mix(drawn)), most)
    }
}

/// A number out of all of `u64`, made one between zero and `most`.
fn scaled(number: u64, most: Duration) -> Duration {
    let span = u128::from(nanos(most)) + 1;
    Duration::from_nanos(u64::try_from((u128::from(number) * span) >> 64).unwrap_or(u64::MAX))
}

/// Spreads consecutive numbers over all of `u64` (the finalizer of `SplitMix64`, Steele et al. 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);

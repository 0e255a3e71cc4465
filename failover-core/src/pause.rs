//! Pauses: the interval between targets, the backoff between rounds, and the jitter of every wait.

use core::time::Duration;

use crate::mark::doubled;
use crate::sync::{AtomicU64, Ordering};
use crate::time::nanos;

/// The pause between two rounds: uniform between zero and `base`, doubled with each round, at most `max`. Where the policy's
/// `jitter` is off it is as long as it can be.
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
        jitter.within(doubled(self.base, round, self.max))
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

/// A repeatable source of jitter: a seed, a counter, and a mixing function (`herd`). It may be off.
#[derive(Debug)]
pub(crate) struct Jitter {
    is_on: bool,
    seed: u64,
    drawn: AtomicU64,
}

impl Jitter {
    pub(crate) fn new(is_on: bool, seed: u64) -> Self {
        Self { is_on, seed, drawn: AtomicU64::new(0) }
    }

    /// `wait`, lengthened by up to a fifth.
    pub(crate) fn lengthen(&self, wait: Duration) -> Duration {
        wait.saturating_add(self.delay(wait / 5))
    }

    /// `wait`, lengthened by up to a fifth, by the same part each time: what was begun together ends together, so that targets
    /// that failed for a common cause come back in order.
    pub(crate) fn lengthen_alike(&self, wait: Duration) -> Duration {
        if self.is_on { wait.saturating_add(scaled(mix(!self.seed), wait / 5)) } else { wait }
    }

    /// A delay of up to `most`, or none where jitter is off.
    pub(crate) fn delay(&self, most: Duration) -> Duration {
        if self.is_on { self.up_to(most) } else { Duration::ZERO }
    }

    /// A part of `wait`, or all of it where jitter is off.
    fn within(&self, wait: Duration) -> Duration {
        if self.is_on { self.up_to(wait) } else { wait }
    }

    /// Uniform between zero and `most`.
    fn up_to(&self, most: Duration) -> Duration {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn herd_a_scaled_number_is_its_part_of_the_longest_from_none_to_all() {
        for most in WAITS {
            let all = most.as_nanos().min(u64::MAX.into());
            assert_eq!(scaled(0, most), Duration::ZERO);
            assert_eq!(scaled(u64::MAX, most).as_nanos(), all, "all of {most:?}");
            let mut last = Duration::ZERO;
            for eighth in 0..=u8::MAX {
                let wait = scaled(u64::from(eighth) << 56, most);
                let floor = all * u128::from(eighth) / 256;
                assert!((floor..=floor + 1).contains(&wait.as_nanos()), "{eighth}/256 of {most:?}: {wait:?}");
                assert!(wait >= last && wait <= most, "{wait:?} of {most:?}");
                last = wait;
            }
        }
    }

    /// Guards: `scaled` that never draws the longest.
    #[test]
    fn herd_each_of_a_few_nanoseconds_is_as_likely_as_any_other() {
        for most in 0..=16_u32 {
            let mut counts = [0_u32; 17];
            for number in 0..=u16::MAX {
                let wait = scaled(u64::from(number) << 48, Duration::from_nanos(most.into()));
                counts[wait.as_nanos() as usize] += 1;
            }
            let (drawn, never) = counts.split_at(most as usize + 1);
            let fair = (1 << 16) / (most + 1);
            assert!(drawn.iter().all(|count| (fair..=fair + 1).contains(count)), "{most}: {drawn:?}");
            assert!(never.iter().all(|count| *count == 0), "{most}: {never:?}");
        }
    }

    #[test]
    fn a_backoff_is_at_most_its_base_doubled_with_each_round_and_at_most_its_longest() {
        for base in WAITS {
            for max in WAITS {
                let jitter = Jitter::new(true, 7);
                for round in 0..=300_u32 {
                    let factor = 1_u128.checked_shl(round).unwrap_or(u128::MAX);
                    let doubled = base.as_nanos().saturating_mul(factor);
                    let most = doubled.min(max.as_nanos());
                    let pause = Backoff { base, max }.pause(round as usize, &jitter).as_nanos();
                    assert!(pause <= most, "{pause} after {round} rounds of {base:?} up to {max:?}");
                }
            }
        }
    }

    #[test]
    fn herd_a_wait_is_lengthened_by_at_most_a_fifth_and_alike_by_the_same_part() {
        for seed in [0, 1, 7, u64::MAX] {
            let jitter = Jitter::new(true, seed);
            for wait in WAITS {
                let alike = jitter.lengthen_alike(wait);
                assert_eq!(jitter.lengthen_alike(wait), alike);
                for lengthened in [alike, jitter.lengthen(wait), jitter.lengthen(wait)] {
                    let range = wait..=wait.saturating_add(wait / 5);
                    assert!(range.contains(&lengthened), "{lengthened:?} of {wait:?}");
                }
            }
        }
    }

    /// Guards: `Jitter` that draws although it is off.
    #[test]
    fn herd_without_jitter_each_wait_is_as_it_is_set() {
        for seed in [0, 1, u64::MAX] {
            let jitter = Jitter::new(false, seed);
            for wait in WAITS {
                assert_eq!((jitter.lengthen(wait), jitter.lengthen_alike(wait)), (wait, wait));
                assert_eq!((jitter.delay(wait), jitter.within(wait)), (Duration::ZERO, wait));
            }
        }
    }

    /// Guards: `pause` that forgets the interval between rounds.
    #[test]
    fn retry_after_capped_between_rounds_the_longest_wait_holds_and_between_targets_the_interval() {
        for interval in WAITS {
            for asked in WAITS.map(Some).into_iter().chain([None]) {
                assert_eq!(pause(interval, None, asked), interval);
                for backoff in WAITS {
                    let heeded = match asked {
                        Some(asked) if asked > Duration::from_secs(10) => Duration::from_secs(10),
                        Some(asked) => asked,
                        None => Duration::ZERO,
                    };
                    let mut waits = [interval, backoff, heeded];
                    waits.sort_unstable();
                    assert_eq!(pause(interval, Some(backoff), asked), waits[2]);
                }
            }
        }
    }

    const WAITS: [Duration; 12] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(4),
        Duration::from_nanos(5),
        Duration::from_millis(25),
        Duration::from_millis(250),
        Duration::from_secs(10),
        Duration::from_nanos(10_000_000_001),
        Duration::from_secs(300),
        Duration::from_nanos(u64::MAX),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
}

//! Late: when an answer takes longer than answers take here, and what may be concluded from that.

use core::time::Duration;

use crate::mark::{Mark, Moment, SharedMark};
use crate::time::Timestamp;

/// When an attempt is late: without the head of an answer for longer than answers take at this target.
///
/// That is `factor` times what is usual there, at least `floor`. What is usual is learned from the answers; before eight of
/// them, or when the last is more than ten minutes old, nothing is late. Being late is a strike, unless the target has
/// answered anybody since the attempt began, or another attempt that became late within half a floor was a strike by that.
/// An attempt that waits on is looked at again each floor, so that those which began together are strikes one after another.
/// An attempt that its caller leaves, or that ends at a bound that is shorter than the policy's, is judged alike: by
/// `factor` times what is usual alone, or by the floor where that is not known (`late`, `abandoned`, `haste`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Late {
    /// How many times what is usual.
    pub factor: u32,
    /// What is never late, however short the usual time.
    pub floor: Duration,
}

impl Default for Late {
    /// 3 times what is usual, at least 1 s.
    fn default() -> Self {
        Self { factor: 3, floor: FLOOR }
    }
}

impl Late {
    /// After how long an attempt is late where answers usually take so long.
    pub(crate) fn bound(self, usual: Duration) -> Duration {
        self.times(usual).max(self.floor)
    }

    /// How long an attempt must have waited that ended before it was late, for its end to say anything.
    pub(crate) fn least_wait(self, usual: Option<Duration>) -> Duration {
        usual.map_or(self.floor, |usual| self.times(usual).max(self.floor / 64))
    }

    /// As of when an attempt counts that has waited since a moment: one that is late as if it had become so just now, so that
    /// those which began together can count one after another.
    pub(crate) fn counts_as_of(self, usual: Option<Duration>, since: Timestamp, now: Timestamp) -> Timestamp {
        usual.map_or(since, |usual| since + now.since(since).saturating_sub(self.bound(usual)))
    }

    fn times(self, usual: Duration) -> Duration {
        usual.saturating_mul(self.factor)
    }
}

/// How long a target's answers take, and when it gave one.
///
/// An answer writes at most one word, and most answers none.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What is usual, and from how many answers that is known, up to `ENOUGH`.
    usual: SharedMark,
    /// When the target last answered anybody, to an eighth of the floor.
    heard: Moment,
    /// As of when the last attempt counted that was a strike by being late.
    counted: Moment,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { usual: SharedMark::new(Mark::CLEAN), heard: Moment::none(), counted: Moment::none() }
    }

    /// The same knowledge, for another group.
    pub(crate) fn copied(&self) -> Self {
        Self {
            usual: SharedMark::new(self.usual.read()),
            heard: self.heard.copied(),
            counted: self.counted.copied(),
        }
    }

    /// Learns that the head of an answer came, and, if it is one by which the target is well, how many nanoseconds that took;
    /// notes that it came, unless it was noted less than `again` nanoseconds ago.
    #[inline]
    pub(crate) fn answered(&self, took: u64, is_well: bool, again: u64, now: Timestamp) {
        let age = self.age(now);
        if is_well {
            self.learn(took, age <= AGE, now);
        }
        if age >= again {
            self.hear(now);
        }
    }

    /// How many nanoseconds ago the target last answered anybody; the largest number if it never did.
    #[inline]
    fn age(&self, now: Timestamp) -> u64 {
        self.heard.read().map_or(u64::MAX, |heard| now.as_nanos().saturating_sub(heard.as_nanos()))
    }

    #[inline(never)]
    fn hear(&self, now: Timestamp) {
        self.heard.raise(now);
    }

    #[inline]
    fn learn(&self, took: u64, is_fresh: bool, now: Timestamp) {
        let seen = self.usual.read();
        let (usual, count) = (seen.until().as_nanos(), seen.strikes());
        let is_known = is_fresh && count == ENOUGH;
        if !is_known || took / 2 > usual || is_sampled(now) {
            self.adapt(seen, took, is_fresh);
        }
    }

    #[inline(never)]
    fn adapt(&self, seen: Mark, took: u64, is_fresh: bool) {
        let (usual, count) = (seen.until().as_nanos(), seen.strikes());
        let adapted = match took.checked_sub(usual) {
            _ if !is_fresh || count == 0 => Mark::new(Timestamp::from_nanos(took), 1),
            // An answer is worth more than what was only taught.
            None if count == TAUGHT => Mark::new(Timestamp::from_nanos(took), 1),
            Some(more) => Mark::new(Timestamp::from_nanos(usual + more / 8), (count + 1).min(ENOUGH)),
            None => Mark::new(Timestamp::from_nanos(usual - (usual - took) / 4), (count + 1).min(ENOUGH)),
        };
        self.usual.replace(seen, adapted);
    }

    /// Takes over what another group knew.
    pub(crate) fn restore(&self, usual: Duration, now: Timestamp) {
        self.usual.update(|_| Some(Mark::new(Timestamp::from(usual), ENOUGH)));
        self.heard.raise(now);
    }

    /// Learns that answers take at least so long, from a call that no target answered in its time.
    pub(crate) fn teach(&self, waited: Duration, now: Timestamp) {
        let known = self.usual(now).unwrap_or_default();
        if waited > known {
            self.usual.replace(self.usual.read(), Mark::new(Timestamp::from(waited), TAUGHT));
            self.heard.raise(now);
        }
    }

    /// Forgets what was only taught, after an attempt that was not answered in all the time that its call had; and what answers
    /// told, if that was longer than usual and nobody had one meanwhile: so the next calls keep time for others.
    pub(crate) fn doubt(&self, began: Timestamp, ended: Timestamp) {
        let seen = self.usual.read();
        let took_longer = ended.since(began) >= seen.until().since(Timestamp::ORIGIN);
        if seen.strikes() == TAUGHT || took_longer && !self.was_heard_since(began) {
            self.usual.replace(seen, Mark::CLEAN);
        }
    }

    /// How long answers usually take, if that is known.
    #[inline]
    pub(crate) fn usual(&self, now: Timestamp) -> Option<Duration> {
        let is_fresh = self.age(now) <= AGE;
        let usual = Some(self.usual.read()).filter(|usual| is_fresh && usual.strikes() >= ENOUGH);
        usual.map(|usual| usual.until().since(Timestamp::ORIGIN))
    }

    /// Whether the target has answered anybody since a moment.
    pub(crate) fn was_heard_since(&self, moment: Timestamp) -> bool {
        self.heard.read().is_some_and(|heard| heard >= moment)
    }

    /// For how long the target had answered nobody at a moment; not at all if it never did.
    pub(crate) fn silence_before(&self, moment: Timestamp) -> Duration {
        self.heard.read().map_or(Duration::ZERO, |heard| moment.since(heard))
    }

    /// Takes the right to count an attempt as of a moment, unless one counted as of less than half a floor before, or later.
    pub(crate) fn counts(&self, as_of: Timestamp, floor: Duration) -> bool {
        self.counted.raise_if(as_of, |last| as_of >= last + floor / 2)
    }
}

/// The floor where being late is off: a target that answered within it is not down because one connection failed.
pub(crate) const FLOOR: Duration = Duration::from_secs(1);

/// How many answers tell what is usual.
const ENOUGH: u8 = 8;

/// The count of what no answer told.
const TAUGHT: u8 = ENOUGH + 1;

/// Whether an answer is the one of sixteen that is looked at when it is known what is usual: by its moment, spread so that
/// regular moments are no regular choice.
#[inline]
fn is_sampled(now: Timestamp) -> bool {
    let moment = now.as_nanos();
    (moment ^ moment >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 60 == 0
}

/// After so many nanoseconds without an answer nobody knows any more what is usual.
const AGE: u64 = 600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `Late::least_wait` without its smallest wait.
    #[test]
    fn late_the_bounds_are_the_factor_and_never_under_their_floors() {
        for factor in [0, 1, 2, 3, 1_000, u32::MAX] {
            for floor in WAITS {
                let late = Late { factor, floor };
                assert_eq!(late.least_wait(None), floor);
                for usual in WAITS {
                    let times = (usual.as_nanos() * u128::from(factor)).min(Duration::MAX.as_nanos());
                    let bounds = (late.bound(usual).as_nanos(), late.least_wait(Some(usual)).as_nanos());
                    let expected = (times.max(floor.as_nanos()), times.max(floor.as_nanos() / 64));
                    assert_eq!(bounds, expected, "{late:?} where {usual:?} are usual");
                }
            }
        }
    }

    /// Guards: `Late::counts_as_of` that takes the floor for the bound, or what ended before it was late for later.
    #[test]
    fn late_an_attempt_counts_as_if_it_had_become_late_just_now_and_from_its_beginning_if_it_is_not_late() {
        let late = Late { factor: 3, floor: Duration::from_micros(1) };
        let at = Timestamp::from_nanos;
        for since in [0, 5, 1 << 40, u64::MAX - 900] {
            for (usual, bound) in
                [(0, 1_000), (333, 1_000), (500, 1_500), (u64::MAX, u128::from(u64::MAX) * 3)]
            {
                for waited in [0, 1, 999, 1_000, 1_001, 1_499, 1_500, 1_501, 9_000, u64::MAX] {
                    let now = at(since) + Duration::from_nanos(waited);
                    let later = now.since(at(since)).as_nanos().saturating_sub(bound);
                    let as_of = late.counts_as_of(Some(Duration::from_nanos(usual)), at(since), now);
                    assert_eq!(u128::from(as_of.as_nanos()), u128::from(since) + later, "{usual} {waited}");
                    assert_eq!(late.counts_as_of(None, at(since), now), at(since), "nothing is late");
                }
            }
        }
    }

    /// Guards: `Pace::adapt` whose step up is another one.
    #[test]
    fn late_what_is_usual_moves_by_an_eighth_up_and_a_quarter_down_from_anything_to_anything() {
        for usual in UNITS {
            for took in UNITS {
                for count in 0..=ENOUGH + 1 {
                    for is_fresh in [false, true] {
                        let pace = Pace::new();
                        let seen = Mark::new(Timestamp::from_nanos(usual * 256), count);
                        pace.usual.update(|_| Some(seen));
                        pace.adapt(seen, took * 256, is_fresh);
                        let (from, to) = (i128::from(usual) * 256, i128::from(took) * 256);
                        let is_refuted = count == TAUGHT && to < from;
                        let (usual, known) = if !is_fresh || count == 0 || is_refuted {
                            (to, 1)
                        } else {
                            let part = if to < from { 4 } else { 8 };
                            (from + (to - from) / part, (count + 1).min(8))
                        };
                        let adapted = pace.usual.read();
                        assert_eq!(
                            i128::from(adapted.until().as_nanos()),
                            usual / 256 * 256,
                            "{took} after {seen:?}"
                        );
                        assert_eq!(adapted.strikes(), known);
                    }
                }
            }
        }
    }

    #[test]
    fn late_a_moment_only_becomes_later() {
        for first in MOMENTS {
            for second in MOMENTS {
                let moment = Moment::none();
                assert_eq!(moment.read(), None);
                for at in [first, second] {
                    moment.raise(Timestamp::from_nanos(at));
                }
                let latest = first.max(second).min(u64::MAX - 1);
                assert_eq!(moment.read(), Some(Timestamp::from_nanos(latest)), "{first} and {second}");
            }
        }
    }

    /// Guards: `Pace::counts` that wants a whole floor between them.
    #[test]
    fn late_half_a_floor_is_between_the_beginnings_of_attempts_that_count() {
        let floor = Duration::from_nanos(10);
        for first in 0..40 {
            for second in 0..40 {
                let pace = Pace::new();
                assert!(pace.counts(Timestamp::from_nanos(first), floor), "the first one");
                assert_eq!(pace.counts(Timestamp::from_nanos(second), floor), second >= first + 5);
            }
        }
    }

    const WAITS: [Duration; 8] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(63),
        Duration::from_nanos(64),
        Duration::from_millis(20),
        Duration::from_secs(1),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];

    const UNITS: [u64; 10] =
        [0, 1, 2, 7, 8, 9, 1_000, (u64::MAX >> 8) / 2, (u64::MAX >> 8) - 1, u64::MAX >> 8];

    const MOMENTS: [u64; 7] = [0, 1, 255, 256, u64::MAX / 2, u64::MAX - 1, u64::MAX];
}

//! The budget: how many replays a window of time may see.

use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// A bound on the replays of requests that may have been executed.
///
/// In tumbling windows of 10 s: replays are at most `percent` of the calls in this window or the last, whichever saw
/// more, rounded down, plus `reserve`. Replays that need no proof, the free repeat and the replay after a failed
/// probe are exempt. Above 262,143 calls in a window the count stands still, which grants fewer replays, not more.
///
/// It breaks the promise that no call is refused while a target that works was left untried, exactly when it counts;
/// hence it is off by default. Each target is tried once, so without it load grows by at most the number of targets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// The replays per hundred calls.
    pub percent: u32,
    /// The replays that each window grants in any case.
    pub reserve: u32,
}

impl Default for Budget {
    /// 20 %, and 10 in any case.
    fn default() -> Self {
        Self { percent: 20, reserve: 10 }
    }
}

impl Budget {
    fn allows(self, window: Window) -> bool {
        let calls = u64::from(window.calls.max(window.calls_before));
        let granted = u64::from(self.percent) * calls / 100 + u64::from(self.reserve);
        u64::from(window.replays) < granted.min(u64::from(COUNT_MAX))
    }
}

/// The calls and replays of this window and the calls of the last, in one word, on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Spent {
    counts: AtomicU64,
    /// The era of the last call or replay: so many windows that their numbers in the word begin anew.
    era: AtomicU64,
}

impl Spent {
    pub(crate) fn new() -> Self {
        Self { counts: AtomicU64::new(0), era: AtomicU64::new(0) }
    }

    /// The same counts, for another group.
    pub(crate) fn copied(&self) -> Self {
        let copy = |word: &AtomicU64| AtomicU64::new(word.load(Ordering::Relaxed));
        Self { counts: copy(&self.counts), era: copy(&self.era) }
    }

    /// Counts a call.
    pub(crate) fn call(&self, now: Timestamp) {
        self.update(now, |window| Some(Window { calls: (window.calls + 1).min(COUNT_MAX), ..window }));
    }

    /// Takes one replay, if there is one left.
    pub(crate) fn replay(&self, budget: Budget, now: Timestamp) -> bool {
        self.update(now, |window| {
            budget.allows(window).then_some(Window { replays: window.replays + 1, ..window })
        })
    }

    /// Whether there is a replay left.
    pub(crate) fn has_replay(&self, budget: Budget, now: Timestamp) -> bool {
        let known = self.enter_era(now);
        budget.allows(Window::unpack(self.counts.load(Ordering::Relaxed)).at(now, known))
    }

    fn update(&self, now: Timestamp, change: impl Fn(Window) -> Option<Window>) -> bool {
        let known = self.enter_era(now);
        let update = |word| change(Window::unpack(word).at(now, known)).map(Window::pack);
        self.counts.fetch_update(Ordering::AcqRel, Ordering::Relaxed, update).is_ok()
    }

    /// Notes the era of `now`, if that is a new one. Tells the latest one.
    fn enter_era(&self, now: Timestamp) -> u64 {
        let (era, number) = era_and_number(now);
        let mut known = self.era.load(Ordering::Acquire);
        while known < era {
            known = self.forget(era, number);
        }
        known
    }

    /// Forgets the counts of an era that is over, unless this is the window right after its last one (`idle`). Tells the latest
    /// era.
    ///
    /// Nobody counts in an era before it is noted, and the counts are read first: so none of it is forgotten.
    fn forget(&self, era: u64, number: u16) -> u64 {
        let word = self.counts.load(Ordering::Acquire);
        let known = self.era.load(Ordering::Acquire);
        if era <= known {
            return known;
        }
        let is_next = era == known + 1 && number == 0 && Window::unpack(word).number == BEHIND;
        let kept = if is_next { word } else { Window::empty(number).pack() };
        if self.counts.compare_exchange(word, kept, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return known;
        }
        self.era.fetch_max(era, Ordering::AcqRel).max(era)
    }
}

/// The word, taken apart: 10 bits for the number of the window, 18 for each count.
#[derive(Clone, Copy, Debug)]
struct Window {
    number: u16,
    calls: u32,
    calls_before: u32,
    replays: u32,
}

impl Window {
    fn empty(number: u16) -> Self {
        Self { number, calls: 0, calls_before: 0, replays: 0 }
    }

    fn unpack(word: u64) -> Self {
        let count = |shift: u32| u32::try_from(word >> shift & u64::from(COUNT_MAX)).unwrap_or(COUNT_MAX);
        let number = u16::try_from(word >> (3 * COUNT_BITS)).unwrap_or_default();
        Self { number, calls: count(2 * COUNT_BITS), calls_before: count(COUNT_BITS), replays: count(0) }
    }

    fn pack(self) -> u64 {
        u64::from(self.number) << (3 * COUNT_BITS)
            | u64::from(self.calls) << (2 * COUNT_BITS)
            | u64::from(self.calls_before) << COUNT_BITS
            | u64::from(self.replays)
    }

    /// The window of `now`: this one, the next, or a fresh one. Time that goes backwards by a window stands still; whatever
    /// is farther away is a pause (`idle`). `known` is the latest era.
    fn at(self, now: Timestamp, known: u64) -> Self {
        let (era, number) = era_and_number(now);
        match number.wrapping_sub(self.number) % WINDOWS {
            0 => self,
            BEHIND if number < self.number || era < known => self,
            1 => Self { number, calls: 0, calls_before: self.calls, replays: 0 },
            _ => Self::empty(number),
        }
    }
}

/// The era of a moment, and the number of its window in it.
fn era_and_number(now: Timestamp) -> (u64, u16) {
    let (window, windows) = (now.as_nanos() / WINDOW, u64::from(WINDOWS));
    (window / windows, u16::try_from(window % windows).unwrap_or_default())
}

const WINDOW: u64 = 10_000_000_000;
const WINDOWS: u16 = 1 << 10;
const BEHIND: u16 = WINDOWS - 1;
const COUNT_BITS: u32 = 18;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Calls and replays, each with the window that it happened in.
    type Story = Vec<(u64, bool)>;

    /// Guards: `Window::at` that takes what is an era away for the window before; `Spent::forget` that keeps the counts
    /// of an era that is over, or lets those of its last window go.
    #[test]
    fn budget_exact_of_windows_at_any_distance_only_the_last_one_counts() {
        let budget = Budget { percent: 100, reserve: 1 };
        for distance in 0..=2_048 {
            for window in (0..1_024).step_by(31) {
                let spent = Spent::new();
                let mut story = Story::new();
                for window in [window, window, window, window + distance] {
                    spent.call(moment(window));
                    story.push((window, false));
                }
                assert_eq!(
                    taken(&spent, budget, window + distance),
                    granted(&story, budget, window + distance),
                    "{distance} windows after {window}"
                );
            }
        }
    }

    /// Guards: `Window::at` that carries the replays of the last window over.
    #[test]
    fn budget_exact_within_an_era_only_the_window_itself_the_next_and_the_one_before_know_the_counts() {
        for number in 0..WINDOWS {
            let word = Window { number, calls: 3, calls_before: 5, replays: 2 }.pack();
            for now in 0..WINDOWS {
                let at = Window::unpack(word).at(moment(3 * 1_024 + u64::from(now)), 3);
                // After the last window of the era before comes the first one of this.
                let expected = match i32::from(now) - i32::from(number) {
                    0 | -1 => (number, 3, 5, 2),
                    1 | -1_023 => (now, 0, 3, 0),
                    _ => (now, 0, 0, 0),
                };
                let read = (at.number, at.calls, at.calls_before, at.replays);
                assert_eq!(read, expected, "in window {now} after {number}");
            }
        }
    }

    #[test]
    fn budget_exact_any_calls_and_replays_at_any_distances_are_granted_what_the_rule_says() {
        let steps = [0, 1, 2, 1_023, 1_024, 1_025];
        let budget = Budget { percent: 150, reserve: 1 };
        for code in 0..12_usize.pow(4) {
            let (spent, mut story, mut window) = (Spent::new(), Story::new(), 1_022);
            let mut rest = code;
            for _ in 0..4 {
                window += steps[rest % 6];
                let is_replay = rest / 6 % 2 == 1;
                rest /= 12;
                if is_replay {
                    let is_granted = spent.replay(budget, moment(window));
                    assert_eq!(is_granted, granted(&story, budget, window) > 0, "{story:?} and in {window}");
                    if !is_granted {
                        continue;
                    }
                } else {
                    spent.call(moment(window));
                }
                story.push((window, is_replay));
            }
            assert_eq!(taken(&spent, budget, window), granted(&story, budget, window), "{story:?}");
        }
    }

    /// Guards: `Window::at` that begins the window before anew, within an era or at its beginning.
    #[test]
    fn budget_exact_time_that_goes_backwards_by_a_window_grants_nothing_new() {
        let budget = Budget { percent: 0, reserve: 2 };
        for window in 1..=2_048 {
            let spent = Spent::new();
            assert_eq!(taken(&spent, budget, window), 2);
            assert_eq!(taken(&spent, budget, window - 1), 0, "before {window}");
            assert_eq!(taken(&spent, budget, window), 0, "{window} again");
        }
    }

    /// Guards: `Budget::allows` that grants one more.
    #[test]
    fn budget_exact_at_the_edges_of_every_number() {
        let numbers = [0, 1, 2, 33, 99, 100, 101, 1_000_000, u32::MAX - 1, u32::MAX];
        let counts = [0, 1, 2, 49, 99, 100, 101, COUNT_MAX - 1, COUNT_MAX];
        for percent in numbers {
            for reserve in numbers {
                for calls in counts {
                    for replays in counts {
                        let is_within = u128::from(replays) < u128::from(reserve)
                            || 100 * (u128::from(replays) + 1 - u128::from(reserve))
                                <= u128::from(percent) * u128::from(calls);
                        let expected = is_within && replays < 262_143;
                        let budget = Budget { percent, reserve };
                        for (now, before) in [(calls, 0), (0, calls), (calls, calls), (calls, calls / 2)] {
                            let window = Window { number: 0, calls: now, calls_before: before, replays };
                            assert_eq!(budget.allows(window), expected, "{budget:?} of {window:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_word_keeps_each_count_for_itself() {
        let counts = [0, 1, 2, 255, 256, 131_071, 131_072, COUNT_MAX - 1, COUNT_MAX];
        for number in 0..WINDOWS {
            for calls in counts {
                for calls_before in counts {
                    for replays in counts {
                        let word = Window { number, calls, calls_before, replays }.pack();
                        let read = Window::unpack(word);
                        assert_eq!(
                            (read.number, read.calls, read.calls_before, read.replays),
                            (number, calls, calls_before, replays)
                        );
                    }
                }
            }
        }
    }

    /// Guards: `Spent::call` whose count runs over.
    #[test]
    fn budget_exact_counts_that_are_full_stand_still() {
        let (budget, now) = (Budget { percent: u32::MAX, reserve: u32::MAX }, moment(0));
        let full = Window { number: 0, calls: COUNT_MAX, calls_before: COUNT_MAX, replays: COUNT_MAX };
        for replays in [0, COUNT_MAX - 1, COUNT_MAX] {
            let spent = Spent::new();
            spent.counts.store(Window { replays, ..full }.pack(), Ordering::Relaxed);
            spent.call(now);
            assert_eq!(spent.counts.load(Ordering::Relaxed), Window { replays, ..full }.pack());
            assert_eq!(spent.has_replay(budget, now), replays < COUNT_MAX);
            assert_eq!(spent.replay(budget, now), replays < COUNT_MAX);
            let replays = (replays + 1).min(COUNT_MAX);
            assert_eq!(spent.counts.load(Ordering::Relaxed), Window { replays, ..full }.pack());
        }
    }

    /// How many more replays the rule grants in a window after what happened.
    fn granted(story: &Story, budget: Budget, window: u64) -> usize {
        let count =
            |window, is_replay| story.iter().filter(|happened| **happened == (window, is_replay)).count();
        let calls = count(window, false).max(window.checked_sub(1).map_or(0, |last| count(last, false)));
        let in_all = calls * budget.percent as usize / 100 + budget.reserve as usize;
        in_all.saturating_sub(count(window, true))
    }

    /// Takes all replays that are left in a window: how many these were.
    fn taken(spent: &Spent, budget: Budget, window: u64) -> usize {
        let take = |_: &i32| spent.has_replay(budget, moment(window)) & spent.replay(budget, moment(window));
        (0..1_000).take_while(take).count()
    }

    /// The last moment of a window, or its first.
    fn moment(window: u64) -> Timestamp {
        let first = window * 10_000_000_000;
        Timestamp::from_nanos(if window % 2 == 0 { first } else { first + 9_999_999_999 })
    }
}

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

//! Health: which targets failed of late, and how long they are tried last.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use http::StatusCode;

use crate::evidence::{Evidence, Harm};
use crate::mark::{Mark, SharedMark, doubled};
use crate::outcome::{BodyToken, Cause, Failure};
use crate::pause::Jitter;
use crate::sync::{AtomicU16, Ordering};
use crate::time::Timestamp;

/// The cool-down: when a target that fails is tried last, and for how long.
///
/// A connect failure raises a target's strikes to at least `strikes`, another failure by one. From `strikes` on the
/// target cools for `base`, doubled with each further strike, at most `max`, lengthened by up to a fifth. An answer
/// clears the strikes. A cooling target is still tried when all others failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CoolDown {
    /// The strikes from which a target cools down.
    pub strikes: u8,
    /// The first cool-down.
    pub base: Duration,
    /// The longest cool-down.
    pub max: Duration,
}

impl Default for CoolDown {
    /// 3 strikes; 5 s, doubling to 5 min.
    fn default() -> Self {
        Self { strikes: 3, base: Duration::from_secs(5), max: Duration::from_secs(300) }
    }
}

impl CoolDown {
    fn strikes_after(self, harm: Harm, strikes: u8) -> u8 {
        match harm {
            Harm::None => strikes,
            Harm::Failure => strikes.saturating_add(1),
            Harm::Connect => strikes.saturating_add(1).max(self.strikes),
        }
    }

    /// How long a target cools after this many strikes.
    fn duration(self, strikes: u8) -> Option<Duration> {
        Some(doubled(self.base, strikes.checked_sub(self.strikes)?, self.max))
    }
}

/// What is remembered of each target.
#[derive(Debug)]
pub(crate) struct Health {
    marks: Box<[SharedMark]>,
    last_failures: Box<[LastFailure]>,
}

impl Health {
    /// The health of targets with these marks and last failures.
    pub(crate) fn new(targets: impl IntoIterator<Item = (Mark, Option<Cause<()>>)>) -> Self {
        let targets =
            targets.into_iter().map(|(mark, cause)| (SharedMark::new(mark), LastFailure::new(cause)));
        let (marks, last_failures): (Vec<_>, Vec<_>) = targets.unzip();
        Self { marks: marks.into(), last_failures: last_failures.into() }
    }

    /// The mark of a target; clean for a target that is none.
    #[inline]
    pub(crate) fn mark(&self, target: usize) -> Mark {
        self.marks.get(target).map_or(Mark::CLEAN, SharedMark::read)
    }

    /// What happened when a target failed last.
    pub(crate) fn last_failure(&self, target: usize) -> Option<Cause<()>> {
        self.last_failures.get(target)?.read()
    }

    /// Books a success: clears the mark that was `seen` when the attempt began, and tells what it cleared.
    #[inline]
    pub(crate) fn succeeded(&self, target: usize, seen: Mark) -> Mark {
        let cleared = seen != Mark::CLEAN && self.replace(target, seen, Mark::CLEAN);
        if cleared { seen } else { Mark::CLEAN }
    }

    /// Books the end of a body that broke off: what its head cleared, and one strike (`broken_body`). While the target
    /// cools, nothing is added.
    pub(crate) fn broke_off(&self, body: BodyToken, rule: CoolDown, jitter: &Jitter, now: Timestamp) {
        let target = usize::from(body.target);
        loop {
            let seen = self.mark(target);
            if seen.until() > now {
                return;
            }
            let strikes = seen.strikes().saturating_add(body.cleared.strikes()).saturating_add(1);
            let cooling = rule.duration(strikes).map(|time| jitter.lengthen(time));
            let until = cooling.map_or(seen.until(), |time| now + time);
            if self.replace(target, seen, Mark::new(until, strikes)) {
                return;
            }
        }
    }

    /// Books a failure, unless another call has booked something since the attempt began.
    pub(crate) fn failed<E>(&self, failure: &Failure<E>, cool_down: Option<CoolDown>, jitter: &Jitter) {
        let (harm, seen) = (failure.row.harm, failure.mark);
        let strikes = cool_down.map_or(0, |rule| rule.strikes_after(harm, seen.strikes()));
        let harmed = cool_down.filter(|_| harm != Harm::None);
        let cooling = harmed.and_then(|rule| rule.duration(strikes)).map(|time| jitter.lengthen(time));
        let until = cooling.max(failure.retry_after).map_or(Timestamp::ORIGIN, |time| failure.ended + time);
        let mark = Mark::new(until.max(seen.until()), strikes);
        if mark != seen {
            self.replace(failure.target(), seen, mark);
        }
    }

    /// Remembers what happened at a target, for status pages only.
    pub(crate) fn note<E>(&self, failure: &Failure<E>) {
        if let Some(last) = self.last_failures.get(failure.target()) {
            last.store(failure.cause());
        }
    }

    fn replace(&self, target: usize, seen: Mark, mark: Mark) -> bool {
        self.marks.get(target).is_none_or(|shared| shared.replace(seen, mark))
    }
}

/// The kind of a target's last failure: a status as it is, an error as its place in `Evidence::ALL`, else `NO_FAILURE`.
#[derive(Debug)]
struct LastFailure(AtomicU16);

impl LastFailure {
    fn new(cause: Option<Cause<()>>) -> Self {
        let last = Self(AtomicU16::new(NO_FAILURE));
        if let Some(cause) = cause {
            last.store(&cause);
        }
        last
    }

    fn store<E>(&self, cause: &Cause<E>) {
        let word = match cause {
            Cause::Status(status) => status.as_u16(),
            Cause::Error(evidence, _) => {
                (0..).zip(Evidence::ALL).find(|(_, kind)| kind == evidence).map_or(NO_FAILURE, |kind| kind.0)
            }
        };
        self.0.store(word, Ordering::Relaxed);
    }

    fn read(&self) -> Option<Cause<()>> {
        let word = self.0.load(Ordering::Relaxed);
        let error = || Some(Cause::Error(*Evidence::ALL.get(usize::from(word))?, ()));
        StatusCode::from_u16(word).ok().map(Cause::Status).or_else(error)
    }
}

const NO_FAILURE: u16 = u16::MAX;

//! What happened of late: calls, attempts and failovers, for the status page. Its size is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use failover_tokio::{AttemptError, Evidence, Failure, Target};
use http::Method;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// A target, and how it is doing.
pub(crate) struct Watched {
    pub(crate) target: Target,
    meter: Arc<Meter>,
}

impl Watched {
    /// These targets, with what was counted before of those that are not new.
    pub(crate) fn all(targets: &[Target], before: &[Self]) -> Vec<Self> {
        let mut before: Vec<_> = before.iter().collect();
        let watched = |target: &Target| {
            let known = before.iter().position(|watched| watched.target.name() == target.name());
            let meter = known.map(|place| Arc::clone(&before.remove(place).meter)).unwrap_or_default();
            Self { target: target.clone(), meter }
        };
        targets.iter().map(watched).collect()
    }

    /// Its attempts.
    pub(crate) fn reading(&self, ledger: &Ledger) -> Reading {
        self.meter.lock().reading(ledger.now())
    }
}

/// What the gateway did since it began.
pub(crate) struct Ledger {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    totals: Totals,
    calls: Counts,
    /// The newest first.
    failovers: VecDeque<Failover>,
}

/// How many calls wait, and how others ended.
#[derive(Clone, Copy, Default, Serialize)]
struct Totals {
    waiting: u64,
    answered: u64,
    /// Of those that were answered: by another target than the first that was tried.
    failed_over: u64,
    stopped: u64,
    /// The client went away first.
    abandoned: u64,
}

/// A target that was given up.
#[derive(Clone, Serialize)]
struct Failover {
    #[serde(serialize_with = "rfc3339")]
    at: SystemTime,
    method: String,
    from: Place,
    /// Where the call went on.
    to: Option<Place>,
    why: String,
    /// Why the call did not go on.
    stopped: Option<&'static str>,
    /// How long the attempt took, in seconds.
    took: f64,
}

#[derive(Clone, Serialize)]
struct Place {
    index: usize,
    url: String,
}

/// What is told of it.
#[derive(Serialize)]
pub(crate) struct Report {
    /// In seconds.
    uptime: u64,
    calls: Totals,
    /// The calls of each of the last seconds, the present one last, and how many of them met a failure.
    last_minute: Vec<Second>,
    failovers: Vec<Failover>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pages: Mutex::default() }
    }

    /// Begins a call.
    pub(crate) fn begin(&self, method: &Method) -> Entry<'_> {
        self.pages().totals.waiting += 1;
        Entry { ledger: self, method: method.clone(), ended: false }
    }

    pub(crate) fn report(&self) -> Report {
        let (now, pages) = (self.now(), self.pages());
        Report {
            uptime: now,
            calls: pages.totals,
            last_minute: pages.calls.last_minute(now),
            failovers: pages.failovers.iter().cloned().collect(),
        }
    }

    /// In seconds since it began.
    fn now(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. If it is dropped before its end, its client went away.
pub(crate) struct Entry<'a> {
    ledger: &'a Ledger,
    method: Method,
    ended: bool,
}

impl Entry<'_> {
    /// The call ended with an answer of the target at an index, or stopped for a reason. `targets` are those that the
    /// indices are of, or none if that is not known.
    pub(crate) fn end(
        mut self,
        outcome: Result<usize, &'static str>,
        failures: &[Failure<AttemptError>],
        targets: &[Watched],
    ) {
        self.ended = true;
        let now = self.ledger.now();
        // What is wrong on this side is no target's failure.
        let failures: Vec<_> =
            failures.iter().filter(|failure| failure.evidence() != Some(Evidence::LocalFault)).collect();
        for failure in &failures {
            count(targets, failure.target(), now, true);
        }
        if let Ok(target) = outcome {
            count(targets, target, now, false);
        }
        let mut pages = self.ledger.pages();
        pages.calls.count(now, !failures.is_empty());
        match outcome {
            Ok(target) => {
                pages.totals.answered += 1;
                let first = failures.first().map_or(target, |failure| failure.target());
                pages.totals.failed_over += u64::from(first != target);
            }
            Err(_) => pages.totals.stopped += 1,
        }
        let place = |index: usize| Some(Place { index, url: targets.get(index)?.target.to_string() });
        for (nth, failure) in failures.iter().enumerate() {
            let next = failures.get(nth + 1).map(|failure| failure.target()).or(outcome.ok());
            let moved_from = (next != Some(failure.target())).then(|| place(failure.target()));
            if let Some(from) = moved_from.flatten() {
                pages.failovers.truncate(MOST_FAILOVERS - 1);
                pages.failovers.push_front(Failover {
                    at: SystemTime::now(),
                    method: self.method.to_string(),
                    from,
                    to: next.and_then(place),
                    why: why(failure),
                    stopped: outcome.err().filter(|_| next.is_none()),
                    took: failure.ended().since(failure.began()).as_secs_f64(),
                });
            }
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut pages = self.ledger.pages();
        pages.totals.waiting -= 1;
        pages.totals.abandoned += u64::from(!self.ended);
    }
}

fn count(targets: &[Watched], index: usize, now: u64, failed: bool) {
    if let Some(watched) = targets.get(index) {
        watched.meter.lock().count(now, failed);
    }
}

fn why(failure: &Failure<AttemptError>) -> String {
    match (failure.error(), failure.status()) {
        (Some(error), _) => {
            error.cause().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
        (None, status) => format!("answered {}", status.unwrap_or_default()),
    }
}

#[derive(Default)]
struct Meter(Mutex<Counts>);

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there were, in all and in each of the last seconds.
struct Counts {
    total: u64,
    failed: u64,
    /// With the second that each is of, at its place modulo their number.
    seconds: [(u64, Second); SECONDS],
}

#[derive(Clone, Copy, Default, Serialize)]
struct Second {
    count: u32,
    failed: u32,
}

/// What is told of a target's attempts.
#[derive(Serialize)]
pub(crate) struct Reading {
    attempts: u64,
    failed: u64,
    /// Over the last ten seconds.
    attempts_per_second: f64,
    failed_per_second: f64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { total: 0, failed: 0, seconds: [(u64::MAX, Second::default()); SECONDS] }
    }
}

impl Counts {
    fn count(&mut self, now: u64, failed: bool) {
        let (second, counts) = &mut self.seconds[slot(now)];
        if *second != now {
            (*second, *counts) = (now, Second::default());
        }
        counts.count += 1;
        counts.failed += u32::from(failed);
        self.total += 1;
        self.failed += u64::from(failed);
    }

    /// The second that began so long before the present one.
    fn second(&self, now: u64, before: u64) -> Second {
        let found = now.checked_sub(before).map(|at| (at, self.seconds[slot(at)]));
        found.filter(|(at, (second, _))| at == second).map_or_else(Second::default, |(_, (_, counts))| counts)
    }

    fn last_minute(&self, now: u64) -> Vec<Second> {
        (0..SECONDS as u64).rev().map(|before| self.second(now, before)).collect()
    }

    fn reading(&self, now: u64) -> Reading {
        let recent = || (1..=RATE_SECONDS).map(|before| self.second(now, before.into()));
        let per_second = |count: u32| f64::from(count) / f64::from(RATE_SECONDS);
        Reading {
            attempts: self.total,
            failed: self.failed,
            attempts_per_second: per_second(recent().map(|second| second.count).sum()),
            failed_per_second: per_second(recent().map(|second| second.failed).sum()),
        }
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or_default()
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*at))
}

const SECONDS: usize = 60;

const RATE_SECONDS: u32 = 10;

const MOST_FAILOVERS: usize = 50;

//! What happened of late: calls, attempts and failovers, for the status page. Its size is bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use failover_tokio::{
    AdminState, Answered, AttemptError, Error, Evidence, Failure, Snapshot, Target, failure_in_words,
};
use http::{Method, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use crate::minutes::{Failovers, Minutes, ShownTarget, Way, rfc3339};
use crate::seconds::Seconds;
use crate::state::{self, Recent, State};
use crate::stops::{Stop, Stops};
use crate::why::{self, Why};

/// A target, and how it is doing.
pub(crate) struct Watched {
    pub(crate) target: Target,
    place: ShownTarget,
    meter: Arc<Meter>,
}

impl Watched {
    /// These targets, with what was counted before of those that are not new.
    pub(crate) fn all(targets: &[Target], before: &[Self]) -> Vec<Self> {
        let mut before: Vec<_> = before.iter().collect();
        let watched = |(index, target): (usize, &Target)| {
            let known = before.iter().position(|watched| watched.target.name() == target.name());
            let meter = known.map(|place| Arc::clone(&before.remove(place).meter)).unwrap_or_default();
            Self { target: target.clone(), place: ShownTarget { index, name: shown(target).into() }, meter }
        };
        targets.iter().enumerate().map(watched).collect()
    }

    /// Its name, as it may be shown.
    pub(crate) fn name(&self) -> &str {
        &self.place.name
    }

    /// Its attempts.
    pub(crate) fn reading(&self, ledger: &Ledger) -> Reading {
        self.meter.lock().reading(ledger.now())
    }
}

/// The name that a target was given, or else its URL without the path, which may hold a secret.
fn shown(target: &Target) -> String {
    let (name, url) = (target.name(), target.to_string());
    if name.starts_with(&url) { url } else { name }
}

/// What the gateway did since it began.
pub(crate) struct Ledger {
    began: Instant,
    pages: Mutex<Pages>,
}

struct Pages {
    totals: Totals,
    calls: Seconds<Calls>,
    /// The last call that ended stopped.
    last_stopped: bool,
    stops: Stops,
    failovers: Minutes,
    state: State,
    /// Since when, and in which second it came to that.
    since: (SystemTime, u64),
}

/// How many calls wait, and how others ended.
#[derive(Clone, Copy, Default, Serialize)]
struct Totals {
    waiting: u64,
    answered: u64,
    /// Of those that were answered: by another target than the first that was tried.
    failed_over: u64,
    stopped: u64,
    /// By their client's own fault.
    refused: u64,
    /// The client went away first.
    abandoned: u64,
}

/// The calls that ended in a second.
#[derive(Clone, Copy, Default, Serialize)]
struct Calls {
    /// Those that were answered and those that stopped.
    count: u32,
    /// Of these: they met a failure.
    failed: u32,
    /// Of these: they stopped.
    stopped: u32,
    /// The others, which their clients left.
    abandoned: u32,
}

/// How the gateway stands, and why.
#[derive(Serialize)]
pub(crate) struct Standing {
    state: State,
    #[serde(serialize_with = "rfc3339")]
    state_since: SystemTime,
    /// In seconds.
    state_for: u64,
    why: String,
    /// What is wrong beside the state.
    warning: Option<String>,
}

/// What is told of it.
#[derive(Serialize)]
pub(crate) struct Report {
    /// In seconds.
    uptime: u64,
    calls: Totals,
    /// The calls of each of the last seconds, the present one last.
    last_minute: Vec<Calls>,
    /// Why calls stopped in the last minute, the most frequent kind first.
    stops: Vec<Stop>,
    failovers: Vec<Failovers>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pages: Mutex::new(Pages::new()) }
    }

    /// Begins a call.
    pub(crate) fn begin(&self, method: &Method) -> Entry<'_> {
        self.pages().totals.waiting += 1;
        Entry { ledger: self, method: method.clone(), ended: false }
    }

    /// How the gateway stands where its client remembers this of these targets. It has stood so since the first time that
    /// this was asked.
    pub(crate) fn stand(&self, snapshot: &Snapshot, watched: &[Watched]) -> Standing {
        let (now, mut pages) = (self.now(), self.pages());
        pages.stand(now, snapshot, watched)
    }

    pub(crate) fn report(&self) -> Report {
        let (now, pages) = (self.now(), self.pages());
        Report {
            uptime: now,
            calls: pages.totals,
            last_minute: pages.calls.last_minute(now).collect(),
            stops: pages.stops.last_minute(now),
            failovers: pages.failovers.rows(),
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

impl Pages {
    fn new() -> Self {
        Self {
            totals: Totals::default(),
            calls: Seconds::default(),
            last_stopped: false,
            stops: Stops::default(),
            failovers: Minutes::default(),
            state: State::Ok,
            since: (SystemTime::now(), 0),
        }
    }

    /// Counts a call that ended, not by its client's fault.
    fn ended(&mut self, now: u64, stopped: bool, failed: bool) {
        self.last_stopped = stopped;
        let second = self.calls.at(now);
        second.count += 1;
        second.failed += u32::from(failed);
        second.stopped += u32::from(stopped);
    }

    fn stand(&mut self, now: u64, snapshot: &Snapshot, watched: &[Watched]) -> Standing {
        let targets: Vec<_> = snapshot.targets.iter().map(|target| target.state).collect();
        let recent = self.recent(now);
        let state = State::of(recent, snapshot.sticky, &targets);
        if state != self.state {
            (self.state, self.since) = (state, (SystemTime::now(), now));
        }
        let (state_since, began) = self.since;
        Standing {
            state,
            state_since,
            state_for: now.saturating_sub(began),
            why: match (state, state::best(&targets)) {
                (State::Down, Some(_)) => self.why_down(now, recent, &targets),
                (State::FailedOver, Some(best)) => self.why_failed_over(snapshot.sticky, best, watched),
                (_, Some(best)) => format!("calls begin at target {best}"),
                (_, None) => "every target is in maintenance".to_owned(),
            },
            warning: (state != State::Down).then(|| self.warning(now)).flatten(),
        }
    }

    /// How calls ended in the last ten seconds.
    fn recent(&self, now: u64) -> Recent {
        let (mut count, mut stopped) = (0, 0);
        for second in self.calls.before(now, 0..RECENT_SECONDS) {
            count += second.count;
            stopped += second.stopped;
        }
        Recent { answered: count - stopped, stopped, last_stopped: self.last_stopped }
    }

    fn why_down(&self, now: u64, recent: Recent, targets: &[AdminState]) -> String {
        let Recent { answered, stopped, .. } = recent;
        let stops = self.stops.last_minute(now);
        let why = stops.first().map(|stop| &*stop.why).or_else(|| self.stops.latest());
        let why = why.unwrap_or("the reason is not known");
        let mut told = match stopped {
            0 => format!("the last call had no good answer: {why}"),
            _ => format!(
                "{stopped} of {} calls in the last {RECENT_SECONDS} s had no good answer: {why}",
                answered + stopped
            ),
        };
        let away: Vec<_> =
            (0..targets.len()).filter(|&target| targets[target] == AdminState::Maintenance).collect();
        if !away.is_empty() {
            told = format!("{told}; {}: in maintenance", why::targets(&away));
        }
        told
    }

    fn why_failed_over(&self, sticky: usize, best: usize, watched: &[Watched]) -> String {
        let why = watched.get(best).and_then(|watched| self.failovers.latest(&watched.place));
        let why = why.map_or_else(|| " is preferred".to_owned(), |why| format!(" failed: {why}"));
        format!("calls begin at target {sticky}, and target {best}{why}")
    }

    /// What went wrong in the last minute although calls are answered.
    fn warning(&self, now: u64) -> Option<String> {
        let (mut count, mut stopped, mut abandoned) = (0, 0, 0);
        for second in self.calls.last_minute(now) {
            count += second.count;
            stopped += second.stopped;
            abandoned += second.abandoned;
        }
        let stopped = (stopped > 0)
            .then(|| format!("{stopped} of {count} calls in the last minute had no good answer"));
        // Some always leave.
        let abandoned = (abandoned > count).then(|| {
            format!(
                "{abandoned} of {} calls in the last minute were left by their clients",
                count + abandoned
            )
        });
        let told: Vec<_> = [stopped, abandoned].into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// A call under way. If it is dropped before its end, its client went away.
pub(crate) struct Entry<'a> {
    ledger: &'a Ledger,
    method: Method,
    ended: bool,
}

/// How a call ended.
#[derive(Clone, Copy)]
enum End<'a> {
    /// With the answer of the target at an index.
    Answered(usize),
    /// Without a good answer, for a reason that has a name and words.
    Stopped(&'static str, &'a str),
    /// By its client's own fault.
    Refused,
}

impl Entry<'_> {
    /// The call was answered. `targets` are those that its indices are of, or none if that is not known.
    pub(crate) fn answered(self, answered: &Answered, targets: &[Watched]) {
        self.end(End::Answered(answered.target()), answered.failures(), targets);
    }

    /// The call has no good answer. `targets` are as above.
    pub(crate) fn failed(mut self, error: &Error, targets: &[Watched]) {
        match error {
            // Its client left in the middle of the request.
            Error::Stopped(_) if error.gateway_status() == StatusCode::BAD_REQUEST => drop(self),
            Error::Stopped(stopped) if error.gateway_status().is_client_error() => {
                self.end(End::Refused, stopped.failures(), targets);
            }
            Error::Stopped(stopped) => {
                let reason = stopped.reason();
                let told = reason.to_string();
                self.end(End::Stopped(reason.as_str(), &told), stopped.failures(), targets);
            }
            // A gateway that is its own target answers nobody.
            Error::Loop => self.end(End::Stopped("loop", &error.to_string()), &[], targets),
            // It is answered here, as it asked for.
            Error::LastHop => {
                self.ended = true;
                self.ledger.pages().totals.waiting -= 1;
            }
            _ => self.end(End::Refused, &[], targets),
        }
    }

    fn end(mut self, end: End<'_>, failures: &[Failure<AttemptError>], targets: &[Watched]) {
        self.ended = true;
        let now = self.ledger.now();
        let mut pages = self.ledger.pages();
        pages.totals.waiting -= 1;
        if let End::Stopped(reason, words) = end {
            // Where the indices are of other targets, what happened there is told of none.
            let failures = if targets.is_empty() { &[] } else { failures };
            pages.stops.count(now, reason, words, failures);
        }
        // What is wrong on this side is no target's failure.
        let failures: Vec<_> =
            failures.iter().filter(|failure| failure.evidence() != Some(Evidence::LocalFault)).collect();
        let answered = match end {
            End::Answered(target) => Some(target),
            End::Stopped(..) | End::Refused => None,
        };
        for failure in &failures {
            count(targets, failure.target(), now, true);
        }
        if let Some(target) = answered {
            count(targets, target, now, false);
            pages.totals.answered += 1;
            let first = failures.first().map_or(target, |failure| failure.target());
            pages.totals.failed_over += u64::from(first != target);
        }
        let stopped = matches!(end, End::Stopped(..));
        pages.totals.stopped += u64::from(stopped);
        if matches!(end, End::Refused) {
            pages.totals.refused += 1;
        } else {
            pages.ended(now, stopped, !failures.is_empty());
        }
        let place = |index: usize| Some(targets.get(index)?.place.clone());
        for (nth, failure) in failures.iter().enumerate() {
            let next = failures.get(nth + 1).map(|failure| failure.target()).or(answered);
            let way = match (next, end) {
                (Some(next), _) if next == failure.target() => None,
                (Some(next), _) => place(next).map(Way::To),
                (None, End::Stopped(reason, words)) => Some(Way::Stopped(reason, words.to_owned())),
                (None, _) => None,
            };
            if let Some((from, way)) = place(failure.target()).zip(way) {
                let took = failure.ended().since(failure.began());
                let (at, why) = (SystemTime::now(), Why::of(failure));
                pages.failovers.count(at, &self.method, from, way, why, took, || failure_in_words(failure));
            }
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let now = self.ledger.now();
        let mut pages = self.ledger.pages();
        pages.totals.waiting -= 1;
        pages.totals.abandoned += 1;
        pages.calls.at(now).abandoned += 1;
    }
}

fn count(targets: &[Watched], index: usize, now: u64, failed: bool) {
    if let Some(watched) = targets.get(index) {
        watched.meter.lock().count(now, failed);
    }
}

#[derive(Default)]
struct Meter(Mutex<Attempts>);

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attempts at a target.
#[derive(Default)]
struct Attempts {
    total: u64,
    failed: u64,
    /// How many there were in each second, and how many of them failed.
    seconds: Seconds<(u32, u32)>,
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

impl Attempts {
    fn count(&mut self, now: u64, failed: bool) {
        let (count, bad) = self.seconds.at(now);
        *count += 1;
        *bad += u32::from(failed);
        self.total += 1;
        self.failed += u64::from(failed);
    }

    fn reading(&self, now: u64) -> Reading {
        // The present second is not over.
        let recent = self.seconds.before(now, 1..=RECENT_SECONDS);
        let (count, failed) =
            recent.fold((0, 0), |(count, failed), (more, bad)| (count + more, failed + bad));
        Reading {
            attempts: self.total,
            failed: self.failed,
            attempts_per_second: f64::from(count) / 10.0,
            failed_per_second: f64::from(failed) / 10.0,
        }
    }
}

/// What counts as of late.
const RECENT_SECONDS: u64 = 10;

#[cfg(test)]
mod tests {
    use failover_tokio::FailoverClient;

    use super::*;

    /// Guards: `Pages::recent` of a minute, and `Pages::stand` that begins anew whenever it is asked.
    #[test]
    fn down_lasts_until_more_calls_were_answered_than_stopped_in_ten_seconds() {
        let (mut pages, snapshot) = (Pages::new(), snapshot());
        let mut stands = |now, calls: &[bool]| {
            for &stopped in calls {
                pages.ended(now, stopped, stopped);
            }
            let Standing { state, state_for, warning, .. } = pages.stand(now, &snapshot, &[]);
            (state, state_for, warning)
        };
        let said = |text: &str| Some(format!("{text} calls in the last minute had no good answer"));
        assert_eq!(stands(100, &[false; 3]), (State::Ok, 100, None));
        assert_eq!(stands(101, &[true; 2]), (State::Ok, 101, said("2 of 5")));
        assert_eq!(stands(102, &[true]), (State::Down, 0, None));
        assert_eq!(stands(109, &[true; 20]), (State::Down, 7, None));
        // What was answered is not of late any more.
        assert_eq!(stands(118, &[false; 19]), (State::Down, 16, None));
        assert_eq!(stands(119, &[]), (State::Ok, 0, said("23 of 45")));
        assert_eq!(stands(1_000, &[]), (State::Ok, 881, None));
        // Nothing has ended since a call stopped.
        assert_eq!(stands(1_001, &[true]), (State::Down, 0, None));
        assert_eq!(stands(9_000, &[]), (State::Down, 7_999, None));
        assert_eq!(stands(9_000, &[false]), (State::Ok, 0, None));
    }

    #[test]
    fn abandoned_calls_are_warned_of_where_most_clients_leave() {
        let (mut pages, snapshot) = (Pages::new(), snapshot());
        pages.ended(5, false, false);
        pages.calls.at(5).abandoned = 1;
        assert_eq!(pages.stand(5, &snapshot, &[]).warning, None);
        pages.calls.at(6).abandoned = 1;
        let said = "2 of 3 calls in the last minute were left by their clients";
        assert_eq!(pages.stand(6, &snapshot, &[]).warning.as_deref(), Some(said));
    }

    fn snapshot() -> Snapshot {
        FailoverClient::builder().targets(["http://127.0.0.1:9"]).build().unwrap().snapshot()
    }
}

//! Outages: that calls stop, and that calls are answered again, told once each.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failover_core::{Reason, Timestamp};
use tracing::{info, warn};

/// Whether the calls of a client stop.
///
/// While they do, they are counted and not told one by one. Where some stop and some are answered, that they stop is told at
/// most once a minute, and that they are answered as often.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Whether a call stopped after the last one that was answered.
    lasts: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The calls that stopped since it was last told that calls are answered.
    stopped: u64,
    /// Since when they stop without one that is answered between.
    since: Timestamp,
    /// Whether it is told that calls stop.
    is_told: bool,
    /// Until when it is not told again.
    told_until: Timestamp,
}

impl Outage {
    /// A call of the client with this name stopped. Returns whether that is told.
    pub(crate) fn stopped(&self, client: &str, reason: Reason, now: Timestamp) -> bool {
        let mut state = self.state();
        if !self.lasts.swap(true, Ordering::Relaxed) {
            state.since = now;
        }
        state.stopped += 1;
        let is_news = !state.is_told && now >= state.told_until;
        if is_news {
            state.is_told = true;
            state.told_until = now + PAUSE;
            warn!(target: "failover", client, reason = reason.as_str(), "calls stop: {reason}");
        }
        is_news
    }

    /// A call was answered. Returns, if it is told that calls are answered again, how many stopped and for how long.
    #[inline]
    pub(crate) fn answered(&self, client: &str, now: Timestamp) -> Option<(u64, f64)> {
        if self.lasts.load(Ordering::Relaxed) { self.ended(client, now) } else { None }
    }

    #[cold]
    fn ended(&self, client: &str, now: Timestamp) -> Option<(u64, f64)> {
        let mut state = self.state();
        self.lasts.store(false, Ordering::Relaxed);
        if !mem::take(&mut state.is_told) {
            return None;
        }
        let (stopped, lasted) = (mem::take(&mut state.stopped), now.since(state.since).as_secs_f64());
        info!(target: "failover", client, stopped, lasted, "calls are answered again");
        Some((stopped, lasted))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long it is not told again that calls stop.
const PAUSE: Duration = Duration::from_secs(60);

//! What happens on the connection of a client: whose turn it is, and since when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// What happens on a connection.
pub(crate) struct Activity {
    state: Mutex<State>,
    leave: Notify,
}

struct State {
    /// Since when it is the client's turn, of each call; `None` while a target is waited for.
    calls: Vec<(u64, Option<Instant>)>,
    /// Tells calls apart.
    begun: u64,
    /// Since when there is no call.
    idle: Instant,
    /// When the first bytes of a request's head came, whose rest is waited for.
    head: Option<Instant>,
    /// Whether the client has to take something before more can be written.
    blocked: bool,
    /// Whether the client was told to go.
    dismissed: bool,
    /// Whether the connection is to be reset where it would be closed.
    reset: bool,
}

impl Activity {
    pub(crate) fn begin() -> Self {
        let state = State {
            calls: Vec::new(),
            begun: 0,
            idle: Instant::now(),
            head: None,
            blocked: false,
            dismissed: false,
            reset: false,
        };
        Self { state: Mutex::new(state), leave: Notify::new() }
    }

    /// Notes that the client was told to go, and begins all turns anew.
    pub(crate) fn dismissed(&self) {
        let (mut state, now) = (self.state(), Instant::now());
        state.idle = now;
        state.dismissed = true;
        state.head = state.head.map(|_| now);
        for (_, turn) in &mut state.calls {
            *turn = turn.map(|_| now);
        }
    }

    /// Waits until the client has not done for so long what is its turn: sent the whole head of a request, or taken of any
    /// answer.
    pub(crate) async fn idle(&self, limit: Duration) {
        self.after(limit, State::turn).await;
    }

    /// Waits until there was no call for so long.
    pub(crate) async fn without_calls(&self, limit: Duration) {
        self.after(limit, |state| state.is_idle().then_some(state.idle)).await;
    }

    /// Waits until its place is needed for another connection, or the process is to end.
    pub(crate) async fn unwanted(&self) {
        self.leave.notified().await;
    }

    /// Notes that something came, which begins a request where there is none.
    pub(crate) fn received(&self) {
        let mut state = self.state();
        if state.calls.is_empty() && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    /// Notes that what came so far was no part of a request.
    pub(crate) fn greeted(&self) {
        self.state().head = None;
    }

    /// Notes whether the client has to take something before more can be written.
    pub(crate) fn is_blocked(&self, blocked: bool) {
        let mut state = self.state();
        if state.blocked && !blocked {
            state.idle = Instant::now();
        }
        state.blocked = blocked;
    }

    /// Whether a part of a request's head has come, and no more.
    pub(crate) fn is_within_a_head(&self) -> bool {
        self.state().head.is_some()
    }

    /// Has the connection be reset where it would be closed, if there is a call on it: its answer must not look whole.
    pub(crate) fn cut_off(&self) {
        let mut state = self.state();
        state.reset |= !state.calls.is_empty();
    }

    /// Whether there was ever a call.
    pub(crate) fn has_had_calls(&self) -> bool {
        self.state().begun > 0
    }

    /// Whether the connection is to be reset where it would be closed.
    pub(crate) fn is_to_be_reset(&self) -> bool {
        self.state().reset
    }

    /// Since when there was no call, if there is none, and the client was not told to go.
    fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.is_idle() && !state.dismissed).then_some(state.idle)
    }

    /// Waits until what began at some time has lasted for so long.
    async fn after(&self, limit: Duration, began: impl Fn(&State) -> Option<Instant>) {
        loop {
            let lasted = began(&self.state()).map(|began| began.elapsed());
            let left = lasted.map_or(limit, |lasted| limit.saturating_sub(lasted));
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is no call, and all of the last answer is on its way.
    fn is_idle(&self) -> bool {
        self.calls.is_empty() && !self.blocked
    }

    /// Since when it is the client's turn, if it is.
    fn turn(&self) -> Option<Instant> {
        if self.calls.is_empty() {
            return Some(self.head.unwrap_or(self.idle));
        }
        self.calls.iter().filter_map(|(_, turn)| *turn).min()
    }
}

/// The connections that are open.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<Mutex<Vec<Weak<Activity>>>>);

impl Open {
    /// Adds one, which is there until it is dropped.
    pub(crate) fn add(&self, activity: &Arc<Activity>) {
        let mut open = self.lock();
        if open.len() == open.capacity() {
            open.retain(|other| other.strong_count() > 0);
        }
        open.push(Arc::downgrade(activity));
    }

    /// Has the one leave that has had no call for longest, if that is long enough for a client to send its next request.
    pub(crate) fn dismiss_idlest(&self) {
        let open: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let idle = open.iter().filter_map(|activity| Some((activity.idle_since()?, activity)));
        match idle.min_by_key(|(since, _)| *since) {
            Some((since, idlest)) if since.elapsed() >= GRACE => idlest.leave.notify_one(),
            _ => {}
        }
    }

    /// Has all leave.
    pub(crate) fn dismiss_all(&self) {
        for activity in self.lock().iter().filter_map(Weak::upgrade) {
            activity.leave.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Activity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call, from the head of its request to the end of its answer. At first a target is waited for.
pub(crate) struct Call {
    activity: Arc<Activity>,
    number: u64,
}

impl Call {
    pub(crate) fn begin(activity: &Arc<Activity>) -> Self {
        let mut state = activity.state();
        state.begun += 1;
        state.head = None;
        let number = state.begun;
        state.calls.push((number, None));
        drop(state);
        Self { activity: Arc::clone(activity), number }
    }

    /// From now on it is the client's turn to take of the answer.
    pub(crate) fn waits_for_the_client(&self) {
        self.turn(Some(Instant::now()));
    }

    /// From now on a target is waited for.
    pub(crate) fn waits_for_a_target(&self) {
        self.turn(None);
    }

    /// Lets the connection end by a reset.
    pub(crate) fn reset_connection(&self) {
        self.activity.state().reset = true;
    }

    fn turn(&self, turn: Option<Instant>) {
        let mut state = self.activity.state();
        if let Some((_, whose)) = state.calls.iter_mut().find(|(number, _)| *number == self.number) {
            *whose = turn;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.calls.retain(|(number, _)| *number != self.number);
        state.idle = Instant::now();
    }
}

/// How long a connection without a call keeps its place though another one wants it.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_without_calls_once_all_is_taken() {
        let activity = Arc::new(Activity::begin());
        assert!(activity.idle_since().is_some());
        let call = Call::begin(&activity);
        assert!(activity.idle_since().is_none() && activity.state().turn().is_none());
        call.waits_for_the_client();
        assert!(activity.state().turn().is_some());
        activity.is_blocked(true);
        drop(call);
        assert!(activity.idle_since().is_none(), "its end is not taken yet");
        activity.is_blocked(false);
        assert!(activity.idle_since().is_some());
        activity.received();
        let began = activity.state().turn();
        activity.dismissed();
        assert!(activity.is_within_a_head() && activity.state().turn() >= began);
        assert!(activity.idle_since().is_none(), "it was told to go");
    }
}

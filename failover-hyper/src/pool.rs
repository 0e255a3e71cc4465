//! The connections to one origin: those that are idle, those that are shared, and those that are being opened.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::connect::{ConnectError, Connector, Opened, Origin};
use crate::http1::{Home, Http1};
use crate::http2::{Http2, Joined};
use crate::places::Freed;
use crate::progress::{Progress, Stage};
use crate::runtime::Runtime;
use crate::tuning::Tuning;

/// The connections to one origin.
pub(crate) struct Pool<R: Runtime> {
    origin: Origin,
    connector: Arc<Connector<R>>,
    state: Mutex<State>,
    /// Every connection of HTTP/1.1 has one of it, whoever has the connection.
    open: Arc<()>,
    this: Weak<Self>,
}

#[derive(Default)]
struct State {
    /// The one that was used last is the last.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
    /// The calls that wait, the first one first.
    waiting: VecDeque<oneshot::Sender<Result<Connection, ConnectError>>>,
    /// What opening a connection for them may take.
    bound: Duration,
    /// How many connections are being opened.
    dials: usize,
    /// How many requests the last connection had room for, once there was one.
    room: Option<usize>,
    /// Whether a task looks after the connections.
    is_swept: bool,
}

struct Idle {
    connection: Box<Http1>,
    since: Instant,
    /// Until when it is given a request.
    until: Instant,
}

struct Shared {
    connection: Http2,
    /// When a request was sent on it last.
    used: Instant,
}

/// A connection for one request.
pub(crate) enum Connection {
    /// All of it.
    Alone(Box<Http1>),
    /// A place on it.
    Among(Joined),
}

impl<R: Runtime> Pool<R> {
    pub(crate) fn new(origin: Origin, connector: Arc<Connector<R>>) -> Arc<Self> {
        let (state, open) = (Mutex::default(), Arc::default());
        Arc::new_cyclic(|this| Self { origin, connector, state, open, this: this.clone() })
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    fn tuning(&self) -> &Tuning {
        self.connector.tuning()
    }

    /// Takes a connection, or waits for one. What is opened for it has this bound, also when this was given up.
    ///
    /// # Errors
    ///
    /// One was to be opened for this call, and was not, or there was no room on those that there are in time.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        bound: Duration,
        progress: &Progress,
    ) -> Result<Connection, ConnectError> {
        let (waiter, is_queued) = {
            let mut state = self.state();
            if let Some(connection) = self.take(&mut state) {
                return Ok(connection);
            }
            let (sender, waiter) = oneshot::channel();
            state.waiting.push_back(sender);
            state.bound = bound;
            let most = self.tuning().max_dials.saturating_mul(self.room_of_one(&state));
            if state.waiting.len() > most {
                state.waiting.retain(|waiter| !waiter.is_closed());
            }
            // Nothing is opened for it before others have their connections.
            let is_queued = !state.shared.is_empty() || state.waiting.len() > most;
            progress.reach(if is_queued { Stage::Queued } else { Stage::Connecting });
            (waiter, is_queued)
        };
        self.dial_as_needed(bound);
        // Whoever waits is told, as long as there is the pool.
        let waiter = async { waiter.await.unwrap_or(Err(ConnectError::Elapsed)) };
        // A dial has its bound; for room is waited as long.
        if is_queued {
            R::timeout(bound, waiter).await.unwrap_or(Err(ConnectError::Full))
        } else {
            waiter.await
        }
    }

    /// Opens a connection of HTTP/1.1 for a call that may make it one of another protocol.
    ///
    /// # Errors
    ///
    /// There is none, or not in time.
    pub(crate) async fn connection_to_upgrade(
        &self,
        bound: Duration,
        progress: &Progress,
    ) -> Result<Box<Http1>, ConnectError> {
        progress.reach(Stage::Connecting);
        let mut connection = self.connector.open_http1(&self.origin, bound).await?;
        connection.counted = Some(Arc::clone(&self.open));
        Ok(connection)
    }

    /// A connection that has room for a request. One that was idle may turn out to have been closed meanwhile.
    fn take(&self, state: &mut State) -> Option<Connection> {
        let now = R::now();
        state.shared.retain(|shared| !shared.connection.is_ended());
        for shared in &mut state.shared {
            if self.is_young(&shared.connection, now) {
                if let Some(joined) = shared.connection.join(&self.freed()) {
                    shared.used = now;
                    return Some(Connection::Among(joined));
                }
            }
        }
        while let Some(idle) = state.idle.pop() {
            if idle.is_good(now) {
                return Some(Connection::Alone(idle.connection));
            }
        }
        None
    }

    /// Gives what there is to those who wait.
    fn serve(&self) {
        loop {
            let mut state = self.state();
            let Some(waiter) = state.next_waiter() else { return };
            let Some(connection) = self.take(&mut state) else {
                return state.waiting.push_front(waiter);
            };
            drop(state);
            if let Err(Ok(Connection::Alone(connection))) = waiter.send(Ok(connection)) {
                self.state().keep(connection, R::now(), self.tuning());
            }
        }
    }

    /// Opens as many connections as the calls that wait need.
    fn dial_as_needed(&self, bound: Duration) {
        let more = {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.is_closed());
            let each = self.room_of_one(&state);
            let needed = state.waiting.len().div_ceil(each).min(self.tuning().max_dials);
            let more = needed.saturating_sub(state.dials);
            state.dials += more;
            more
        };
        for _ in 0..more {
            let dialing = Dialing(self.this.clone());
            R::spawn(Self::dial(dialing, Arc::clone(&self.connector), self.origin.clone(), bound));
        }
    }

    /// For how many of the calls that wait a connection is opened.
    fn room_of_one(&self, state: &State) -> usize {
        match state.room {
            Some(room) => room.max(1),
            // One tells which protocol is spoken.
            None if self.origin.may_speak_http2() => usize::MAX,
            None => 1,
        }
    }

    /// Opens a connection, for whoever waits when it is open.
    async fn dial(dialing: Dialing<R>, connector: Arc<Connector<R>>, origin: Origin, bound: Duration) {
        let freed: Weak<dyn Freed> = dialing.0.clone();
        let opened = connector.open(&origin, bound, freed).await;
        let Some(pool) = dialing.0.upgrade() else { return };
        let failed = {
            let mut state = pool.state();
            let now = R::now();
            match opened {
                Ok(Opened::Http1(mut connection)) => {
                    connection.counted = Some(Arc::clone(&pool.open));
                    state.room = Some(1);
                    state.idle.push(Idle::new(connection, now, pool.tuning()));
                    None
                }
                Ok(Opened::Http2(connection)) => {
                    // Until its settings came, nobody knows how many it has room for.
                    state.room = Some(connection.most().max(USUAL_ROOM));
                    state.shared.push(Shared { connection, used: now });
                    None
                }
                // The target works, and who waits waits for room.
                Err(_) if state.has_good_one() => {
                    drop(state);
                    drop(dialing);
                    return Freed::freed(&*pool);
                }
                Err(error) => Some((error, state.next_waiter())),
            }
        };
        drop(dialing);
        match failed {
            Some((error, waiter)) => drop(waiter.map(|waiter| waiter.send(Err(error)))),
            None => pool.sweep_from_now_on(),
        }
        pool.serve();
        pool.dial_as_needed(bound);
    }

    /// Has a task look after the connections for as long as there are any.
    fn sweep_from_now_on(&self) {
        if std::mem::replace(&mut self.state().is_swept, true) {
            return;
        }
        let sweeping = Sweeping(self.this.clone());
        R::spawn(async move {
            loop {
                R::sleep(SWEEP_INTERVAL).await;
                if !sweeping.0.upgrade().is_some_and(|pool| pool.sweep()) {
                    return;
                }
            }
        });
    }

    /// Closes what is not to be kept; whether anything is left.
    fn sweep(&self) -> bool {
        let (mut state, now) = (self.state(), R::now());
        let spare = state.idle.len().saturating_sub(FEW.min(self.tuning().max_idle));
        let mut place = 0;
        state.idle.retain_mut(|idle| {
            place += 1;
            let is_spare = place <= spare && now.saturating_duration_since(idle.since) >= SPARE_TIME;
            !is_spare && idle.is_good(now) && idle.connection.is_still_usable()
        });
        state.shared.retain(|Shared { connection, used }| {
            let is_unused = now.saturating_duration_since(*used) >= self.tuning().idle_timeout;
            let is_done = connection.is_idle() && (is_unused || !self.is_young(connection, now));
            !connection.is_ended() && !is_done
        });
        state.is_swept = state.has_connections();
        state.is_swept
    }

    /// Whether a connection is given new requests.
    fn is_young(&self, connection: &Http2, now: Instant) -> bool {
        now.saturating_duration_since(connection.opened()) < self.tuning().max_age
    }

    /// Whether it has no connections.
    pub(crate) fn is_empty(&self) -> bool {
        !self.state().has_connections()
    }

    fn freed(&self) -> Weak<dyn Freed> {
        self.this.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is being opened. A runtime that ends drops its tasks, and another one may use the pool.
struct Dialing<R: Runtime>(Weak<Pool<R>>);

impl<R: Runtime> Drop for Dialing<R> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.state().dials -= 1;
        }
    }
}

/// What looks after the connections, until none is left or its runtime ends.
struct Sweeping<R: Runtime>(Weak<Pool<R>>);

impl<R: Runtime> Drop for Sweeping<R> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.state().is_swept = false;
        }
    }
}

impl<R: Runtime> Home for Pool<R> {
    fn take_back(&self, connection: Box<Http1>) {
        let now = R::now();
        let (is_swept, is_waited_for) = {
            let mut state = self.state();
            state.keep(connection, now, self.tuning());
            (state.is_swept, !state.waiting.is_empty())
        };
        if !is_swept {
            self.sweep_from_now_on();
        }
        if is_waited_for {
            self.serve();
        }
    }
}

/// What knows how many connections there are.
#[cfg(feature = "metrics")]
pub(crate) trait Census: Send + Sync + fmt::Debug {
    /// How many are idle, and how many in use.
    fn count(&self) -> (usize, usize);
}

#[cfg(feature = "metrics")]
impl<R: Runtime> Census for Pool<R> {
    fn count(&self) -> (usize, usize) {
        let state = self.state();
        let alone = Arc::strong_count(&self.open).saturating_sub(1 + state.idle.len());
        let among = state.shared.iter().filter(|shared| !shared.connection.is_idle()).count();
        (state.idle.len() + state.shared.len() - among, alone + among)
    }
}

impl<R: Runtime> Freed for Pool<R> {
    fn freed(&self) {
        self.serve();
        let bound = {
            let state = self.state();
            (state.dials == 0 && !state.has_good_one()).then_some(state.bound)
        };
        // Who waited for room on a connection that ended needs another one.
        if let Some(bound) = bound.filter(|_| R::is_running()) {
            self.dial_as_needed(bound);
        }
    }
}

impl State {
    /// Whether there is a connection that requests share, be it full.
    fn has_good_one(&self) -> bool {
        self.shared.iter().any(|shared| shared.connection.is_good())
    }

    fn has_connections(&self) -> bool {
        !self.idle.is_empty() || !self.shared.is_empty()
    }

    fn keep(&mut self, connection: Box<Http1>, now: Instant, tuning: &Tuning) {
        let idle = Idle::new(connection, now, tuning);
        if idle.is_good(now) && self.idle.len() < tuning.max_idle {
            self.idle.push(idle);
        }
    }

    /// The first call that still waits.
    fn next_waiter(&mut self) -> Option<oneshot::Sender<Result<Connection, ConnectError>>> {
        while let Some(waiter) = self.waiting.pop_front() {
            if !waiter.is_closed() {
                return Some(waiter);
            }
        }
        None
    }
}

impl Idle {
    fn new(connection: Box<Http1>, now: Instant, tuning: &Tuning) -> Self {
        let until = (now + connection.idle_time).min(connection.opened + tuning.max_age);
        Self { connection, since: now, until }
    }

    fn is_good(&self, now: Instant) -> bool {
        now < self.until
    }
}

impl<R: Runtime> fmt::Debug for Pool<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// How many idle connections are no burst's remains, and how long those are kept that are.
const FEW: usize = 8;
const SPARE_TIME: Duration = Duration::from_secs(5);

/// How many requests a connection of HTTP/2 usually has room for.
const USUAL_ROOM: usize = 100;

/// How often connections are looked after.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

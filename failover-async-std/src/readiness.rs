//! Whether a socket may have something to read.
//!
//! A read of async-std asks the system each time, also where the system has said that there is nothing and has not said
//! otherwise since. hyper reads whenever it is polled: six times for one answer.
//!
//! Where there is nothing, a read of async-std has the reactor wait for the socket, on whatever thread that is. A glance does
//! not: it comes before a request is written, and on the next read the answer may be there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use atomic_waker::AtomicWaker;

/// Whether a socket may have something to read, and who waits for that.
#[derive(Debug)]
pub(crate) struct Readiness {
    state: Arc<State>,
    /// The state's.
    waker: Waker,
    /// Whether the next read is a glance.
    glances: AtomicBool,
}

#[derive(Debug)]
struct State {
    may_read: AtomicBool,
    is_woken: AtomicBool,
    reader: AtomicWaker,
}

impl Readiness {
    /// Of a socket that was not read yet.
    pub(crate) fn unknown() -> Self {
        let state = Arc::new(State {
            may_read: AtomicBool::new(true),
            is_woken: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        Self { waker: Waker::from(Arc::clone(&state)), state, glances: AtomicBool::new(false) }
    }

    /// Reads, if the system has not said that there is nothing, and waits for the reactor to say otherwise.
    ///
    /// A glance asks the system in any case, and is to be followed by another read instead.
    pub(crate) fn read<T>(
        &self,
        cx: &Context<'_>,
        mut read: impl FnMut() -> io::Result<T>,
        mut wait: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<T>> {
        self.state.reader.register(cx.waker());
        let glances = self.glances.load(Ordering::Relaxed) && self.glances.swap(false, Ordering::Relaxed);
        if !self.state.may_read.swap(false, Ordering::AcqRel) && !glances {
            return Poll::Pending;
        }
        // The reactor's news are heard by waiting, or they would end the next wait.
        if self.state.is_woken.load(Ordering::Relaxed) && self.state.is_woken.swap(false, Ordering::AcqRel) {
            let _ = wait(&mut Context::from_waker(&self.waker));
        }
        let result = loop {
            match read() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break result,
            }
            if glances {
                self.forget();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Err(error) = ready!(wait(&mut Context::from_waker(&self.waker))) {
                break Err(error);
            }
        };
        self.forget();
        Poll::Ready(result)
    }

    /// Has the next read be a glance.
    pub(crate) fn glance(&self) {
        self.glances.store(true, Ordering::Relaxed);
    }

    fn forget(&self) {
        self.state.may_read.store(true, Ordering::Release);
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.may_read.store(true, Ordering::Release);
        self.reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Guards: `Readiness::read` that asks each time, `State::wake_by_ref` that tells nobody or forgets nothing, and news of the
    /// reactor that are not heard before the next wait.
    #[test]
    fn the_system_is_asked_once_until_it_has_news() {
        let (mut lab, nothing) = (Lab::new(), |_: &Waker| {});
        assert_eq!(lab.read(Ok(()), &nothing), (true, 1, 0));
        assert_eq!(lab.read(Err(BLOCKED), &nothing), (false, 1, 1));
        assert_eq!(lab.read(Ok(()), &nothing), (false, 0, 0));
        assert_eq!(lab.woken(), 0);
        lab.readiness.waker.wake_by_ref();
        assert_eq!(lab.woken(), 1);
        // What comes just when the system says that there is nothing is not lost.
        assert_eq!(lab.read(Err(BLOCKED), &|reactor: &Waker| reactor.wake_by_ref()), (false, 1, 2));
        assert_eq!(lab.woken(), 2);
        assert_eq!(lab.read(Ok(()), &nothing), (true, 1, 1));
        assert_eq!(lab.read(Ok(()), &nothing), (true, 1, 0));
    }

    /// Guards: `Readiness::read` whose glance waits for the reactor, tells nobody that it is over, is not over where there was
    /// something, or does not ask.
    #[test]
    fn a_glance_asks_the_system_and_waits_for_nothing() {
        let (mut lab, nothing) = (Lab::new(), |_: &Waker| {});
        assert_eq!(lab.read(Err(BLOCKED), &nothing), (false, 1, 1));
        lab.readiness.glance();
        assert_eq!(lab.read(Err(BLOCKED), &nothing), (false, 1, 0));
        assert_eq!(lab.woken(), 1);
        assert_eq!(lab.read(Err(BLOCKED), &nothing), (false, 1, 1));
        lab.readiness.glance();
        assert_eq!(lab.read(Ok(()), &nothing), (true, 1, 0));
        assert_eq!(lab.read(Err(BLOCKED), &nothing), (false, 1, 1));
        assert_eq!(lab.woken(), 1);
    }

    /// A socket, and the task that reads it.
    struct Lab {
        readiness: Readiness,
        woken: Arc<Count>,
    }

    impl Lab {
        fn new() -> Self {
            Self { readiness: Readiness::unknown(), woken: Arc::default() }
        }

        /// Whether a read of which the system says this is over, and how often that and the reactor were asked.
        fn read(
            &mut self,
            says: Result<(), io::ErrorKind>,
            meanwhile: &dyn Fn(&Waker),
        ) -> (bool, usize, usize) {
            let task = Waker::from(Arc::clone(&self.woken));
            let (mut asked, mut waited) = (0, 0);
            let system = || {
                asked += 1;
                says.map_err(io::Error::from)
            };
            let reactor = |cx: &mut Context<'_>| {
                waited += 1;
                meanwhile(cx.waker());
                Poll::Pending
            };
            let read = self.readiness.read(&Context::from_waker(&task), system, reactor);
            (read.is_ready(), asked, waited)
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    const BLOCKED: io::ErrorKind = io::ErrorKind::WouldBlock;
}

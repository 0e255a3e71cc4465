//! Whether a socket may have something to read.
//!
//! A read of async-std asks the system each time, also where the system has said that there is nothing and has not said
//! otherwise since. hyper reads whenever it is polled: six times for one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Whether a socket may have something to read, and who waits for that.
#[derive(Debug)]
pub(crate) struct Readiness {
    state: Arc<State>,
    /// The state's.
    waker: Waker,
}

#[derive(Debug)]
struct State {
    may_read: AtomicBool,
    reader: AtomicWaker,
}

impl Readiness {
    /// Of a socket that was not read yet.
    pub(crate) fn unknown() -> Self {
        let state = Arc::new(State { may_read: AtomicBool::new(true), reader: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&state)), state }
    }

    /// Reads, if the system has not said that there is nothing.
    pub(crate) fn read<T>(
        &self,
        cx: &Context<'_>,
        read: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.state.reader.register(cx.waker());
        if !self.state.may_read.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let read = read(&mut Context::from_waker(&self.waker));
        if read.is_ready() {
            self.forget();
        }
        read
    }

    /// Has the next read ask the system.
    pub(crate) fn forget(&self) {
        self.state.may_read.store(true, Ordering::Release);
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.may_read.store(true, Ordering::Release);
        self.reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `Readiness::read` that asks each time, `State::wake_by_ref` that tells nobody, and `forget` that does nothing.
    #[test]
    fn the_system_is_asked_once_until_it_has_news() {
        let readiness = Readiness::unknown();
        let mut asked = vec![];
        let mut read = |readiness: &Readiness, result: Poll<()>| {
            let before = asked.len();
            let read = readiness.read(&Context::from_waker(Waker::noop()), |cx| {
                asked.push(cx.waker().clone());
                result
            });
            (read, asked.len() - before)
        };
        assert_eq!(read(&readiness, Poll::Ready(())), (Poll::Ready(()), 1));
        assert_eq!(read(&readiness, Poll::Pending), (Poll::Pending, 1));
        assert_eq!(read(&readiness, Poll::Ready(())), (Poll::Pending, 0));
        readiness.waker.wake_by_ref();
        assert_eq!(read(&readiness, Poll::Pending), (Poll::Pending, 1));
        readiness.forget();
        assert_eq!(read(&readiness, Poll::Ready(())), (Poll::Ready(()), 1));
    }
}

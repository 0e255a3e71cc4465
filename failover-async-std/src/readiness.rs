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
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Guards: `Readiness::read` that asks each time, `State::wake_by_ref` that tells nobody or forgets nothing, and `forget` that
    /// does nothing.
    #[test]
    fn the_system_is_asked_once_until_it_has_news() {
        let (readiness, woken) = (Readiness::unknown(), Arc::new(Count::default()));
        let task = Waker::from(Arc::clone(&woken));
        let read = |meanwhile: &dyn Fn(&Waker), result: Poll<()>| {
            let mut asked = 0;
            let read = readiness.read(&Context::from_waker(&task), |cx| {
                asked += 1;
                meanwhile(cx.waker());
                result
            });
            (read, asked)
        };
        let nothing = |_: &Waker| {};
        assert_eq!(read(&nothing, Poll::Ready(())), (Poll::Ready(()), 1));
        assert_eq!(read(&nothing, Poll::Pending), (Poll::Pending, 1));
        assert_eq!(read(&nothing, Poll::Ready(())), (Poll::Pending, 0));
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        readiness.waker.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        // What comes just when the system says that there is nothing is not lost.
        assert_eq!(read(&Waker::wake_by_ref, Poll::Pending), (Poll::Pending, 1));
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(read(&nothing, Poll::Pending), (Poll::Pending, 1));
        readiness.forget();
        assert_eq!(read(&nothing, Poll::Ready(())), (Poll::Ready(()), 1));
    }
}

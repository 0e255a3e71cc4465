//! Wakes of a connection that its call drives: passed on only while nobody drives it.
//!
//! What drives a connection also takes what comes of it, so that a wake in between is no news: without this each call would
//! be polled once more for what it did itself.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Who is to be woken for a connection.
#[derive(Debug, Default)]
pub(crate) struct Relay(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who waits for it.
    task: Option<Waker>,
    is_driven: bool,
    /// Whether there was a wake while it was driven.
    has_news: bool,
}

impl Relay {
    /// Polls for a task, which is woken by what happens after that. Where something happens within `poll` and it is pending, it
    /// polls once more; what happens within that is told by one wake after it.
    pub(crate) fn within<T>(&self, cx: &Context<'_>, mut poll: impl FnMut() -> Poll<T>) -> Poll<T> {
        {
            let mut state = self.state();
            (state.is_driven, state.has_news) = (true, false);
            if !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                state.task = Some(cx.waker().clone());
            }
        }
        let mut polled = poll();
        let mut state = self.state();
        if polled.is_pending() && mem::take(&mut state.has_news) {
            drop(state);
            polled = poll();
            state = self.state();
        }
        state.is_driven = false;
        if polled.is_pending() && state.has_news {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Lets nobody be woken any more.
    pub(crate) fn rest(&self) {
        self.state().task = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        if state.is_driven {
            state.has_news = true;
            return;
        }
        let task = state.task.clone();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn read(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Guards: a `Relay` that polls only once, without end, or again where there is a result.
    #[test]
    fn what_happened_while_it_was_driven_is_looked_at_once_more() {
        let relay = Arc::new(Relay::default());
        let (waker, task) = (Waker::from(Arc::clone(&relay)), Arc::new(Count::default()));
        let task_waker = Waker::from(Arc::clone(&task));
        let poll = |polls: &[(bool, bool)]| {
            let mut next = polls.iter();
            let polled = relay.within(&Context::from_waker(&task_waker), || {
                let (is_woken, is_ready) = next.next().expect("it polls no more");
                if *is_woken {
                    waker.wake_by_ref();
                }
                if *is_ready { Poll::Ready(()) } else { Poll::Pending }
            });
            assert_eq!(next.len(), 0);
            (polled.is_ready(), task.read())
        };
        assert_eq!(poll(&[(false, false)]), (false, 0));
        assert_eq!(poll(&[(true, true)]), (true, 0));
        assert_eq!(poll(&[(true, false), (false, true)]), (true, 0));
        assert_eq!(poll(&[(true, false), (false, false)]), (false, 0));
        assert_eq!(poll(&[(true, false), (true, false)]), (false, 1));
    }

    /// Guards: a `Relay` that passes each wake on, one that forgets those while it is driven, and one that wakes whoever had
    /// the connection before.
    #[test]
    fn a_wake_is_passed_on_once_and_only_where_the_task_could_miss_it() {
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (first_waker, second_waker) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
        waker.wake_by_ref();
        let poll = |task: &Waker, polled: Poll<()>, wakes: usize| {
            relay.within(&Context::from_waker(task), || {
                for _ in 0..wakes {
                    waker.wake_by_ref();
                }
                polled
            })
        };
        assert_eq!(poll(&first_waker, Poll::Pending, 0), Poll::Pending);
        assert_eq!(first.read(), 0, "what was before the first poll is no news");
        assert_eq!(poll(&first_waker, Poll::Ready(()), 3), Poll::Ready(()));
        assert_eq!(first.read(), 0, "who has a result polls again by himself");
        assert_eq!(poll(&first_waker, Poll::Pending, 3), Poll::Pending);
        assert_eq!(first.read(), 1);
        waker.wake_by_ref();
        assert_eq!(first.read(), 2);
        assert_eq!(poll(&second_waker, Poll::Pending, 0), Poll::Pending);
        waker.wake_by_ref();
        assert_eq!((first.read(), second.read()), (2, 1));
        relay.rest();
        waker.wake_by_ref();
        assert_eq!((first.read(), second.read()), (2, 1));
    }
}

//! What waits for long beside something that happens often.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Runs a future that is polled only when it was woken itself, not with all else that its task waits for.
pub(crate) async fn when_woken<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let news = Arc::new(News { is_there: AtomicBool::new(true), task: AtomicWaker::new() });
    let waker = Waker::from(Arc::clone(&news));
    poll_fn(|cx| {
        news.task.register(cx.waker());
        if news.is_there.swap(false, Ordering::AcqRel) {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Whether a future was woken.
struct News {
    is_there: AtomicBool,
    task: AtomicWaker,
}

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_there.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::task::yield_now;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Guards: `when_woken` that polls whenever it is polled, or that forgets whom it is to wake.
    #[tokio::test(start_paused = true)]
    async fn it_is_polled_when_it_was_woken_and_not_before() {
        let (polls, began) = (Cell::new(0), Instant::now());
        let mut slept = pin!(sleep(Duration::from_secs(1)));
        let counted = poll_fn(|cx| {
            polls.set(polls.get() + 1);
            slept.as_mut().poll(cx)
        });
        let often = async {
            for _ in 0..9 {
                yield_now().await;
            }
        };
        tokio::join!(when_woken(counted), often);
        assert_eq!((polls.get(), began.elapsed()), (2, Duration::from_secs(1)));
    }
}

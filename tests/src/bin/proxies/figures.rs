//! What a proxy's callers saw of a fault, in figures.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::caller::{Answerer, Call};

/// When what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) fault: Instant,
    pub(crate) back: Instant,
    pub(crate) end: Instant,
}

/// The figures of one proxy in one scene.
#[derive(Debug)]
pub(crate) struct Figures {
    calls: usize,
    /// Answered, but not soon.
    slow: usize,
    failed_gets: usize,
    failed_posts: usize,
    /// Failed POSTs that were executed.
    in_doubt: usize,
    /// POSTs that were executed more than once.
    twice: usize,
    /// Of the calls that began during the fault.
    p99: Duration,
    worst: Duration,
    /// Until calls went elsewhere and were well, if they ever did.
    left: Option<Duration>,
    /// Until calls went to the first backend again, if they ever did.
    returned: Option<Duration>,
    watched: Duration,
    /// How calls failed, and how many.
    pub(crate) failures: BTreeMap<String, usize>,
}

impl Figures {
    /// Of calls in the order in which they began.
    pub(crate) fn of(calls: &[Call], executions: &HashMap<String, u32>, times: Times) -> Self {
        let executed = |call: &&Call| executions.get(&call.id).copied().unwrap_or(0);
        let posts = || calls.iter().filter(|call| call.is_post);
        let failed = |call: &&Call| call.end.is_err();
        let during = within(calls, times.fault, times.back);
        let after = within(calls, times.back, times.end);
        let mut took: Vec<_> = during.iter().map(|call| call.took).collect();
        took.sort();
        let mut failures = BTreeMap::new();
        for call in calls {
            if let Err(error) = &call.end {
                let method = if call.is_post { "POST" } else { "GET" };
                *failures.entry(format!("{method} {error}")).or_default() += 1;
            }
        }
        let is_left = |call: &Call| call.end == Ok(Answerer::Second) && call.took < SOON;
        let is_back = |call: &Call| call.end == Ok(Answerer::First);
        Self {
            calls: calls.len(),
            slow: calls.iter().filter(|call| call.end.is_ok() && call.took >= SOON).count(),
            failed_gets: calls.iter().filter(|call| !call.is_post).filter(failed).count(),
            failed_posts: posts().filter(failed).count(),
            in_doubt: posts().filter(failed).filter(|call| executed(call) > 0).count(),
            twice: posts().filter(|call| executed(call) > 1).count(),
            p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
            worst: took.last().copied().unwrap_or_default(),
            left: settled(during, is_left).map(|began| began - times.fault),
            returned: settled(after, is_back).map(|began| began - times.back),
            watched: times.end - times.back,
            failures,
        }
    }

    /// How many failed, how many were slow, and when calls went elsewhere.
    pub(crate) fn in_short(&self) -> String {
        format!("{} / {} / {}", self.failed_gets + self.failed_posts, self.slow, self.until_left())
    }

    fn until_left(&self) -> String {
        self.left.map_or_else(|| "never".to_owned(), |left| format!("{:.1} s", left.as_secs_f64()))
    }
}

/// The cells of its row in a table.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, slow, failed_gets, failed_posts, in_doubt, twice, p99, worst, .. } = self;
        write!(f, "{calls} | {slow} | {failed_gets} | {failed_posts} | {in_doubt} | {twice} | ")?;
        write!(f, "{} | {} | ", in_milliseconds(*p99), in_milliseconds(*worst))?;
        write!(f, "{} | ", self.until_left())?;
        match self.returned {
            Some(returned) => write!(f, "{:.1} s", returned.as_secs_f64()),
            None => write!(f, "> {:.0} s", self.watched.as_secs_f64()),
        }
    }
}

/// What [`Figures`] show.
pub(crate) const HEADS: [&str; 10] = [
    "calls",
    "answered after > 1 s",
    "failed GET",
    "failed POST",
    "of them in doubt",
    "POST executed twice",
    "p99, ms",
    "worst, ms",
    "left after",
    "back after",
];

/// The calls that began from a moment on and before another one.
fn within(calls: &[Call], from: Instant, until: Instant) -> &[Call] {
    let place = |moment: Instant| calls.partition_point(|call| call.began < moment);
    &calls[place(from)..place(until)]
}

/// When the first call began that was as it should be, and from which on fewer than one in a hundred were not.
fn settled(calls: &[Call], is_right: impl Fn(&Call) -> bool) -> Option<Instant> {
    let (mut wrong, mut found) = (0, None);
    for (later, call) in calls.iter().rev().enumerate() {
        if is_right(call) {
            if wrong * 100 <= later {
                found = Some(call.began);
            }
        } else {
            wrong += 1;
        }
    }
    found
}

fn in_milliseconds(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}

/// A call that takes longer has not been spared the fault.
const SOON: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `settled` that counts from the first call on, one that takes the last such call, and one that allows none that are wrong.
    #[test]
    fn calls_have_settled_from_the_first_good_one_with_less_than_a_hundredth_of_bad_ones_after_it() {
        let begin = Instant::now();
        let settled = |good: &dyn Fn(u64) -> bool| {
            let calls: Vec<_> = (0..1_000).map(|nth| call(begin, nth, good(nth))).collect();
            settled(&calls, |call| call.end.is_ok()).map(|moment| (moment - begin).as_millis())
        };
        assert_eq!(settled(&|_| true), Some(0));
        assert_eq!(settled(&|_| false), None);
        assert_eq!(settled(&|nth| nth >= 300), Some(300));
        assert_eq!(settled(&|nth| nth >= 300 && nth % 200 != 0), Some(300), "some that go wrong later");
        assert_eq!(settled(&|nth| nth % 50 != 0), Some(951), "too many that do");
    }

    fn call(first: Instant, nth: u64, is_good: bool) -> Call {
        let end = if is_good { Ok(Answerer::Second) } else { Err("cut".to_owned()) };
        let began = first + Duration::from_millis(nth);
        Call { id: nth.to_string(), is_post: false, began, took: Duration::ZERO, end }
    }
}

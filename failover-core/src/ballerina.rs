//! Ballerina: the preset that does what its `http:FailoverClient` does, and the messages of that client.

use core::fmt;
use core::time::Duration;

use crate::evidence::Replay;
use crate::outcome::{Cause, Failure, Named, Stopped};
use crate::policy::{Follow, Policy};

impl Policy {
    /// What Ballerina's `http:FailoverClient` does: every target once, in order, with every request, from the target
    /// that worked last.
    #[must_use]
    pub fn ballerina() -> Self {
        Self {
            not_processed: None,
            replay: Replay::Always,
            connect_timeout: Duration::from_secs(15),
            attempt_timeout: Duration::from_secs(30),
            deadline: None,
            free_repeat: false,
            replay_buffer: 8 << 20,
            follow: Follow::Answer,
            late: None,
            failback: None,
            cool_down: None,
            retry_after: None,
            ..Self::default()
        }
    }
}

impl<R, E> Stopped<R, E> {
    /// The message that Ballerina's client gives for the last failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use failover_core::{Action, Evidence, Facts, Group, Policy, Timestamp};
    /// use http::{HeaderMap, Method};
    ///
    /// let group = Group::new(["http://a"], Policy::ballerina())?;
    /// let facts = Facts::of(&Method::GET, &HeaderMap::new());
    /// let now = Timestamp::ORIGIN;
    /// let Action::Send(call) = group.begin::<(), _>(facts, now) else { unreachable!() };
    /// let Action::Fail(stopped) = call.handle_error(Evidence::NoConnection, "no such host", now) else {
    ///     unreachable!()
    /// };
    /// assert_eq!(
    ///     stopped.ballerina().to_string(),
    ///     "All the failover endpoints failed. Last error was: no such host"
    /// );
    /// # Ok::<(), failover_core::BuildError>(())
    /// ```
    #[must_use]
    pub fn ballerina(&self) -> impl fmt::Display + '_
    where
        E: fmt::Display,
    {
        Message(self.failures().last().map(Failure::cause))
    }
}

/// What Ballerina's client says of the last failure.
struct Message<'a, E>(Option<&'a Cause<E>>);

impl<E: fmt::Display> fmt::Display for Message<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("All the failover endpoints failed. ")?;
        match self.0 {
            Some(Cause::Error(_, error)) => write!(f, "Last error was: {error}"),
            Some(Cause::Status(status) | Cause::Judged(status)) => {
                write!(f, "Last endpoint returned response is: {}", Named(*status))
            }
            None => f.write_str("Last error was: the time was over before the call began"),
        }
    }
}

//! Answers that surf's types cannot hold.

use std::fmt;

use http::Response;

/// An answer that surf's types cannot hold: its status is none of surf's closed list, or a header is not ASCII.
///
/// The answer itself is kept, in types that can hold it.
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::{Error, FailoverClient};
///
/// # async fn run(client: FailoverClient) -> Result<(), Error> {
/// match client.get("/legacy").await {
///     Err(Error::Unrepresentable(answer)) => println!("a {}", answer.into_response().status()),
///     other => println!("a {}", other?.status()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Unrepresentable {
    response: Box<Response<surf::Body>>,
    part: Part,
}

/// What surf has no place for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Status,
    Header,
}

impl Unrepresentable {
    pub(crate) fn new(response: Response<surf::Body>, part: Part) -> Self {
        Self { response: response.into(), part }
    }

    /// The answer, to be used with its body.
    #[must_use]
    pub fn into_response(self) -> Response<surf::Body> {
        *self.response
    }

    /// The answer. If a call accepted it, its extensions hold [`Answered`](crate::Answered).
    #[must_use]
    pub fn response(&self) -> &Response<surf::Body> {
        &self.response
    }
}

impl fmt::Display for Unrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Status => write!(f, "surf has no place for the answer's status {}", self.response.status()),
            Part::Header => f.write_str("surf has no place for a header of the answer that is not ASCII"),
        }
    }
}

impl fmt::Debug for Unrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unrepresentable")
            .field("status", &self.response.status())
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Unrepresentable {}

//! How connections are opened and kept.

use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use failover_core::BuildError;

/// How connections are opened and kept; all that is counted is counted for each target.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How many idle connections of HTTP/1.1 are kept.
    pub max_idle: usize,
    /// How old a connection becomes that is given new requests.
    pub max_age: Duration,
    /// How many connections are opened at once.
    pub max_dials: usize,
    /// How many header lines an answer over HTTP/1.1 may have, unless it is hyper's own bound.
    pub max_headers: Option<usize>,
    /// How many bytes of an answer may come over HTTP/2 that nobody reads.
    pub stream_window: u32,
    /// How many of all answers on one connection of HTTP/2.
    pub connection_window: u32,
}

impl Tuning {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    ///
    /// Names the key and the value of the first setting that makes none.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        for (key, time) in [("pool_idle_timeout", self.idle_timeout), ("pool_max_age", self.max_age)] {
            if time.is_zero() || time > MOST_TIME {
                let expected = format!("a time above zero, of at most {MOST_TIME:?}");
                return Err(BuildError::new(key, format!("{time:?}"), expected));
            }
        }
        within("pool_max_idle", self.max_idle, 0..=MOST_CONNECTIONS)?;
        within("pool_max_dials", self.max_dials, 1..=MOST_CONNECTIONS)?;
        within("max_headers", self.max_headers.unwrap_or(1), 1..=MOST_HEADERS)?;
        within("http2_stream_window", self.stream_window, WINDOWS)?;
        within("http2_connection_window", self.connection_window, WINDOWS)
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            // Less than most servers do, so that few requests meet one that is closing.
            idle_timeout: Duration::from_secs(20),
            max_idle: 128,
            // So that a name that moved is found.
            max_age: Duration::from_secs(300),
            max_dials: 64,
            max_headers: None,
            // Little on a stream, so that memory is bounded, and as much as there is on a connection, so that readers who do
            // not read hold up nobody else.
            stream_window: 256 << 10,
            connection_window: *WINDOWS.end(),
        }
    }
}

fn within<T>(key: &str, value: T, range: RangeInclusive<T>) -> Result<(), BuildError>
where
    T: Debug + Display + PartialOrd,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(BuildError::new(key, value, format!("from {} to {}", range.start(), range.end())))
}

/// The most header lines that a head can be allowed to have.
pub const MOST_HEADERS: usize = 10_000;

/// The longest that a connection can be kept.
const MOST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The most connections to a target that can be asked for at once.
const MOST_CONNECTIONS: usize = 10_000;

/// From what each begins with to the largest (RFC 9113, sections 6.5.2 and 6.9.1).
const WINDOWS: RangeInclusive<u32> = 65_535..=(1 << 31) - 1;

//! What a target asks for by Retry-After.

use core::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The wait that a response asks for by Retry-After, in seconds (RFC 9110, section 10.2.3).
///
/// The form with a date is ignored, since it compares two clocks, as is anything else. A number too large for `u64`
/// counts as the largest: the policy caps it.
///
/// # Examples
///
/// ```
/// use http::HeaderMap;
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", "120".parse()?);
/// assert_eq!(failover_core::retry_after(&headers), Some(Duration::from_secs(120)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

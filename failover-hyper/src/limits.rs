//! How much of an answer may be headers, the same over all protocols.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether these headers, of a head or of trailers, are more than an answer may have: by the measure of HTTP/2
/// (RFC 9113, section 10.5.1).
pub(crate) fn is_too_large(headers: &HeaderMap) -> bool {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + PER_FIELD;
    headers.iter().map(size).sum::<usize>() > MOST
}

/// The most that an answer's head or its trailers may come to, in bytes.
const MOST: usize = 256 << 10;

/// What hyper itself takes over HTTP/1.1: more, so that it is here that trailers are measured.
pub(crate) const MOST_OF_H1: usize = 1 << 20;

/// What h2 itself takes. Beyond that it ends the connection for a head, and cuts trailers, so that it is far beyond.
pub(crate) const MOST_OF_H2: u32 = 1 << 20;

const PER_FIELD: usize = 32;

//! The framing of a message: how long its body is.

use alloc::string::String;
use alloc::vec::Vec;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};

/// Settles how long the body of a message is that came over HTTP/1.1 and whose chunks the transport takes apart
/// (RFC 9112, section 6.3): a length that is stated beside chunks is removed, and one that is stated twice is stated
/// once.
///
/// It is `false` if the body cannot be read: it has another transfer coding too, or two lengths.
#[must_use]
pub fn settle_framing(headers: &mut HeaderMap) -> bool {
    let stated = |value: &HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    // Few headers are passed over faster than one is looked up.
    let (mut coded, mut lines, mut clear) = (false, 0, true);
    for (name, value) in headers.iter() {
        coded |= *name == TRANSFER_ENCODING;
        if *name == CONTENT_LENGTH {
            lines += 1;
            clear &= stated(value);
        }
    }
    if coded {
        headers.remove(CONTENT_LENGTH);
        return elements(headers, &TRANSFER_ENCODING) == ["chunked"];
    }
    if clear && lines < 2 {
        return true;
    }
    let lengths = elements(headers, &CONTENT_LENGTH);
    match HeaderValue::from_str(&lengths[0]) {
        Ok(length) if stated(&length) && lengths.iter().all(|other| *other == lengths[0]) => {
            headers.insert(CONTENT_LENGTH, length);
            true
        }
        _ => false,
    }
}

/// The elements of a header that is a list, in lower case; a line that is no text is one.
fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?"));
    lines.flat_map(|line| line.split(',')).map(|element| element.trim().to_ascii_lowercase()).collect()
}

//! The first event of a stream of events (the HTML standard, "Server-sent events").

use alloc::vec::Vec;

/// The first event of a stream, as far as it has come.
pub(crate) struct First<'a> {
    /// All up to its end.
    pub(crate) text: &'a [u8],
    /// Its data.
    pub(crate) data: Vec<u8>,
    /// Whether all of it is there.
    pub(crate) is_whole: bool,
}

/// The first event that has data; comments and what else comes before it are no events.
pub(crate) fn first(stream: &[u8]) -> First<'_> {
    let (mut data, mut has_data) = (Vec::new(), false);
    let mut rest = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\r\n").unwrap_or(&after[1..]);
        if line.is_empty() && has_data {
            let text = &stream[..stream.len() - rest.len()];
            return First { text, data, is_whole: true };
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            if has_data {
                data.push(b'\n');
            }
            data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            has_data = true;
        }
    }
    First { text: stream, data, is_whole: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_is_the_first_one_with_data() {
        for (stream, data, rest) in [
            (&b"data: a\n\ndata: b\n\n"[..], "a", &b"data: b\n\n"[..]),
            (b"event: error\r\ndata: a\r\ndata:b\r\n\r\nid: 2\r\n", "a\nb", b"id: 2\r\n"),
            (b": waiting\n\n\n: waiting\n\ndata: a\r\r", "a", b""),
            (b"\xef\xbb\xbfdata:  a\n\n", " a", b""),
            (b"event: ping\n\ndata\ndata:\n\n", "", b""),
        ] {
            let whole = first(stream);
            assert_eq!((&whole.data[..], whole.is_whole), (data.as_bytes(), true));
            assert_eq!(&stream[whole.text.len()..], rest);
            for cut in 0..whole.text.len() - 1 {
                let part = first(&stream[..cut]);
                assert!(!part.is_whole && whole.data.starts_with(&part.data), "{cut}");
            }
        }
    }
}

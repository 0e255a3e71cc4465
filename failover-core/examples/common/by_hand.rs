//! HTTP/1.1 by hand, one GET per connection.

use std::io::{self, ErrorKind};

use failover_core::Target;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Response};

/// Where to connect to, and what to write there.
pub(crate) fn request(target: &Target, path: &PathAndQuery) -> io::Result<(String, Vec<u8>)> {
    if *target.scheme() != Scheme::HTTP {
        return Err(io::Error::new(ErrorKind::Unsupported, "https needs TLS"));
    }
    let uri = target.uri(path).map_err(io::Error::other)?;
    let address = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n").into_bytes();
    for (name, value) in target.headers().iter().chain([(&HOST, target.host_header())]) {
        request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    Ok((address, request))
}

/// The answer in what was read until the connection was closed.
pub(crate) fn response(read: &[u8]) -> io::Result<Response<Vec<u8>>> {
    let broken = |what| io::Error::new(ErrorKind::InvalidData, what);
    let end =
        read.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or_else(|| broken("no whole head"))?;
    let (head, body) = read.split_at(end + 4);
    let mut lines = std::str::from_utf8(head).map_err(io::Error::other)?.trim_ascii_end().lines();
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3));
    let mut response = Response::builder().status(status.ok_or_else(|| broken("no status line"))?);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
        response = response.header(name, value.trim());
    }
    let response = response.body(()).map_err(io::Error::other)?;
    if response.status().is_informational() {
        return self::response(body);
    }
    let body = whole(response.headers(), body).ok_or_else(|| broken("no whole body"))?.to_vec();
    Ok(response.map(|()| body))
}

/// The body, unless it is shorter than announced, or chunked, which an example need not understand.
fn whole<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<&'a [u8]> {
    match headers.get(CONTENT_LENGTH) {
        _ if headers.contains_key(TRANSFER_ENCODING) => None,
        Some(length) => body.get(..length.to_str().ok()?.parse().ok()?),
        None => Some(body),
    }
}

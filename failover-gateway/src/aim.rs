//! What a client's request is for the targets: its path, and what it says of the client.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};

/// Makes of a client's request that of its targets: without the base path, and with what it says of the client.
///
/// # Errors
///
/// It is for no target.
pub(crate) fn aim<B>(
    mut request: Request<B>,
    base: &str,
    peer: IpAddr,
) -> Result<Request<B>, (StatusCode, &'static str)> {
    let uri = request.uri();
    let rest = below(base, uri.path()).ok_or((StatusCode::NOT_FOUND, "nothing is served at this path"))?;
    if climbs(rest) {
        return Err((StatusCode::BAD_REQUEST, "the path leads out of what is served"));
    }
    if hops(request.headers()) >= MOST_HOPS {
        return Err((StatusCode::LOOP_DETECTED, "the request comes back again and again"));
    }
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let path = match uri.query() {
        Some(query) => format!("{slash}{rest}?{query}"),
        None => format!("{slash}{rest}"),
    };
    let path = PathAndQuery::try_from(path).map_err(|_| (StatusCode::BAD_REQUEST, "the path is none"))?;
    // User information is the client's secret.
    let host = match uri.authority() {
        Some(authority) => authority.as_str().rsplit('@').next().map(HeaderValue::from_str),
        None => request.headers().get(HOST).cloned().map(Ok),
    };
    *request.uri_mut() = Uri::from(path);

    let protocol = format!("{:?}", request.version());
    let via = format!("{} {PSEUDONYM}", protocol.trim_start_matches("HTTP/"));
    let headers = request.headers_mut();
    add(headers, VIA, &via);
    add(headers, FORWARDED_FOR, &peer.to_canonical().to_string());
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(Ok(host)) = host {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    Ok(request)
}

/// The part of a path below a base, which counts in whole segments.
fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path leads above where it begins, as some target may read it (RFC 3986, section 6.2.2).
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    let mut depth = 0;
    plain.split(['/', '\\']).any(|segment| {
        // Some take what follows a semicolon for a parameter of the segment.
        depth += match segment.split(';').next().unwrap_or_default() {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        depth < 0
    })
}

/// How often a request came through a gateway like this.
fn hops(headers: &HeaderMap) -> usize {
    let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter(|hop| hop.trim_end().ends_with(PSEUDONYM)).count()
}

/// Adds an element to a header that is a list.
fn add(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let list = before.chain([element.as_bytes()]).collect::<Vec<_>>().join(&b", "[..]);
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a gateway is called in `Via`.
const PSEUDONYM: &str = "failover";

/// More gateways in a row are one that is its own target.
const MOST_HOPS: usize = 8;

//! The headers that concern one connection only (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderName, VIA};

use crate::forwarded::OF_THE_CLIENT;

/// Removes the headers that concern one connection only, those that `Connection` names among them.
///
/// What the servers on the way say of the client is for the target, and no client can take it away by naming it.
pub(crate) fn strip(headers: &mut HeaderMap) {
    // Passing over all is faster than looking for one.
    let mut lines = headers.iter().filter(|(name, _)| is_hop_by_hop(name.as_str()));
    let Some((name, value)) = lines.next() else { return };
    // Most messages have one of them, which names no other.
    if lines.next().is_none() && (*name != CONNECTION || value == "keep-alive" || value == "close") {
        let name = name.clone();
        headers.remove(name);
        return;
    }
    let present = headers.keys().filter(|name| is_hop_by_hop(name.as_str())).cloned();
    let named = elements(headers, &CONNECTION).filter(|name| !is_hop_by_hop(name) && *name != "close");
    let named = named.filter_map(|name| HeaderName::try_from(name).ok());
    let named = named.filter(|name| *name != VIA && !OF_THE_CLIENT.contains(name));
    for name in present.chain(named).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The elements of a header that is a list of words, without parameters.
pub(crate) fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let elements = values.flat_map(|value| value.split(','));
    elements.map(|element| element.split(';').next().unwrap_or_default().trim())
}

//! The headers that concern one connection only (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, FORWARDED, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};

use crate::forwarded::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO};

/// Removes the headers that concern one connection only, those that `Connection` names among them.
///
/// What the servers on the way say of the client is for the target, and no client can take it away by naming it.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named = elements(headers, &CONNECTION).filter_map(|name| HeaderName::try_from(name).ok());
    let named = named.filter(|name| !OF_THE_WAY.contains(name));
    // Most messages have none of them, and removing what is not there costs as much.
    let present = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned();
    for name in named.chain(present).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// The elements of a header that is a list of words, without parameters.
pub(crate) fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let elements = values.flat_map(|value| value.split(','));
    elements.map(|element| element.split(';').next().unwrap_or_default().trim())
}

/// What servers on the way say of the client (RFC 9110, section 7.6.3; RFC 7239).
static OF_THE_WAY: [HeaderName; 5] = [FORWARDED, VIA, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO];

static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

//! Between hyper's requests and responses and surf's, by hand: `http-types` only knows an older `http`.

use failover_core::Head;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri, Version};
use surf::StatusCode;
use surf::http::headers;
use surf::http::url::Position;

use crate::answer::{Part, Unrepresentable, set_body};
use crate::body::AttemptBody;
use crate::read::FrameReader;

/// Why a request cannot be translated. It shows none of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Untranslatable {
    #[error("the URL is not one of http or https with a host")]
    Url,
    #[error("the URL cannot be sent as it is, since surf resolves its dots or encodes its characters")]
    UrlText,
    #[error("the method is none that can be sent")]
    Method,
    #[error("a header cannot be sent")]
    Header,
}

/// The response as surf shows it, if it can.
pub(crate) fn shown(response: Response<surf::Body>) -> Result<surf::Response, Unrepresentable> {
    let mut head = match shown_head(&response) {
        Ok(head) => surf::Response::from(head),
        Err(part) => return Err(Unrepresentable::new(response, part)),
    };
    set_body(&mut head, response.into_body());
    Ok(head)
}

fn shown_head(response: &Response<surf::Body>) -> Result<surf::http::Response, Part> {
    let status = StatusCode::try_from(response.status().as_u16()).map_err(|_| Part::Status)?;
    let mut head = surf::http::Response::new(status);
    head.set_version(match response.version() {
        Version::HTTP_10 => Some(surf::http::Version::Http1_0),
        Version::HTTP_11 => Some(surf::http::Version::Http1_1),
        _ => None,
    });
    append(head.as_mut(), response.headers()).map_err(|_| Part::Header)?;
    Ok(head)
}

fn append(to: &mut surf::http::Headers, from: &HeaderMap) -> Result<(), Untranslatable> {
    for (name, value) in from {
        let name =
            headers::HeaderName::from_bytes(name.as_str().into()).map_err(|_| Untranslatable::Header)?;
        let value =
            headers::HeaderValue::from_bytes(value.as_bytes().into()).map_err(|_| Untranslatable::Header)?;
        to.append(name, value);
    }
    Ok(())
}

/// The headers of a request of surf's.
pub(crate) fn headers_of(from: &surf::http::Headers) -> Result<HeaderMap, Untranslatable> {
    let mut to = HeaderMap::new();
    for (name, values) in from {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| Untranslatable::Header)?;
        for value in values {
            let value = HeaderValue::from_str(value.as_str()).map_err(|_| Untranslatable::Header)?;
            to.append(&name, value);
        }
    }
    Ok(to)
}

/// The method of a request of surf's.
pub(crate) fn method_of(method: surf::http::Method) -> Result<Method, Untranslatable> {
    Method::from_bytes(method.as_ref().as_bytes()).map_err(|_| Untranslatable::Method)
}

/// An attempt's request for a client of surf's, which says `Host` and the body's length by itself.
pub(crate) fn to_surf(request: Request<AttemptBody>) -> Result<surf::Request, Untranslatable> {
    let (mut head, body) = request.into_parts();
    let method = head.method.as_str().parse().map_err(|_| Untranslatable::Method)?;
    let url: surf::Url = head.uri.to_string().parse().map_err(|_| Untranslatable::Url)?;
    if head.uri.path_and_query().map(PathAndQuery::as_str) != Some(&url[Position::BeforePath..]) {
        return Err(Untranslatable::UrlText);
    }
    let mut to = surf::Request::new(method, url);
    head.headers.remove(HOST);
    head.headers.remove(CONTENT_LENGTH);
    append(to.as_mut(), &head.headers)?;
    if body.length() != Some(0) {
        let typed = to.header("content-type").is_some();
        to.set_body(FrameReader::body(body));
        if !typed {
            to.remove_header("content-type");
        }
    }
    Ok(to)
}

/// A request of surf's for the wire. User information in its URL is not sent.
pub(crate) fn from_surf(mut request: surf::http::Request) -> Result<Request<AttemptBody>, Untranslatable> {
    let body = request.take_body();
    let url = request.url();
    let scheme = Scheme::try_from(url.scheme()).map_err(|_| Untranslatable::Url)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Untranslatable::Url)?;
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err(Untranslatable::Url);
    }
    let place = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]);
    let path = path.map_err(|_| Untranslatable::Url)?;
    let uri = Uri::builder().scheme(scheme).authority(place.as_str()).path_and_query(path.clone()).build();
    let (method, headers) = (method_of(request.method())?, headers_of(request.as_ref())?);
    let head = Head::new(method, path, headers, body.len().map(|length| length as u64));
    let head = head.ok_or(Untranslatable::Method)?;

    let mut to = Request::new(AttemptBody::once(body));
    *to.method_mut() = head.method().clone();
    *to.uri_mut() = uri.map_err(|_| Untranslatable::Url)?;
    to.headers_mut().clone_from(head.headers());
    to.headers_mut().insert(HOST, HeaderValue::from_str(&place).map_err(|_| Untranslatable::Url)?);
    Ok(to)
}

//! Between hyper's requests and responses and surf's, by hand: `http-types` only knows an older `http`.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use failover_core::{Head, Replay, Target};
use failover_hyper::{Answered, AttemptBody, Attempts, BoxError, Idempotent, InvalidHeader, Within};
use http::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{Extensions, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use surf::http::headers;
use surf::http::url::Position;

use crate::bodies::{FrameReader, SurfBody, set_body};
use crate::error::Error;
use crate::runtime::AsyncStd;
use crate::unrepresentable::{Part, Unrepresentable};

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

/// What a client of surf's answered, but for its body: a response carries it through the call.
#[derive(Clone)]
struct SurfHead(Arc<Mutex<Option<surf::Response>>>);

impl SurfHead {
    fn new(response: surf::Response) -> Self {
        Self(Arc::new(Mutex::new(Some(response))))
    }

    fn take(self) -> Option<surf::Response> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An answer that came through a client of surf's.
pub(crate) fn received(mut from: surf::Response) -> Response<SurfBody> {
    let mut response = Response::new(SurfBody::new(from.take_body()));
    // All statuses of surf's are statuses.
    *response.status_mut() = StatusCode::from_u16(from.status().into()).unwrap_or_default();
    let asked =
        from.header("retry-after").and_then(|values| HeaderValue::from_str(values.last().as_str()).ok());
    response.headers_mut().extend(asked.map(|value| (RETRY_AFTER, value)));
    response.extensions_mut().insert(SurfHead::new(from));
    response
}

/// The response as surf shows it, if it can.
pub(crate) fn shown<B>(mut response: Response<B>) -> Result<surf::Response, Unrepresentable>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + Unpin + 'static,
{
    let head = match response.extensions_mut().remove().and_then(SurfHead::take) {
        Some(head) => Ok(head),
        None => shown_head(&response),
    };
    let response = response.map(FrameReader::body);
    let mut head = match head {
        Ok(head) => head,
        Err(part) => return Err(Unrepresentable::new(response, part)),
    };
    if let Some(answered) = response.extensions().get::<Answered>() {
        head.insert_ext(answered.clone());
    }
    set_body(&mut head, response.into_body());
    Ok(head)
}

fn shown_head<B>(response: &Response<B>) -> Result<surf::Response, Part> {
    let status = surf::StatusCode::try_from(response.status().as_u16()).map_err(|_| Part::Status)?;
    let mut head = surf::http::Response::new(status);
    head.set_version(match response.version() {
        Version::HTTP_10 => Some(surf::http::Version::Http1_0),
        Version::HTTP_11 => Some(surf::http::Version::Http1_1),
        _ => None,
    });
    append(head.as_mut(), response.headers()).map_err(|_| Part::Header)?;
    Ok(head.into())
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
fn headers_of(from: &surf::http::Headers) -> Result<HeaderMap, InvalidHeader> {
    let mut to = HeaderMap::new();
    for (name, values) in from {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| InvalidHeader::name(name.as_str()))?;
        for value in values {
            let value =
                HeaderValue::from_str(value.as_str()).map_err(|_| InvalidHeader::Value(name.clone()))?;
            to.append(&name, value);
        }
    }
    Ok(to)
}

/// Everything but the body of a request of surf's, and its path as failover asks for it.
///
/// # Errors
///
/// The method cannot be sent, the URL's path is none, or a header is one that HTTP does not allow.
pub(crate) fn head_of(request: &surf::Request) -> Result<Parts, Error> {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = method_of(request.method()).map_err(|_| Error::Method)?;
    head.uri = Target::path(&request.url()[Position::BeforePath..Position::AfterQuery])?.into();
    head.headers = headers_of(request.as_ref())?;
    carry::<Within>(request, &mut head.extensions);
    carry::<Replay>(request, &mut head.extensions);
    carry::<Idempotent>(request, &mut head.extensions);
    carry::<Attempts>(request, &mut head.extensions);
    Ok(head)
}

/// Takes over an extension of a request of surf's, which is of another kind.
fn carry<E: Clone + Send + Sync + 'static>(request: &surf::Request, extensions: &mut Extensions) {
    if let Some(extension) = request.ext::<E>() {
        extensions.insert(extension.clone());
    }
}

/// The method of a request of surf's.
fn method_of(method: surf::http::Method) -> Result<Method, Untranslatable> {
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
    // A body of surf's says by itself how long it is.
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRANSFER_ENCODING);
    append(to.as_mut(), &head.headers)?;
    if !body.is_end_stream() {
        let typed = to.header("content-type").is_some();
        to.set_body(FrameReader::body(body));
        if !typed {
            to.remove_header("content-type");
        }
    }
    Ok(to)
}

/// A request of surf's for the wire. User information in its URL is not sent.
pub(crate) fn from_surf(request: &mut surf::http::Request) -> Result<Request<AttemptBody>, Untranslatable> {
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
    let method = method_of(request.method())?;
    let headers = headers_of((*request).as_ref()).map_err(|_| Untranslatable::Header)?;
    let head = Head::new(method, path, headers, body.len().map(|length| length as u64));
    let head = head.ok_or(Untranslatable::Method)?;

    let mut to = Request::new(AttemptBody::once::<AsyncStd, _>(SurfBody::new(body)));
    *to.method_mut() = head.method().clone();
    *to.uri_mut() = uri.map_err(|_| Untranslatable::Url)?;
    to.headers_mut().clone_from(head.headers());
    to.headers_mut().insert(HOST, HeaderValue::from_str(&place).map_err(|_| Untranslatable::Url)?);
    Ok(to)
}

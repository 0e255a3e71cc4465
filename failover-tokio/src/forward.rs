//! A server's inbound request, passed on as a proxy does (RFC 9110, section 7.6).

use failover_core::settle_framing;
use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, CallBody, Classify, Exchange, ResponseBody, Template,
};
use http::header::{
    CONNECTION, COOKIE, FORWARDED, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{Request, Response, Version};
use http_body::Body;
use tower_service::Service;

use crate::client::FailoverClient;
use crate::error::Error;
use crate::exchange::{Connected, Services, run};
use crate::service::Failover;

impl FailoverClient {
    /// Passes on a request that a server received, and hands back the response to answer it with.
    ///
    /// The body is streamed to the first target. Up to the policy's `replay_buffer` of it is kept for others; a body
    /// that outgrows that stays with the target that it is being sent to. Headers that concern one connection only are
    /// dropped in both directions, those that `Connection` names among them, but never `Via`, `Forwarded` and
    /// `X-Forwarded-For`, `-Host` and `-Proto`; `Host` is each target's. With `Expect: 100-continue` the body is not read before
    /// a target asks for it, or is silent for 1 s: one that refuses by the head gets none of it. An `Upgrade` is an offer,
    /// which is not taken up (RFC 9110, section 7.8).
    ///
    /// # Errors
    ///
    /// See [`Error`]. A request in another transfer coding than chunked is refused, without an attempt.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use failover_tokio::{Error, FailoverClient, ResponseBody};
    /// use http::{Request, Response};
    /// use hyper::body::Incoming;
    ///
    /// async fn serve(client: FailoverClient, inbound: Request<Incoming>) -> Result<Response<ResponseBody>, Error> {
    ///     client.forward(inbound).await
    /// }
    /// ```
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, Error>
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        let targets = &self.failover.targets;
        let list = targets.current();
        let template = received(request, list.group().policy().replay_buffer)?;
        run(targets, &list, template, &Inbound(Connected(&list))).await
    }
}

impl<S, C, R> Failover<S, C>
where
    S: Service<Request<AttemptBody>, Response = Response<R>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync,
    C: Classify + Sync,
    R: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// Passes on a request that a server received, and hands back the response to answer it with.
    ///
    /// As [`FailoverClient::forward`]. A call of the service, in contrast, sends the headers as they are.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<ResponseBody<R>>, Error<R>>
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        let list = self.targets.current();
        let template = received(request, list.group().policy().replay_buffer)?;
        let services = Services { list: &list, classify: &self.classify };
        run(&self.targets, &list, template, &Inbound(services)).await
    }
}

/// What the attempts of an inbound request are made of.
///
/// # Errors
///
/// It comes in another transfer coding than chunked.
fn received<B, R>(request: Request<B>, limit: usize) -> Result<Option<Template>, Error<R>>
where
    B: Body<Error: Into<BoxError>> + Send + 'static,
    R: Body,
{
    let (mut head, body) = request.into_parts();
    if !settle_framing(&mut head.headers) {
        return Err(Error::Coding);
    }
    let trailers = tokens(&head.headers, &TE).any(|coding| coding == "trailers");
    strip(&mut head.headers);
    join_cookies(&mut head.headers);
    if trailers {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        head.headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let body = CallBody::of(body, head.version, limit);
    // What a server noted of a request in its extensions concerns the connection that it came over.
    Ok(Template::new(head, body).map(Template::without_extensions))
}

/// What sends inbound requests on.
struct Inbound<X>(X);

impl<X: Exchange> Exchange for Inbound<X> {
    type Body = X::Body;

    async fn exchange(
        &self,
        target: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> Result<Response<X::Body>, AttemptError> {
        let mut response = self.0.exchange(target, request, bound).await?;
        strip(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }
}

/// Removes the headers that concern one connection only, those that `Connection` names among them.
///
/// What the servers on the way say of the client is for the target, and no client can take it away by naming it.
fn strip(headers: &mut HeaderMap) {
    let named = tokens(headers, &CONNECTION).filter_map(|name| HeaderName::try_from(name).ok());
    let named = named.filter(|name| !OF_THE_WAY.contains(name));
    // Most messages have none of them, and removing what is not there costs as much.
    let present = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned();
    for name in named.chain(present).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Makes one header of the cookies, which HTTP/2 may split and HTTP/1.1 may not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<_> = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() < 2 {
        return;
    }
    if let Ok(mut joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
        joined.set_sensitive(true);
        headers.insert(COOKIE, joined);
    }
}

/// The elements of a header that is a list of words, in lower case and without parameters.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let elements = values.flat_map(|value| value.split(','));
    elements.map(|element| element.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// What servers on the way say of the client (RFC 9110, section 7.6.3; RFC 7239).
static OF_THE_WAY: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

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

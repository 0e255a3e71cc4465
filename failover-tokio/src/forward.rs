//! A server's inbound request, passed on as a proxy does (RFC 9110, section 7.6).

use std::pin::pin;

use failover_core::{PathError, Policy, settle_framing};
use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, CallBody, Classify, Exchange, List, ResponseBody, Template,
    perform,
};
use http::header::{CONNECTION, COOKIE, HeaderMap, HeaderValue, MAX_FORWARDS, TE, UPGRADE, VIA};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use tower_service::Service;

use crate::client::FailoverClient;
use crate::error::Error;
use crate::exchange::{Connected, Services};
use crate::forwarded::{Peer, add, is_looping, via};
use crate::hop_by_hop::{elements, strip};
use crate::runtime::Tokio;
use crate::service::Failover;
use crate::upgrade::Offer;

impl FailoverClient {
    /// Passes on a request that a server received, and hands back the response to answer it with.
    ///
    /// The body is streamed to the first target. Up to the policy's `replay_buffer` of it is kept for others; a body
    /// that outgrows that stays with the target that it is being sent to. Headers that concern one connection only are
    /// dropped in both directions, those that `Connection` names among them, but never `Via`, `Forwarded` and
    /// `X-Forwarded-For`, `-Host` and `-Proto`; `Host` is each target's. With `Expect: 100-continue` the body is not read before
    /// a target asks for it, or is silent for 1 s: one that refuses by the head gets none of it.
    ///
    /// `Via` is added, and the `Max-Forwards` of an `OPTIONS` is one less; a [`Peer`] among the request's extensions tells the
    /// targets of the sender.
    ///
    /// An `Upgrade` to one of the policy's [`upgrades`](field@failover_core::Policy::upgrades) is passed on over a new connection
    /// of HTTP/1.1, and is a call like others until a target takes it up: then the answer is a 101, and when the server has
    /// sent that, the two connections are joined by a [`Tunnel`](crate::Tunnel), which is among its extensions. The server must
    /// let connections be upgraded (`serve_connection_with_upgrades`, `with_upgrades`). Any other `Upgrade` is an offer which is
    /// not taken up (RFC 9110, section 7.8).
    ///
    /// # Errors
    ///
    /// See [`Error`]. Refused without an attempt are another transfer coding than chunked, a path that leads above where it
    /// begins, the methods CONNECT and TRACE, another protocol over HTTP/2, an OPTIONS whose `Max-Forwards` is 0, and a request
    /// that comes by here again and again.
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
    pub fn forward<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        let list = self.failover.targets.current();
        let inbound: Result<_, Error> = Inbound::of(request, list.group().policy());
        async move { pin!(inbound?.pass_on(&list, Connected(&list))).await }
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
    pub fn forward<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<ResponseBody<R>>, Error<R>>> + Send
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        let list = self.targets.current();
        let inbound: Result<_, Error<R>> = Inbound::of(request, list.group().policy());
        async move { inbound?.pass_on(&list, Services { list: &list, classify: &self.classify }).await }
    }
}

/// An inbound request, made one that can be passed on.
struct Inbound {
    template: Template,
    via: HeaderValue,
    /// Whether it came by another proxy, which says so.
    came_by: bool,
    offer: Option<Offer>,
}

impl Inbound {
    /// # Errors
    ///
    /// No target is asked for such a request.
    fn of<B, R>(mut request: Request<B>, policy: &Policy) -> Result<Self, Error<R>>
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
        R: Body,
    {
        if let Some(peer) = request.extensions_mut().remove::<Peer>() {
            peer.introduce(&mut request);
        }
        let (mut head, body) = request.into_parts();
        let said = Said::of(&head.headers);
        check(&mut head, &said)?;
        let offer = if said.upgrade { Offer::of(&mut head, &policy.upgrades) } else { None };
        let mut codings = said.te.then(|| elements(&head.headers, &TE)).into_iter().flatten();
        let trailers = codings.any(|coding| coding.eq_ignore_ascii_case("trailers"));
        drop(codings);
        strip(&mut head.headers);
        // Those that `Connection` names are gone by now.
        if said.cookies > 1 {
            join_cookies(&mut head.headers);
        }
        if let Some(offer) = &offer {
            offer.make(&mut head.headers);
        }
        if trailers {
            head.headers.insert(TE, HeaderValue::from_static("trailers"));
            head.headers.append(CONNECTION, HeaderValue::from_static("te"));
        }
        let via = HeaderValue::from_static(via(head.version));
        let body = CallBody::received(body, &head, policy.replay_buffer);
        // What a server noted of a request in its extensions concerns the connection that it came over.
        let mut template = Template::new(head, body).ok_or(Error::Method)?;
        template.drop_extensions();
        Ok(Self { template, via, came_by: said.via, offer })
    }

    /// Passes it on by what sends to the targets of a list.
    ///
    /// # Errors
    ///
    /// There is no answer.
    async fn pass_on<S, X: Exchange>(
        &mut self,
        list: &List<S>,
        exchange: X,
    ) -> Result<Response<ResponseBody<X::Body>>, Error<X::Body>> {
        let (came_by, offer) = (self.came_by, self.offer.as_ref());
        let onward = Onward { exchange, via: &self.via, came_by, offer };
        let call = perform::<Tokio, _>(list.observed(), list.drains(), &self.template, &onward);
        let mut answer = call.await.map_err(Error::Stopped)?;
        if let Some(offer) = self.offer.take() {
            offer.join(&mut answer, list.group().policy().body_idle);
        }
        Ok(answer)
    }
}

/// Which headers a request has of those that a proxy cares for.
#[derive(Default)]
struct Said {
    upgrade: bool,
    te: bool,
    via: bool,
    cookies: usize,
}

impl Said {
    /// Passes over all headers once, which is faster than looking for each.
    fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        for name in headers.iter().map(|(name, _)| name) {
            match name.as_str() {
                "upgrade" => said.upgrade = true,
                "te" => said.te = true,
                "via" => said.via = true,
                "cookie" => said.cookies += 1,
                _ => {}
            }
        }
        said
    }
}

/// Refuses what no target is asked for.
fn check<B: Body>(head: &mut Parts, said: &Said) -> Result<(), Error<B>> {
    #[cfg(feature = "http2")]
    if head.extensions.get::<hyper::ext::Protocol>().is_some() {
        return Err(Error::Protocol);
    }
    // What a target answers to TRACE shows what it was sent, its own credentials too (RFC 9110, section 9.3.8).
    if head.method == Method::TRACE {
        return Err(Error::Method);
    }
    if leads_out(head.uri.path()) {
        return Err(PathError::Outside.into());
    }
    if !settle_framing(&mut head.headers) {
        return Err(Error::Coding);
    }
    // Before loops, since whoever looks for one asks so.
    if !may_pass_on(head) {
        return Err(Error::LastHop);
    }
    if said.via && is_looping(&head.headers) { Err(Error::Loop) } else { Ok(()) }
}

/// Counts a request that says so as passed on once more; `false` if it was not to be (RFC 9110, section 7.6.2).
fn may_pass_on(head: &mut Parts) -> bool {
    if head.method != Method::OPTIONS {
        return true;
    }
    let left = head.headers.get(MAX_FORWARDS).and_then(|left| left.to_str().ok()?.parse::<u32>().ok());
    if let Some(left) = left.and_then(|left| left.checked_sub(1)) {
        head.headers.insert(MAX_FORWARDS, left.into());
    }
    left != Some(0)
}

/// Whether a path leads above where it begins, as some target may read it (RFC 3986, section 6.2.2).
fn leads_out(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "\\").replace("%5c", "\\");
    let mut depth = 0;
    plain.split('/').any(|segment| {
        // To some targets a segment is several. Some take what follows a semicolon for a parameter.
        let parts = segment.split('\\').map(|part| part.split(';').next().unwrap_or_default());
        let (mut ups, mut is_named) = (0, false);
        for part in parts {
            ups += i32::from(part == "..");
            is_named |= !matches!(part, "" | "." | "..");
        }
        depth += if ups > 0 { -ups } else { i32::from(is_named) };
        depth < 0
    })
}

/// What sends inbound requests on.
struct Onward<'a, X> {
    exchange: X,
    via: &'a HeaderValue,
    came_by: bool,
    offer: Option<&'a Offer>,
}

impl<X: Exchange> Exchange for Onward<'_, X> {
    type Body = X::Body;

    fn exchange(
        &self,
        target: usize,
        mut request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> impl Future<Output = Result<Response<X::Body>, AttemptError>> {
        if self.came_by {
            add(request.headers_mut(), VIA, self.via.clone());
        } else {
            request.headers_mut().append(VIA, self.via.clone());
        }
        self.exchange.exchange(target, request, bound)
    }

    fn received(&self, response: &mut Response<X::Body>) -> Result<(), AttemptError> {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let protocol = self.offer.filter(|_| switches).and_then(|offer| offer.taken_up(response));
        strip(response.headers_mut());
        match protocol {
            Some(protocol) => {
                response.headers_mut().insert(UPGRADE, protocol);
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            None if switches => return Err(AttemptError::garbage()),
            None => {}
        }
        *response.version_mut() = Version::HTTP_11;
        Ok(())
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

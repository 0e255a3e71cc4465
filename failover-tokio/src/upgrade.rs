//! Upgrades: what a client offers, and the tunnel that its connection becomes if a target takes it up (RFC 9110, section 7.8).

use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::hop_by_hop::elements;
use crate::tunnel::Tunnel;

/// The protocols that a client offers to speak on its connection from the answer on, and that it may.
pub(crate) struct Offer {
    protocols: Vec<String>,
    client: OnUpgrade,
}

impl Offer {
    /// What of a request's offer is allowed; none if its connection cannot be handed over, as those of HTTP/1.0 and HTTP/2.
    pub(crate) fn of(head: &mut Parts, allowed: &[String]) -> Option<Self> {
        if !head.headers.contains_key(UPGRADE) {
            return None;
        }
        let mut of_connection = elements(&head.headers, &CONNECTION);
        let is_offer = of_connection.any(|element| element.eq_ignore_ascii_case("upgrade"));
        let is_allowed = |protocol: &&str| allowed.iter().any(|name| name.eq_ignore_ascii_case(protocol));
        let protocols = elements(&head.headers, &UPGRADE).filter(is_allowed);
        let protocols: Vec<_> = protocols.filter(|_| is_offer).map(str::to_owned).collect();
        if protocols.is_empty() {
            return None;
        }
        Some(Self { protocols, client: head.extensions.remove()? })
    }

    /// Makes it to a target.
    pub(crate) fn make(&self, headers: &mut HeaderMap) {
        if let Ok(protocols) = HeaderValue::try_from(self.protocols.join(", ")) {
            headers.insert(UPGRADE, protocols);
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
    }

    /// The protocol that an answer of a target switches to, if it was offered and the connection is there.
    pub(crate) fn taken_up<B>(&self, answer: &Response<B>) -> Option<HeaderValue> {
        let is_offered =
            |protocol: &str| self.protocols.iter().any(|name| name.eq_ignore_ascii_case(protocol));
        let mut protocols = elements(answer.headers(), &UPGRADE).peekable();
        let is_right = protocols.peek().is_some() && protocols.all(is_offered);
        let protocol = answer.headers().get(UPGRADE).filter(|_| is_right)?;
        answer.extensions().get::<OnUpgrade>().map(|_| protocol.clone())
    }

    /// Joins the client's connection with the one that an answer came over, if that takes the offer up. `idle` bounds the
    /// silence of both.
    pub(crate) fn join<B>(self, answer: &mut Response<B>, idle: Option<Duration>) {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let tunnel = Tunnel::between(self.client, hyper::upgrade::on(&mut *answer), idle);
            answer.extensions_mut().insert(tunnel);
        }
    }
}

//! What a target answered, as reqwest's users know it.

use failover_hyper::ResponseBody;
use reqwest::{Body, Response};

/// A response of reqwest's, whose extensions tell which target gave it.
pub(crate) fn answer(mut response: http::Response<ResponseBody<Body>>) -> Response {
    let answered = response.body().answered().clone();
    response.extensions_mut().insert(answered);
    response.map(Body::wrap).into()
}

//! What becomes of a request of reqwest's: the path below each target, and the body of all attempts.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use failover_core::{Group, PathError, Target};
use failover_hyper::{BoxError, CallBody, Template, Within};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::uri::PathAndQuery;
use http::{Extensions, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use reqwest::{Body, Request, Url};

use crate::error::Error;

/// The URL that stands for a path below whatever target, until there is one.
///
/// An absolute URL stays as it is.
pub(crate) fn url_of(path_or_url: &str) -> String {
    let is_absolute = matches!(Target::path(path_or_url), Err(PathError::Absolute));
    let slash = if path_or_url.starts_with('/') { "" } else { "/" };
    if is_absolute { path_or_url.to_owned() } else { format!("http://{NOWHERE}{slash}{path_or_url}") }
}

/// A call of reqwest's.
///
/// # Errors
///
/// The request cannot be sent to these targets.
pub(crate) async fn template_of(
    request: Request,
    extensions: Extensions,
    group: &Group<Target>,
) -> Result<Template, Error> {
    let path = path_of(request.url(), group.targets())?;
    let within = request.timeout().copied().map(Within);
    let request = http::Request::try_from(request).map_err(Error::unbuilt)?;
    let (mut head, body) = request.into_parts();
    head.uri = path.into();
    // reqwest does not tell whether the target asks for the body.
    head.headers.remove(EXPECT);
    head.extensions.extend(extensions);
    if let Some(within) = within {
        head.extensions.insert(within);
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let body = body_of(body, length, group.policy().replay_buffer).await?;
    Template::new(head, body).ok_or(Error::Method)
}

/// The path of a URL below a target, with its query.
fn path_of(url: &Url, targets: &[Target]) -> Result<PathAndQuery, Error> {
    let path = if url.host_str() == Some(NOWHERE) {
        url.path()
    } else {
        targets.iter().find_map(|target| below(url, target)).ok_or(Error::Elsewhere)?
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let slash = if path.is_empty() { "/" } else { "" };
    PathAndQuery::try_from(format!("{path}{slash}{query}")).map_err(|_| PathError::TooLong.into())
}

/// What is left of a URL's path below the one of a target, if that is where it leads.
fn below<'a>(url: &'a Url, target: &Target) -> Option<&'a str> {
    let base = target.uri(&PathAndQuery::from_static("/")).ok()?;
    let base = Url::parse(&base.to_string()).ok()?;
    let rest = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
    let is_below = base.origin() == url.origin() && (rest.is_empty() || rest.starts_with('/'));
    is_below.then_some(rest)
}

/// The body of all attempts: whole if it is in memory, else of a length that may be stated, and at most `limit` bytes of it
/// kept.
async fn body_of(body: Body, length: Option<u64>, limit: usize) -> Result<CallBody, Error> {
    if body.as_bytes().is_some() {
        return Ok(CallBody::whole(body.collect().await.map_err(Error::unbuilt)?.to_bytes()));
    }
    Ok(match length {
        Some(left) if body.size_hint().exact().is_none() => {
            CallBody::of(Stated { body, left }, Version::HTTP_11, limit)
        }
        _ => CallBody::of(body, Version::HTTP_11, limit),
    })
}

/// A streamed body whose length is stated by its request, as reqwest does for several parts. Nobody asks for more than that.
struct Stated {
    body: Body,
    /// How much of it is to come.
    left: u64,
}

impl http_body::Body for Stated {
    type Data = <Body as http_body::Body>::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)?);
        let came = frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        self.left = match self.left.checked_sub(came) {
            Some(left) if left == 0 || frame.is_some() => left,
            _ => return Poll::Ready(Some(Err(NotAsStated.into()))),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body that would be cut, or waited for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body is not as long as its request states")]
struct NotAsStated;

/// A host that is none.
const NOWHERE: &str = "target.invalid";

//! Attempts through a client of surf's: what can be proven there, and what cannot.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use failover_core::Evidence;
use failover_hyper::{
    AttemptBody, AttemptError, Bound, BoxError, CallBody, DefaultHeaders, Exchange, Fault, Progress, Stage,
    Template,
};
use http::{Extensions, Request, Response, Uri, Version};
use surf::middleware::Next;

use crate::bodies::SurfBody;
use crate::convert::{head_of, received, to_surf};
use crate::error::Error;
use crate::runtime::AsyncStd;
use crate::unrepresentable::Unrepresentable;

/// A call of surf's with the headers that all calls have, of whose body at most `limit` bytes are kept for another attempt.
///
/// # Errors
///
/// The request cannot be sent.
pub(crate) fn template_of(
    request: &mut surf::Request,
    defaults: &DefaultHeaders,
    limit: usize,
) -> Result<Option<Template>, Error> {
    let mut head = head_of(request)?;
    defaults.complete(&mut head.headers);
    let body = CallBody::of(SurfBody::new(request.take_body()), Version::HTTP_11, limit);
    Ok(Template::new(head, body))
}

/// Goes with a request through a client, so that our [`Transport`](crate::Transport), if it is there at the end, can
/// prove that the request was not sent.
#[derive(Clone, Default)]
pub(crate) struct Ticket {
    /// Where failover sent the request: one that comes somewhere else was redirected, after it was executed.
    uri: Uri,
    /// The attempt's, which is told who has the request.
    attempt: Option<Progress>,
    /// The request's, which surf cannot hold: who is told that the target asks for its body.
    extensions: Extensions,
    passage: Arc<Mutex<Passage>>,
}

/// How far a request has come, as far as it is known.
#[derive(Default)]
enum Passage {
    /// On its way through the client, which may do anything with it.
    #[default]
    Unknown,
    /// In the transport, waiting for a connection or sent on one.
    Inside(Progress),
    /// Given back by the transport, with an error that tells what is proved.
    Failed,
    /// Not to be sent any more.
    Revoked,
}

impl Ticket {
    fn of_attempt(request: &Request<AttemptBody>) -> Self {
        let attempt = Some(request.body().progress().clone());
        let (uri, extensions) = (request.uri().clone(), request.extensions().clone());
        Self { uri, attempt, extensions, passage: Arc::default() }
    }

    /// The ticket of a request that arrives in the transport: one that nobody asks if the request has none to there.
    pub(crate) fn of(request: &mut surf::http::Request, uri: &Uri) -> Self {
        request.ext_mut().remove::<Self>().filter(|ticket| ticket.uri == *uri).unwrap_or_default()
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Sends a request for as long as its ticket is not revoked.
    ///
    /// # Errors
    ///
    /// The error of sending, or `None` if the ticket was revoked before there was a connection.
    pub(crate) async fn watch<T, E>(
        self,
        progress: Progress,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Option<E>> {
        *self.passage() = Passage::Inside(progress.clone());
        let inside = Inside(self);
        let mut sending = pin!(sending);
        // The lock is held while the request may go out, so that it cannot be revoked meanwhile.
        poll_fn(|cx| {
            let mut passage = inside.0.passage();
            if matches!(*passage, Passage::Revoked) {
                return Poll::Ready(Err(None));
            }
            let sent = sending.as_mut().poll(cx).map_err(Some);
            inside.0.tell(progress.stage());
            if matches!(sent, Poll::Ready(Err(_))) {
                *passage = Passage::Failed;
            }
            sent
        })
        .await
    }

    /// Whether the request came to its end in our transport, which thus knows what became of it (`unknown_service`).
    fn has_failed(&self) -> bool {
        matches!(*self.passage(), Passage::Failed)
    }

    /// Keeps the request from being sent, if that is possible: if it waits for a connection of our transport.
    fn revoke(&self) -> bool {
        let mut passage = self.passage();
        let waits = matches!(&*passage, Passage::Inside(progress) if progress.is_unconnected());
        if waits {
            *passage = Passage::Revoked;
        }
        waits
    }

    fn tell(&self, stage: Stage) {
        if let Some(attempt) = &self.attempt {
            attempt.reach(stage);
        }
    }

    fn passage(&self) -> MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the request's time in the transport, also where it is dropped there.
struct Inside(Ticket);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.tell(Stage::Taken);
        let mut passage = self.0.passage();
        if matches!(&*passage, Passage::Inside(_)) {
            *passage = Passage::Unknown;
        }
    }
}

/// What is left of a chain of middleware.
pub(crate) struct Rest<'a> {
    pub(crate) client: surf::Client,
    pub(crate) next: Next<'a>,
}

impl Exchange for Rest<'_> {
    type Body = SurfBody;

    async fn exchange(
        &self,
        _: usize,
        request: Request<AttemptBody>,
        bound: Bound<'_>,
    ) -> Result<Response<SurfBody>, AttemptError> {
        through(request, bound, |request| self.next.run(request, self.client.clone())).await
    }
}

/// Sends a request through a client of surf's.
pub(crate) async fn through<F>(
    request: Request<AttemptBody>,
    mut bound: Bound<'_>,
    send: impl FnOnce(surf::Request) -> F,
) -> Result<Response<SurfBody>, AttemptError>
where
    F: Future<Output = surf::Result<surf::Response>> + Send,
{
    let ticket = Ticket::of_attempt(&request);
    let mut request = to_surf(request).map_err(AttemptError::unbuilt)?;
    request.set_ext(ticket.clone());
    bound.progress().reach(Stage::Taken);
    // It lives on until the ticket was asked.
    let mut sending = pin!(send(request));
    match bound.hold::<AsyncStd, _>(sending.as_mut()).await {
        Ok(Ok(response)) => Ok(received(response)),
        Ok(Err(error)) => match error.downcast::<Unrepresentable>() {
            Ok(answer) => Ok(answer.into_response().map(SurfBody::new)),
            Err(error) => Err(foreign(error, &ticket)),
        },
        Err(_) if ticket.revoke() => Err(AttemptError::unconnected()),
        Err(elapsed) => Err(AttemptError::timeout(&elapsed)),
    }
}

/// An error of a client of surf's, which proves something only if it is what became of this request in our transport.
fn foreign(error: surf::Error, ticket: &Ticket) -> AttemptError {
    match error.downcast::<AttemptError>() {
        Ok(error) if ticket.has_failed() => error,
        Ok(error) => AttemptError::new(Evidence::MaybeProcessed, Fault::Client, BoxError::from(error)),
        Err(error) => {
            AttemptError::new(Evidence::MaybeProcessed, Fault::Client, BoxError::from(error.into_inner()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_request_whose_ticket_was_revoked_is_not_sent_any_more() {
        let ticket = Ticket::default();
        assert!(!ticket.revoke(), "it may be anywhere");
        let mut polls = 0;
        let sending = poll_fn(|_| {
            polls += 1;
            Poll::<Result<(), ()>>::Pending
        });
        let progress = in_the_pool();
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut watched = pin!(ticket.clone().watch(progress, sending));
            assert!(watched.as_mut().poll(&mut cx).is_pending());
            assert!(ticket.revoke());
            assert!(matches!(watched.as_mut().poll(&mut cx), Poll::Ready(Err(None))));
        }
        assert_eq!(polls, 1);
    }

    #[test]
    fn a_request_that_was_dropped_in_the_transport_may_be_sent_elsewhere() {
        let ticket = Ticket::default();
        let progress = in_the_pool();
        {
            let mut watched = pin!(ticket.clone().watch(progress, pending::<Result<(), ()>>()));
            assert!(watched.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(!ticket.revoke());
    }

    /// The progress of a request that waits for a connection.
    fn in_the_pool() -> Progress {
        let progress = Progress::start::<AsyncStd>();
        progress.reach(Stage::Connecting);
        progress
    }
}

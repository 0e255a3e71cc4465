//! Attempts through a client of surf's: what can be proven there, and what cannot.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use http::Request;
use hyper_util::client::legacy::connect::CaptureConnection;
use surf::middleware::Next;

use crate::answer::{Received, Unrepresentable};
use crate::body::AttemptBody;
use crate::convert::to_surf;
use crate::drive::Exchange;
use crate::error::AttemptError;
use crate::progress::Bound;

/// Goes with a request through a client, so that our [`Transport`](crate::Transport), if it is there at the end, can
/// prove that the request was not sent.
#[derive(Clone, Default)]
pub(crate) struct Ticket(Arc<Mutex<Passage>>);

/// How far a request has come, as far as it is known.
#[derive(Default)]
enum Passage {
    /// On its way through the client, which may do anything with it.
    #[default]
    Unknown,
    /// In the transport, waiting for this connection or sent on it.
    Inside(CaptureConnection),
    /// Not to be sent any more.
    Revoked,
}

impl Ticket {
    /// Sends a request for as long as its ticket is not revoked.
    ///
    /// # Errors
    ///
    /// The error of sending, or `None` if the ticket was revoked before there was a connection.
    pub(crate) async fn watch<T, E>(
        self,
        connection: CaptureConnection,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Option<E>> {
        *self.passage() = Passage::Inside(connection);
        let inside = Inside(self);
        let mut sending = pin!(sending);
        // The lock is held while the request may go out, so that it cannot be revoked meanwhile.
        poll_fn(|cx| match &*inside.0.passage() {
            Passage::Revoked => Poll::Ready(Err(None)),
            _ => sending.as_mut().poll(cx).map_err(Some),
        })
        .await
    }

    /// Keeps the request from being sent, if that is possible: if it waits for a connection of our transport.
    fn revoke(&self) -> bool {
        let mut passage = self.passage();
        let waits =
            matches!(&*passage, Passage::Inside(connection) if connection.connection_metadata().is_none());
        if waits {
            *passage = Passage::Revoked;
        }
        waits
    }

    fn passage(&self) -> MutexGuard<'_, Passage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the request's time in the transport, also where it is dropped there.
struct Inside(Ticket);

impl Drop for Inside {
    fn drop(&mut self) {
        let mut passage = self.0.passage();
        if matches!(&*passage, Passage::Inside(_)) {
            *passage = Passage::Unknown;
        }
    }
}

impl Exchange for surf::Client {
    async fn exchange(&self, request: Request<AttemptBody>, bound: Bound) -> Result<Received, AttemptError> {
        through(request, bound, |request| self.send(request)).await
    }
}

/// What is left of a chain of middleware.
pub(crate) struct Rest<'a> {
    pub(crate) client: surf::Client,
    pub(crate) next: Next<'a>,
}

impl Exchange for Rest<'_> {
    async fn exchange(&self, request: Request<AttemptBody>, bound: Bound) -> Result<Received, AttemptError> {
        through(request, bound, |request| self.next.run(request, self.client.clone())).await
    }
}

async fn through<F>(
    request: Request<AttemptBody>,
    bound: Bound,
    send: impl FnOnce(surf::Request) -> F,
) -> Result<Received, AttemptError>
where
    F: Future<Output = surf::Result<surf::Response>>,
{
    let mut request = to_surf(request).map_err(AttemptError::unbuilt)?;
    let ticket = Ticket::default();
    request.set_ext(ticket.clone());
    // It lives on until the ticket was asked.
    let mut sending = pin!(send(request));
    match bound.hold(sending.as_mut()).await {
        Ok(Ok(response)) => Ok(Received::over_surf(Ok(response))),
        Ok(Err(error)) => match error.downcast::<Unrepresentable>() {
            Ok(answer) => Ok(Received::over_surf(Err(answer))),
            Err(error) => Err(AttemptError::foreign(error)),
        },
        Err(elapsed) => Err(AttemptError::timeout(elapsed, ticket.revoke())),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};

    use hyper_util::client::legacy::connect::capture_connection;

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
        let connection = capture_connection(&mut Request::new(()));
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut watched = pin!(ticket.clone().watch(connection, sending));
            assert!(watched.as_mut().poll(&mut cx).is_pending());
            assert!(ticket.revoke());
            assert!(matches!(watched.as_mut().poll(&mut cx), Poll::Ready(Err(None))));
        }
        assert_eq!(polls, 1);
    }

    #[test]
    fn a_request_that_was_dropped_in_the_transport_may_be_sent_elsewhere() {
        let ticket = Ticket::default();
        let connection = capture_connection(&mut Request::new(()));
        {
            let mut watched = pin!(ticket.clone().watch(connection, pending::<Result<(), ()>>()));
            assert!(watched.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(!ticket.revoke());
    }
}

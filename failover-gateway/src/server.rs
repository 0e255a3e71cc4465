//! The server: the connections that are taken, how many, and their end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use failover_tokio::rustls::ServerConfig;
use http::Request;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::activity::{Activity, Open};
use crate::caller::Caller;
use crate::conversation::{Answered, Manners};
use crate::listener::Listener;
use crate::outgoing::BoxError;
use crate::settings::Limits;

/// Serves connections, as many as there are `places`, until `end`, and then those that have calls under way; tells whether all of these ended in time.
pub(crate) async fn serve<H, F, B>(
    listener: Listener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    limits: Limits,
    places: Arc<Semaphore>,
    handler: H,
    end: impl Future<Output = ()>,
) -> bool
where
    H: Fn(Request<Incoming>, Arc<Caller>) -> F + Send + Sync + 'static,
    F: Future<Output = Answered<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let open = Open::default();
    let Limits { idle_timeout, max_headers, .. } = limits;
    let manners = Arc::new(Manners { handler, idle_timeout, max_headers, tls });
    let mut end = pin!(end);
    loop {
        let next = async {
            let accepted = listener.accept().await;
            (place(&places, &open).await, accepted)
        };
        let (place, accepted) = tokio::select! {
            () = &mut end => break,
            next = next => next,
        };
        match accepted {
            Ok(accepted) => {
                let activity = Arc::new(Activity::begin());
                open.add(&activity);
                let manners = Arc::clone(&manners);
                tokio::spawn(async move {
                    manners.converse(accepted, &activity).await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!("no connection can be taken: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    open.dismiss_all();
    timeout(limits.drain_timeout, places.acquire_many(limits.max_connections)).await.is_ok()
}

/// A place for a connection: a free one, or else that of the connection that has been idle for longest.
async fn place(places: &Arc<Semaphore>, open: &Open) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    loop {
        open.dismiss_idlest();
        // Where none is idle, one may become so.
        if let Ok(place) = timeout(IDLE_CHECK, Arc::clone(places).acquire_owned()).await {
            return place.ok();
        }
    }
}

/// Whether accepting failed because of the one that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How often it is looked for a connection that is idle while another one waits for its place.
const IDLE_CHECK: Duration = Duration::from_millis(100);

/// How long no connection is taken after this process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

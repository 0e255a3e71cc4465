//! The transport: what the connections of one client have in common, and the pools of those that there are.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use failover_core::{Address, BuildError, Policy, Protocol, Target};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use tower_service::Service;

use crate::connect::{Connector, Origin, OriginError, Security};
use crate::connections::{Connections, Sending};
use crate::evidence::TransportError;
use crate::names::{Names, Resolve, SystemResolver};
use crate::opener::Opener;
use crate::pool::Pool;
use crate::request_body::AttemptBody;
use crate::runtime::Runtime;
#[cfg(feature = "rustls-no-provider")]
use crate::tls::{Tls, TlsSettings};
use crate::transport_body::TransportBody;
use crate::tuning::Tuning;

/// Connections to any number of targets, over HTTP/1.1 and HTTP/2.
///
/// It makes the [`Connections`] that clients send with. As a service of its own, to build stacks on, it goes by the URI of each
/// request; it sends each at most once, follows no redirects, and obeys no proxy. A clone is a reference count and shares
/// the connections.
#[derive(Clone)]
pub struct Transport<R: Runtime> {
    shared: Arc<Shared<R>>,
}

struct Shared<R: Runtime> {
    connector: Arc<Connector<R>>,
    /// What is spoken with targets that do not say it.
    protocol: Protocol,
    /// In nanoseconds: what opening one connection may take where no policy says it.
    bound: AtomicU64,
    #[cfg(feature = "rustls-no-provider")]
    tls: Mutex<TlsSettings>,
    /// One for each origin, which are few.
    pools: Mutex<Vec<Known<R>>>,
}

struct Known<R: Runtime> {
    pool: Arc<Pool<R>>,
    /// Whether it is the one that a URI leads to by itself.
    by_uri: bool,
}

impl<R: Runtime> Transport<R> {
    /// A transport for http targets.
    ///
    /// `bound` is what opening one connection may take for a request that is sent by its URI: to resolve the name, to connect,
    /// and to shake hands for TLS. `protocol` is spoken with targets that do not say which.
    #[must_use]
    pub fn new(bound: Duration, protocol: Protocol) -> Self {
        Self::tuned(bound, protocol, Arc::new(SystemResolver), None, Tuning::default())
    }

    /// The same, with names looked up by `resolver`, or streams opened by `opener` if there is one.
    pub(crate) fn tuned(
        bound: Duration,
        protocol: Protocol,
        resolver: Arc<dyn Resolve>,
        opener: Option<Opener>,
        tuning: Tuning,
    ) -> Self {
        let shared = Shared {
            connector: Arc::new(Connector::new(Names::new(resolver), opener, tuning)),
            protocol,
            bound: AtomicU64::default(),
            #[cfg(feature = "rustls-no-provider")]
            tls: Mutex::default(),
            pools: Mutex::default(),
        };
        let transport = Self { shared: Arc::new(shared) };
        transport.set_connect_bound(bound);
        transport
    }

    /// The same for https targets, too, with TLS as configured.
    #[cfg(feature = "rustls-no-provider")]
    #[must_use]
    pub fn with_tls(self, settings: crate::rustls::ClientConfig) -> Self {
        self.tls().all = Some(Arc::new(settings));
        self
    }

    /// Sets how TLS is spoken with new connections to targets that name these settings.
    #[cfg(feature = "rustls-no-provider")]
    pub fn set_tls(&self, name: impl Into<String>, settings: Arc<crate::rustls::ClientConfig>) {
        self.tls().named.insert(name.into(), settings);
    }

    /// The same for https targets, too, with TLS that trusts the platform's certificate roots.
    ///
    /// # Errors
    ///
    /// The platform has none, or there is no provider of cryptography.
    #[cfg(feature = "rustls-no-provider")]
    pub fn with_platform_tls(self) -> Result<Self, BuildError> {
        self.tls().prepare()?;
        Ok(self)
    }

    /// Sets what opening one connection may take from now on, for a request that is sent by its URI.
    pub fn set_connect_bound(&self, bound: Duration) {
        let nanos = bound.as_nanos().try_into().unwrap_or(u64::MAX);
        self.shared.bound.store(nanos, Ordering::Relaxed);
    }

    /// The connections to each of these targets.
    ///
    /// They are those that there are, where they lead to the same host and port, or address, over the same protocol and TLS;
    /// what else there is ends with the exchanges on it once nobody sends with it any more.
    ///
    /// # Errors
    ///
    /// Names the key and the value of what a target cannot be reached by.
    pub fn connections(
        &self,
        targets: &[Target],
        policy: &Policy,
    ) -> Result<Vec<Connections<R>>, BuildError> {
        let connect = |(place, target): (usize, &Target)| {
            let pool = self.pool(target).map_err(|error| {
                let key = format!("targets[{place}].{}", error.key());
                error.at(key)
            })?;
            Ok(Connections::new(pool, target.connect_bound(policy)))
        };
        targets.iter().enumerate().map(connect).collect()
    }

    /// Makes sure that these targets can be connected to.
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    pub fn prepare(&self, targets: &[Target]) -> Result<(), BuildError> {
        self.connections(targets, &Policy::default()).map(drop)
    }

    /// Sends a request to where its URI leads, once, and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn send(
        &self,
        request: Request<AttemptBody>,
    ) -> Result<Response<TransportBody>, TransportError> {
        let pool = self.pool_of(request.uri()).map_err(TransportError::no_origin)?;
        let bound = Duration::from_nanos(self.shared.bound.load(Ordering::Relaxed));
        Connections::new(pool, bound).send(request).await
    }

    /// Where a target leads.
    fn origin(&self, target: &Target) -> Result<Origin, BuildError> {
        let route = target.route();
        if let Some(address @ Address::Unix(_)) = route.address.as_ref().filter(|_| !cfg!(unix)) {
            return Err(BuildError::new(
                "connect",
                address,
                "host:port, since the system has no Unix sockets",
            ));
        }
        let protocol = route.protocol.unwrap_or(self.shared.protocol);
        if protocol == Protocol::Http2 && cfg!(not(feature = "http2")) {
            return Err(BuildError::new("protocol", "http2", "http1, since the feature `http2` is off"));
        }
        let security = match (&route.tls, &route.server_name) {
            _ if *target.scheme() == Scheme::HTTPS => self.security(target, protocol)?,
            (None, None) => Security::None,
            (Some(name), _) => {
                return Err(BuildError::new("tls", name, "none, since the URL is not one of https"));
            }
            (_, Some(name)) => {
                return Err(BuildError::new("server_name", name, "none, since the URL is not one of https"));
            }
        };
        Ok(Origin {
            authority: target.authority().as_str().into(),
            host: target.host().into(),
            port: target.port(),
            address: route.address.clone(),
            protocol,
            security,
        })
    }

    #[cfg(feature = "rustls-no-provider")]
    fn security(&self, target: &Target, protocol: Protocol) -> Result<Security, BuildError> {
        let route = target.route();
        let mut tls = self.tls();
        let settings = match &route.tls {
            Some(name) => tls.named.get(name).ok_or_else(|| {
                BuildError::new("tls", name, "the name of settings of TLS that the client was given")
            })?,
            None => tls.prepare()?,
        };
        let name = route.server_name.as_deref().unwrap_or(target.host());
        let tls = Tls::new(settings, protocol, name);
        tls.map(Security::Tls).ok_or_else(|| BuildError::new("server_name", name, "a host name"))
    }

    #[cfg(not(feature = "rustls-no-provider"))]
    #[expect(clippy::unused_self, reason = "it is what TLS is set for")]
    fn security(&self, target: &Target, _: Protocol) -> Result<Security, BuildError> {
        Err(BuildError::new("url", target, "http, since the feature `rustls` is off"))
    }

    /// The connections to where a target leads.
    fn pool(&self, target: &Target) -> Result<Arc<Pool<R>>, BuildError> {
        let origin = self.origin(target)?;
        let mut pools = self.pools();
        if let Some(known) = pools.iter().find(|known| *known.pool.origin() == origin) {
            return Ok(Arc::clone(&known.pool));
        }
        // Targets come and go.
        pools.retain(|known| Arc::strong_count(&known.pool) > 1 || !known.pool.is_empty());
        let pool = Pool::new(origin, Arc::clone(&self.shared.connector));
        pools.push(Known { pool: Arc::clone(&pool), by_uri: !target.has_route() });
        Ok(pool)
    }

    /// The connections to where a URI leads by itself.
    fn pool_of(&self, uri: &Uri) -> Result<Arc<Pool<R>>, OriginError> {
        let is_of = |known: &&Known<R>| known.by_uri && known.pool.origin().is_of(uri);
        if let Some(known) = self.pools().iter().find(is_of) {
            return Ok(Arc::clone(&known.pool));
        }
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(OriginError::NoHost);
        };
        #[cfg(feature = "rustls-no-provider")]
        if *scheme == Scheme::HTTPS && self.tls().all.is_none() {
            return Err(OriginError::NoTls);
        }
        let target = Target::parse(&format!("{scheme}://{authority}")).map_err(|_| OriginError::NoHost)?;
        self.pool(&target).map_err(|_| OriginError::NoTls)
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Known<R>>> {
        self.shared.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "rustls-no-provider")]
    fn tls(&self) -> MutexGuard<'_, TlsSettings> {
        self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Service<Request<AttemptBody>> for Transport<R> {
    type Response = Response<TransportBody>;
    type Error = TransportError;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AttemptBody>) -> Sending {
        let transport = self.clone();
        Sending::new(async move { transport.send(request).await })
    }
}

impl<R: Runtime> fmt::Debug for Transport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

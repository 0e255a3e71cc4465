//! Names: looked up apart from requests, once for all who wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::runtime::Runtime;

/// Finds the addresses of names.
///
/// It may block: each name has at most one lookup under way, on a thread of its own, so that a name that hangs holds up
/// nobody else's.
pub trait Resolve: Send + Sync {
    /// The addresses of a name, the best one first. Their ports are not looked at.
    ///
    /// # Errors
    ///
    /// The name has none.
    fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, `getaddrinfo`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok((name, 0).to_socket_addrs()?.collect())
    }
}

/// What is known of names.
pub(crate) struct Names {
    resolver: Arc<dyn Resolve>,
    known: Mutex<HashMap<Box<str>, Name>>,
}

#[derive(Default)]
struct Name {
    /// The addresses that were found last, and when.
    found: Option<(Vec<SocketAddr>, Instant)>,
    /// Who waits for a lookup that is under way, if one is.
    waiting: Option<Vec<oneshot::Sender<io::Result<Vec<SocketAddr>>>>>,
}

impl Names {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Arc<Self> {
        Arc::new(Self { resolver, known: Mutex::default() })
    }

    /// The addresses of a name: those of a lookup that is at most [`AGE`] old. Where a lookup fails, the last ones that were
    /// found stand in for a while.
    ///
    /// # Errors
    ///
    /// The name has none, and had none lately.
    pub(crate) async fn resolve<R: Runtime>(self: &Arc<Self>, name: &str) -> io::Result<Vec<SocketAddr>> {
        let waiter = {
            let (mut known, now) = (self.known(), R::now());
            known.retain(|_, name| name.waiting.is_some() || name.is_younger(STALE, now));
            let entry = known.entry(name.into());
            let is_new = matches!(entry, Entry::Vacant(_));
            let entry = entry.or_default();
            if let Some((addresses, _)) = entry.found.as_ref().filter(|_| entry.is_younger(AGE, now)) {
                return Ok(addresses.clone());
            }
            let (sender, waiter) = oneshot::channel();
            match &mut entry.waiting {
                Some(waiting) => {
                    waiting.retain(|waiter| !waiter.is_closed());
                    waiting.push(sender);
                }
                waiting @ None => {
                    *waiting = Some(vec![sender]);
                    if let Err(error) = self.look_up::<R>(name) {
                        *waiting = None;
                        if is_new {
                            known.remove(name);
                        }
                        return Err(error);
                    }
                }
            }
            waiter
        };
        waiter.await.unwrap_or_else(|_| Err(io::Error::other("the lookup ended without a result")))
    }

    fn look_up<R: Runtime>(self: &Arc<Self>, name: &str) -> io::Result<()> {
        let (names, name) = (Arc::clone(self), Box::<str>::from(name));
        let look_up = move || {
            let found = names.resolver.resolve(&name).and_then(|addresses| match addresses.len() {
                0 => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
                _ => Ok(addresses),
            });
            names.found(&name, found, R::now());
        };
        thread::Builder::new().name("resolver".to_owned()).spawn(look_up).map(drop)
    }

    /// Tells all who wait for a name what was found.
    fn found(&self, name: &str, found: io::Result<Vec<SocketAddr>>, now: Instant) {
        let mut known = self.known();
        let Some(entry) = known.get_mut(name) else { return };
        let result = match found {
            Ok(addresses) => {
                entry.found = Some((addresses.clone(), now));
                Ok(addresses)
            }
            Err(error) => match &entry.found {
                Some((addresses, _)) if entry.is_younger(STALE, now) => Ok(addresses.clone()),
                _ => Err(error),
            },
        };
        for waiter in entry.waiting.take().unwrap_or_default() {
            let result = result.as_ref().map(Clone::clone);
            // Whoever has left wants to know nothing.
            let _ = waiter.send(result.map_err(|error| io::Error::new(error.kind(), error.to_string())));
        }
        if entry.found.is_none() {
            known.remove(name);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Name>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Name {
    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        self.found.as_ref().is_some_and(|(_, found)| now.saturating_duration_since(*found) < age)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

/// How long the addresses of a name are taken for granted.
const AGE: Duration = Duration::from_secs(5);

/// How long they stand in where the name can no longer be looked up.
const STALE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::testing::Tokio;

    #[tokio::test]
    async fn all_who_wait_share_a_lookup_and_a_name_that_hangs_holds_up_no_other() {
        let (release, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let resolver = Arc::new(Scripted::new(move |name, _| match name {
            "hangs" => {
                gate.lock().unwrap().recv().unwrap();
                Ok(vec![address(1)])
            }
            _ => Ok(vec![address(2)]),
        }));
        let names = Names::new(Arc::clone(&resolver) as Arc<dyn Resolve>);
        let waiting: Vec<_> = (0..1_000)
            .map(|_| {
                let names = Arc::clone(&names);
                tokio::spawn(async move { names.resolve::<Tokio>("hangs").await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(names.resolve::<Tokio>("works").await.unwrap(), [address(2)]);
        release.send(()).unwrap();
        for waiter in waiting {
            assert_eq!(waiter.await.unwrap().unwrap(), [address(1)]);
        }
        assert_eq!(resolver.lookups.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_was_found_is_used_again_and_stands_in_when_the_name_is_not_found_any_more() {
        let resolver = Arc::new(Scripted::new(|_, nth| {
            if nth == 0 { Ok(vec![address(1)]) } else { Err(io::ErrorKind::TimedOut.into()) }
        }));
        let names = Names::new(Arc::clone(&resolver) as Arc<dyn Resolve>);
        for _ in 0..3 {
            assert_eq!(names.resolve::<Tokio>("name").await.unwrap(), [address(1)]);
        }
        assert_eq!(resolver.lookups.load(Ordering::Relaxed), 1);
        names.age("name", AGE);
        assert_eq!(names.resolve::<Tokio>("name").await.unwrap(), [address(1)]);
        assert_eq!(resolver.lookups.load(Ordering::Relaxed), 2);
        names.age("name", STALE);
        assert_eq!(names.resolve::<Tokio>("name").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(names.known().is_empty());
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_an_error() {
        let names = Names::new(Arc::new(Scripted::new(|_, _| Ok(vec![]))));
        assert_eq!(names.resolve::<Tokio>("name").await.unwrap_err().to_string(), "the name has no address");
    }

    impl Names {
        /// Lets what was found be older by this much.
        fn age(&self, name: &str, time: Duration) {
            let mut known = self.known();
            let (_, found) = known.get_mut(name).unwrap().found.as_mut().unwrap();
            *found = found.checked_sub(time).unwrap();
        }
    }

    type Script = Box<dyn Fn(&str, usize) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

    struct Scripted {
        lookups: AtomicUsize,
        script: Script,
    }

    impl Scripted {
        fn new(script: impl Fn(&str, usize) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
            Self { lookups: AtomicUsize::new(0), script: Box::new(script) }
        }
    }

    impl Resolve for Scripted {
        fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
            (self.script)(name, self.lookups.fetch_add(1, Ordering::Relaxed))
        }
    }

    fn address(host: u8) -> SocketAddr {
        ([127, 0, 0, host], 0).into()
    }
}

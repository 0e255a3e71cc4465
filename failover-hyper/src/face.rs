//! The methods that all clients have, and all their builders: the faces of the adapters, once.

/// The methods of a client for calls whose body is in memory, over its `request`. Its `Error` has `Method` and is made
/// from a `PathError`.
#[doc(hidden)]
#[macro_export]
macro_rules! verbs {
    ($response:ty) => {
        /// Sends a GET request.
        ///
        /// The path, with its query if it has one, is joined to the base path of each target that is tried.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn get(&self, path: &str) -> Result<$response, Error> {
            self.execute(Method::GET, path, Bytes::new()).await
        }

        /// Sends a HEAD request.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn head(&self, path: &str) -> Result<$response, Error> {
            self.execute(Method::HEAD, path, Bytes::new()).await
        }

        /// Sends an OPTIONS request.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn options(&self, path: &str) -> Result<$response, Error> {
            self.execute(Method::OPTIONS, path, Bytes::new()).await
        }

        /// Sends a DELETE request.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn delete(&self, path: &str) -> Result<$response, Error> {
            self.execute(Method::DELETE, path, Bytes::new()).await
        }

        /// Sends a POST request.
        ///
        /// One that may have been executed is not sent again, unless the policy's `replay` says so.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<$response, Error> {
            self.execute(Method::POST, path, body).await
        }

        /// Sends a PUT request.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<$response, Error> {
            self.execute(Method::PUT, path, body).await
        }

        /// Sends a PATCH request.
        ///
        /// One that may have been executed is not sent again, unless the policy's `replay` says so.
        ///
        /// # Errors
        ///
        /// See [`Error`].
        pub async fn patch(&self, path: &str, body: impl Into<Bytes>) -> Result<$response, Error> {
            self.execute(Method::PATCH, path, body).await
        }

        /// Sends a request with any method, given as a [`Method`] or by name.
        ///
        /// # Errors
        ///
        /// See [`Error`]. A name that is no method fails at once, without an attempt.
        pub async fn execute(
            &self,
            method: impl TryInto<Method>,
            path: &str,
            body: impl Into<Bytes>,
        ) -> Result<$response, Error> {
            self.request(Self::plain(method, path, body)?).await
        }

        /// A request without headers of its own.
        fn plain(
            method: impl TryInto<Method>,
            path: &str,
            body: impl Into<Bytes>,
        ) -> Result<Request<Bytes>, Error> {
            let mut request = Request::new(body.into());
            *request.method_mut() = method.try_into().map_err(|_| Error::Method)?;
            *request.uri_mut() = Target::path(path)?.into();
            Ok(request)
        }
    };
}

/// What a client tells of its targets, and what can be said of them by hand, over its [`Targets`](crate::Targets).
#[doc(hidden)]
#[macro_export]
macro_rules! remembered {
    ($($targets:ident).+) => {
        /// Moves the cursor by hand: the next call begins at the target with this index.
        ///
        /// If it leaves a preferred target, failback brings it back in time, as after a failover.
        ///
        /// # Errors
        ///
        /// There is no target with this index.
        pub fn prefer(&self, index: usize) -> Result<(), BuildError> {
            self.$($targets).+.current().observed().prefer(index)
        }

        /// Sets whether a target is to be used, by the hand of an administrator: see [`AdminState`].
        ///
        /// # Errors
        ///
        /// There is no target with this index.
        pub fn set_state(&self, index: usize, state: AdminState) -> Result<(), BuildError> {
            self.$($targets).+.current().observed().set_state(index, state)
        }

        /// The targets in order.
        #[must_use]
        pub fn targets(&self) -> Vec<Target> {
            self.group().targets().to_vec()
        }

        /// The index of the target where the next call begins.
        #[must_use]
        pub fn sticky(&self) -> usize {
            self.group().sticky()
        }

        /// The targets and the policy of the moment, and what is remembered.
        #[must_use]
        pub fn group(&self) -> Group<Target> {
            self.$($targets).+.current().group().clone()
        }

        /// What is remembered of the targets, for a status page, in the order of those of [`group`](Self::group).
        #[must_use]
        pub fn snapshot(&self) -> Snapshot {
            self.snapshot_of(&self.group())
        }

        /// What a group that [`group`](Self::group) gave remembers, which fits its targets whatever they are by now.
        #[must_use]
        pub fn snapshot_of(&self, group: &Group<Target>) -> Snapshot {
            group.snapshot(self.$($targets).+.current().observed().clock().now())
        }

        /// Sets the gauges of the targets, which are as of this moment: to be called when they are to be read, or now and then.
        ///
        /// Those of targets that are gone are set to 0; an exporter with an idle timeout for gauges then forgets them.
        #[cfg(feature = "metrics")]
        pub fn record_gauges(&self) {
            self.$($targets).+.record_gauges();
        }
    };
}

/// The methods of a builder of clients with a transport of their own.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($name:literal) => {
        $crate::policy_setters!($name);

        /// Sets what finds the addresses of names, which is the system otherwise.
        pub fn resolver(mut self, resolver: impl $crate::Resolve + 'static) -> Self {
            self.settings.resolver = $crate::Resolver(std::sync::Arc::new(resolver));
            self
        }

        /// Sets what is spoken with targets that do not say it, which is [`Protocol::Auto`] otherwise.
        pub fn protocol(mut self, protocol: Protocol) -> Self {
            self.settings.protocol = protocol;
            self
        }

        /// Sets how many header lines an answer over HTTP/1.1 may have, which are 100 otherwise; all heads are bounded by
        /// 256 KiB. At most 10,000 can be allowed; reading more than 100 costs an allocation for each answer.
        pub fn max_headers(mut self, count: usize) -> Self {
            self.settings.max_headers = Some(count);
            self
        }

        /// Sets how TLS is spoken with the targets that name these settings: see [`Target::tls`].
        #[cfg(feature = "tls")]
        pub fn tls_named(
            mut self,
            name: impl Into<String>,
            config: impl Into<std::sync::Arc<$crate::rustls::ClientConfig>>,
        ) -> Self {
            self.settings.tls_named.push((name.into(), config.into()));
            self
        }
    };
}

/// The methods of a builder whose `settings` are [`Settings`](crate::Settings), over whatever transport; the name of its crate
/// is for examples.
#[doc(hidden)]
#[macro_export]
macro_rules! policy_setters {
    ($name:literal) => {
        /// Adds targets by their URLs, the preferred one first.
        pub fn targets(mut self, urls: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
            self.settings.add(urls);
            self
        }

        /// Adds one target, for example with headers of its own.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::{FailoverClient, Target};")]
        /// use http::header::{HeaderName, HeaderValue};
        ///
        /// let key = (HeaderName::from_static("x-api-key"), HeaderValue::from_static("7f3a"));
        /// let client = FailoverClient::builder()
        ///     .targets(["http://primary.example"])
        ///     .target(Target::parse("http://standby.example/api")?.with_header(key.0, key.1))
        ///     .build()?;
        #[doc = concat!("# Ok::<(), ", $name, "::BuildError>(())")]
        /// ```
        pub fn target(mut self, target: Target) -> Self {
            self.settings.targets.push(target);
            self
        }

        /// Adds the targets of a configuration, and sets its policy.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::FailoverClient;")]
        ///
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let config = toml::from_str(
        ///     r#"
        ///     targets = ["http://eu.example", "http://us.example/v1"]
        ///     failover_codes = "5xx, 429"
        ///     "#,
        /// )?;
        /// let client = FailoverClient::builder().config(config).build()?;
        /// # Ok(())
        /// # }
        /// ```
        #[cfg(feature = "serde")]
        pub fn config(mut self, config: failover_core::Config) -> Self {
            self.settings.configure(config);
            self
        }

        /// Sets the policy, which is [`Policy::default`] otherwise.
        pub fn policy(mut self, policy: Policy) -> Self {
            self.settings.policy = Some(policy);
            self
        }

        /// Sets the name by which logs and metrics tell this client from others: `default` otherwise.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.settings.name = Some(name.into());
            self
        }

        /// Records what happens to the calls: see [`Recorder`](crate::Recorder).
        #[cfg(feature = "record")]
        pub fn record(mut self, recorder: &$crate::Recorder) -> Self {
            self.settings.recorder = Some(recorder.clone());
            self
        }

        /// Sets the statuses that give a target up.
        pub fn failover_codes(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
            self.settings.set_failover_codes(codes);
            self
        }

        /// Sets the time that resolve, connect and TLS have together.
        pub fn connect_timeout(mut self, time: Duration) -> Self {
            self.settings.connect_timeout = Some(time);
            self
        }

        /// Sets the time that an attempt has: resolve, connect, TLS and the wait for the head of the answer.
        ///
        /// A default deadline that is shorter gives way.
        pub fn attempt_timeout(mut self, time: Duration) -> Self {
            self.settings.attempt_timeout = Some(time);
            self
        }

        /// Sets the pause between attempts on different targets.
        pub fn interval(mut self, pause: Duration) -> Self {
            self.settings.interval = Some(pause);
            self
        }

        /// Sets the time that a call has. A policy can also set none.
        pub fn deadline(mut self, time: Duration) -> Self {
            self.settings.deadline = Some(time);
            self
        }

        /// Sets when a request that may have been executed is sent again.
        pub fn replay(mut self, replay: Replay) -> Self {
            self.settings.replay = Some(replay);
            self
        }
    };
}

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

/// The methods of a builder whose `settings` are [`Settings`](crate::Settings); the name of its crate is for examples.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
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

        /// Sets what finds the addresses of names, which is the system otherwise.
        pub fn resolver(mut self, resolver: impl $crate::Resolve + 'static) -> Self {
            self.settings.resolver = $crate::Resolver(std::sync::Arc::new(resolver));
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

//! The methods that all clients have, and all their builders: the faces of the adapters, once.

/// The methods of a client that begin a request, over its [`Targets`](crate::Targets).
#[doc(hidden)]
#[macro_export]
macro_rules! verbs {
    ($($targets:ident).+) => {
        /// Begins a GET request.
        ///
        /// The path, with its query if it has one, is joined to the base path of each target that is tried.
        pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::GET, path)
        }

        /// Begins a HEAD request.
        pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::HEAD, path)
        }

        /// Begins an OPTIONS request. The path `*` asks for what each target's server as a whole can do.
        pub fn options(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::OPTIONS, path)
        }

        /// Begins a DELETE request.
        pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::DELETE, path)
        }

        /// Begins a POST request.
        ///
        /// One that may have been executed is not sent again, unless it has an `Idempotency-Key`, or the request or the
        /// policy says so.
        pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::POST, path)
        }

        /// Begins a PUT request.
        pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::PUT, path)
        }

        /// Begins a PATCH request.
        ///
        /// One that may have been executed is not sent again, unless it has an `Idempotency-Key`, or the request or the
        /// policy says so.
        pub fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
            self.method(Method::PATCH, path)
        }

        /// Begins a request with any method, given as a [`Method`] or by name.
        pub fn method(&self, method: impl TryInto<Method>, path: impl AsRef<str>) -> RequestBuilder {
            let list = self.$($targets).+.current();
            let defaults = self.$($targets).+.default_headers().clone();
            RequestBuilder::new(list, $crate::Draft::new(method, path.as_ref(), defaults))
        }
    };
}

/// The methods of a builder of requests, over its [`Draft`](crate::Draft), and what awaits it; the name of its crate is for
/// examples.
#[doc(hidden)]
#[macro_export]
macro_rules! request_builder {
    ($name:literal, $response:ty) => {
        impl RequestBuilder {
            /// Adds a header.
            ///
            /// The name is a text or a [`HeaderName`](http::HeaderName), the value a text, bytes, a number or a
            /// [`HeaderValue`](http::HeaderValue). A target's own header of the same name takes its place. `Host`,
            /// `Content-Length` and `Transfer-Encoding` are set by the client, whatever is given.
            pub fn header(
                mut self,
                name: impl AsRef<str>,
                value: impl TryInto<http::HeaderValue>,
            ) -> Self {
                self.draft.header(name.as_ref(), value);
                self
            }

            /// Sets headers: of each name the given ones only.
            pub fn headers(mut self, headers: http::HeaderMap) -> Self {
                self.draft.headers(headers);
                self
            }

            /// Adds pairs of a name and a value to the query, percent-encoded; what the path has of a query stays before them.
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("# async fn run(client: ", $name, "::FailoverClient) -> Result<(), Box<dyn std::error::Error>> {")]
            /// // Asks for /users?sort=name&page=2&of=R%26D
            /// let response = client.get("/users?sort=name").query([("page", 2)]).query(&[("of", "R&D")]).await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn query<P: $crate::QueryPair>(mut self, pairs: impl IntoIterator<Item = P>) -> Self {
                self.draft.query(pairs);
                self
            }

            /// Sets the body: text or bytes, which all attempts share. Text that is only borrowed is given as
            /// `text.to_owned()`.
            pub fn body(mut self, body: impl $crate::IntoBody) -> Self {
                self.draft.body(body);
                self
            }

            /// Sets a value as the body, in JSON, which `Content-Type` says unless the request has one.
            #[cfg(feature = "json")]
            pub fn json<T: $crate::Serialize + ?Sized>(mut self, value: &T) -> Self {
                self.draft.json(value);
                self
            }

            /// Sets how long the call may take, with all its attempts and pauses, until the head of the answer is there: the
            /// shorter of this and the policy's deadline. It is [`Within`](crate::Within).
            pub fn timeout(mut self, time: std::time::Duration) -> Self {
                self.draft.extension($crate::Within(time));
                self
            }

            /// Sets how many attempts the call may have, at least one even if 0 is given, in place of the policy's
            /// `max_attempts`. It is [`Attempts`](crate::Attempts).
            pub fn attempts(mut self, most: u8) -> Self {
                self.draft.extension($crate::Attempts(most));
                self
            }

            /// Sets when the request is sent again that may have been executed, in place of the policy's `replay`.
            pub fn replay(mut self, replay: Replay) -> Self {
                self.draft.extension(replay);
                self
            }

            /// Says that a second execution is harmless, whatever the method. It is [`Idempotent`](crate::Idempotent).
            pub fn idempotent(mut self) -> Self {
                self.draft.extension($crate::Idempotent(true));
                self
            }
        }

        impl IntoFuture for RequestBuilder {
            type Output = Result<$response, Error>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Result<$response, Error>> + Send>>;

            /// [Sends](Self::send) the request, by a future in a box.
            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }

        impl std::fmt::Debug for RequestBuilder {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("RequestBuilder").finish_non_exhaustive()
            }
        }
    };
}

/// What is asked of an `Error` of a client with a transport of its own, by the names that users of other clients know.
#[doc(hidden)]
#[macro_export]
macro_rules! told_by_errors {
    () => {
        pub(crate) fn mistaken(mistake: $crate::Mistake) -> Self {
            match mistake {
                $crate::Mistake::Path(error) => Self::Path(error),
                $crate::Mistake::Header(error) => Self::Header(error),
                $crate::Mistake::Json(error) => Self::Json(error),
                _ => Self::Method,
            }
        }

        /// Whether time ran out: that of any attempt, to connect or to answer, or that of the whole call. It may have been
        /// executed unless [`is_connect`](Self::is_connect), and another attempt may have failed otherwise.
        #[must_use]
        pub fn is_timeout(&self) -> bool {
            let Self::Stopped(stopped) = self else { return false };
            stopped.failures().iter().filter_map(Failure::error).any(AttemptError::is_timeout)
                || stopped.reason() == $crate::core::Reason::Deadline
        }

        $crate::told_by_all_errors!(Self::Method | Self::Path(_) | Self::Header(_) | Self::Json(_));
    };
}

/// The same of an `Error` of any client, of which some say that the request was built wrong.
#[doc(hidden)]
#[macro_export]
macro_rules! told_by_all_errors {
    ($built_wrong:pat) => {
        /// Whether no attempt had a connection, so that nothing was sent.
        #[must_use]
        pub fn is_connect(&self) -> bool {
            let Self::Stopped(stopped) = self else { return false };
            let unconnected =
                |failure: &Failure<_>| failure.evidence() == Some($crate::core::Evidence::NoConnection);
            !stopped.failures().is_empty() && stopped.failures().iter().all(unconnected)
        }

        /// Whether the request was built wrong, so that no target was asked.
        #[must_use]
        pub fn is_builder(&self) -> bool {
            let Self::Stopped(stopped) = self else {
                return matches!(self, $built_wrong);
            };
            // Too long together with a target's.
            let source =
                stopped.failures().last().and_then(Failure::error).and_then(std::error::Error::source);
            source.is_some_and(|source| source.is::<$crate::core::PathError>())
        }

        /// Whether it is the request's body that failed, where the caller provides it.
        #[must_use]
        pub fn is_body(&self) -> bool {
            let Self::Stopped(stopped) = self else { return false };
            let last = stopped.failures().last().and_then(Failure::error).map(AttemptError::fault);
            matches!(last, Some($crate::Fault::RequestBody | $crate::Fault::TooLong))
        }

        /// Whether the last target answered, with a status that gives a target up or an answer that a judge gave up.
        #[must_use]
        pub fn is_status(&self) -> bool {
            self.status().is_some()
        }

        /// The status of the last target's answer, if it gave one: a failover code, or any where a judge gave the answer up.
        #[must_use]
        pub fn status(&self) -> Option<http::StatusCode> {
            let Self::Stopped(stopped) = self else { return None };
            stopped.failures().last().and_then(Failure::status)
        }
    };
}

/// What a client tells of its targets, and what can be said of them by hand, over its [`Targets`](crate::Targets).
#[doc(hidden)]
#[macro_export]
macro_rules! remembered {
    ($($targets:ident).+) => {
        /// Makes a target the sticky one by hand: the next call begins at the one with this index.
        ///
        /// If that leaves a preferred target, failback returns to it in time, as after a failover. One that cools is
        /// asked after the others all the same, until it has answered or its cool-down is over.
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
            self.settings.connects_by("resolver");
            self.settings.resolver = $crate::Resolver(std::sync::Arc::new(resolver));
            self
        }

        /// Sets what is spoken with targets that do not say it, which is [`Protocol::Auto`] otherwise.
        pub fn protocol(mut self, protocol: Protocol) -> Self {
            self.settings.connects_by("protocol");
            self.settings.protocol = protocol;
            self
        }

        /// Sets how many header lines an answer over HTTP/1.1 may have, which are 100 otherwise; all heads are bounded by
        /// 256 KiB. At most 10,000 can be allowed; reading more than 100 costs an allocation for each answer.
        pub fn max_headers(mut self, count: usize) -> Self {
            self.settings.connects_by("max_headers");
            self.settings.tuning.max_headers = Some(count);
            self
        }

        /// Sets what opens the byte stream of each connection, which is a socket to the target's address otherwise.
        ///
        /// It is given where the connection leads: the target's host and port, or the [`Address`](crate::Address) that it is to
        /// be reached at. The stream speaks the traits of the tokio crate, on any runtime. Names are for it to look up: the [`resolver`](Self::resolver) is not asked. All else stays as it is:
        /// TLS is spoken over the stream, `connect_timeout` bounds both, and connections are kept and shared. Its error proves
        /// that the request was not sent, which then goes to the next target, whatever its method; logs tell its innermost cause. So
        /// does its panic.
        /// An error of the stream proves that only before it was to write any of the request: a stream of TLS, to a proxy say, may
        /// have sent part of what it then fails to write.
        ///
        /// That the peer closed a connection that was idle, or said something there that nobody had asked for, such as a late 408, is
        /// known only once the stream's own reads tell it; the system is asked of a socket of the client's own before each request. So
        /// give connections less time than the peer does ([`pool_idle_timeout`](Self::pool_idle_timeout)).
        ///
        /// # Examples
        ///
        /// A stream in memory, as for tests:
        ///
        /// ```
        #[doc = concat!("use ", $name, "::FailoverClient;")]
        ///
        /// let (streams, accepted) = std::sync::mpsc::channel();
        /// let client = FailoverClient::builder().targets(["http://a.example"]).connector(move |_address| {
        ///     let (ours, theirs) = tokio::io::duplex(64 << 10);
        ///     let sent = streams.send(theirs);
        ///     async { sent.map(|()| ours) }
        /// });
        #[doc = concat!("# client.build()?; Ok::<(), ", $name, "::BuildError>(())")]
        /// ```
        pub fn connector<F, O, S, E>(mut self, open: F) -> Self
        where
            F: Fn($crate::core::Address) -> O + Send + Sync + 'static,
            O: Future<Output = Result<S, E>> + Send + 'static,
            S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Sync + Unpin + 'static,
            E: Into<Box<dyn std::error::Error + Send + Sync>>,
        {
            self.settings.connects_by("connector");
            self.settings.opener = Some($crate::Opener::new(open));
            self
        }

        /// Sets how long an idle connection is kept: 20 s otherwise, and at most a day.
        ///
        /// It is less where the target's `Keep-Alive` says so. Of more than eight idle connections of HTTP/1.1 to one target, those
        /// that were used least lately are kept for 5 s only.
        pub fn pool_idle_timeout(mut self, time: Duration) -> Self {
            self.settings.connects_by("pool_idle_timeout");
            self.settings.tuning.idle_timeout = time;
            self
        }

        /// Sets how many idle connections of HTTP/1.1 are kept to each target: 128 otherwise, and at most 10,000. With 0,
        /// none is used again.
        pub fn pool_max_idle(mut self, count: usize) -> Self {
            self.settings.connects_by("pool_max_idle");
            self.settings.tuning.max_idle = count;
            self
        }

        /// Sets for how long a connection is given new requests: 5 minutes otherwise, and at most a day. It bounds how long a name
        /// that moved is not noticed.
        pub fn pool_max_age(mut self, time: Duration) -> Self {
            self.settings.connects_by("pool_max_age");
            self.settings.tuning.max_age = time;
            self
        }

        /// Sets how many connections are opened at once to each target: 64 otherwise, from 1 to 10,000. What calls need beyond that
        /// is opened after those; one that waits for that in vain goes to the next target, and says nothing of this one.
        pub fn pool_max_dials(mut self, count: usize) -> Self {
            self.settings.connects_by("pool_max_dials");
            self.settings.tuning.max_dials = count;
            self
        }

        /// Sets how many bytes of one answer over HTTP/2 may come before they are read: 256 KiB otherwise, from 65,535 to
        /// 2,147,483,647.
        ///
        /// An answer comes no faster than this much in each round trip; so much memory may each take.
        #[cfg(feature = "http2")]
        pub fn http2_stream_window(mut self, bytes: u32) -> Self {
            self.settings.connects_by("http2_stream_window");
            self.settings.tuning.stream_window = bytes;
            self
        }

        /// Sets how many bytes of all answers on one connection of HTTP/2 may come before they are read: 2,147,483,647 otherwise,
        /// which is the most, and at least 65,535.
        ///
        /// With less, answers that nobody reads hold up the others on their connection.
        #[cfg(feature = "http2")]
        pub fn http2_connection_window(mut self, bytes: u32) -> Self {
            self.settings.connects_by("http2_connection_window");
            self.settings.tuning.connection_window = bytes;
            self
        }

        /// Adds headers that each request has, and each check, unless it has one of that name itself. Each replaces those of its name that were
        /// added before.
        ///
        /// A header of the target wins over both ([`Target::with_header`]). What a server received and passes on is not changed.
        /// Refused are `Connection`, `Content-Length`, `Host`, `Idempotency-Key`, `Transfer-Encoding` and `Upgrade`, which are
        /// each request's own. Values are shown by no error, and by no `Debug`.
        pub fn default_headers(mut self, headers: http::HeaderMap) -> Self {
            self.settings.add_default_headers(headers);
            self
        }

        /// Adds one header that each request has: see [`default_headers`](Self::default_headers).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::FailoverClient;")]
        ///
        /// let client = FailoverClient::builder()
        ///     .targets(["http://eu.example", "http://us.example"])
        ///     .user_agent("shop/1.0")
        ///     .default_header("authorization", "Bearer 7f3a")
        ///     .build()?;
        #[doc = concat!("# Ok::<(), ", $name, "::BuildError>(())")]
        /// ```
        pub fn default_header(
            mut self,
            name: impl TryInto<http::HeaderName>,
            value: impl TryInto<http::HeaderValue>,
        ) -> Self {
            self.settings.add_default_header(name, value);
            self
        }

        /// Sets the `User-Agent` of requests that have none: see [`default_headers`](Self::default_headers). Otherwise they are
        /// sent without.
        pub fn user_agent(self, value: impl TryInto<http::HeaderValue>) -> Self {
            self.default_header(http::header::USER_AGENT, value)
        }

        /// Sets how TLS is spoken with the targets that name these settings: see [`Target::tls`].
        #[cfg(feature = "rustls-no-provider")]
        pub fn tls_named(
            mut self,
            name: impl Into<String>,
            config: impl Into<std::sync::Arc<$crate::rustls::ClientConfig>>,
        ) -> Self {
            self.settings.connects_by("tls_named");
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
        /// Adds targets, the preferred one first: a URL, or a list of URLs, each a text, a [`Uri`](http::Uri) or a [`Target`].
        ///
        /// A URL of the crate `url` is given as its `as_str()`. One that is none of a target is told by the method that builds.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::{FailoverClient, Target};")]
        /// use http::Uri;
        ///
        /// let primary: Uri = "http://primary.example/v1".parse()?;
        /// let standby: Target = "http://standby.example".parse()?;
        /// let builder = FailoverClient::builder().targets("http://eu.example").targets([primary]);
        /// let client = builder.targets(vec![standby.named("standby")]).build()?;
        /// assert_eq!(client.targets()[1].name(), "http://primary.example/v1");
        ///
        /// let error = FailoverClient::builder().targets("primary.example").build().unwrap_err();
        /// assert_eq!(error.key(), "targets");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn targets<M>(mut self, targets: impl $crate::IntoTargets<M>) -> Self {
            self.settings.add(targets);
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

        /// Sets the policy, which is [`Policy::default`] otherwise. Each of its knobs has a method of its own here, too.
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

        /// Sets the statuses that give a target up, which are 501 to 504 otherwise: a text such as `5xx, 429, !501`, a list of
        /// numbers or of [`StatusCode`](http::StatusCode)s, or [`StatusCodes`](crate::StatusCodes).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use ", $name, "::FailoverClient;")]
        /// use http::StatusCode;
        ///
        /// let builder = || FailoverClient::builder().targets("http://api.example");
        /// let classes = builder().failover_codes("5xx, 429").build()?;
        /// let numbers = builder().failover_codes([502, 503]).build()?;
        /// let named = builder().failover_codes([StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE]).build()?;
        /// assert_eq!(numbers.group().policy().failover_codes, named.group().policy().failover_codes);
        ///
        /// let error = builder().failover_codes("5xx, 42").build().unwrap_err();
        /// assert_eq!(error.to_string(), "failover_codes = 42: expected codes (100-999), ranges (501-504) and classes (5xx)");
        #[doc = concat!("# Ok::<(), ", $name, "::BuildError>(())")]
        /// ```
        pub fn failover_codes<M>(mut self, codes: impl $crate::IntoCodes<M>) -> Self {
            self.settings.set_failover_codes(codes);
            self
        }

        /// Sets the time that resolve, connect and TLS have together, which is 3 s otherwise, and at most that of the attempt.
        pub fn connect_timeout(mut self, time: Duration) -> Self {
            self.settings.connect_timeout = Some(time);
            self
        }

        /// Sets the time that an attempt has: resolve, connect, TLS and the wait for the head of the answer. It is 10 s
        /// otherwise.
        ///
        /// A default deadline that is shorter gives way.
        pub fn attempt_timeout(mut self, time: Duration) -> Self {
            self.settings.attempt_timeout = Some(time);
            self
        }

        /// Sets the pause between attempts on different targets. There is none otherwise.
        pub fn interval(mut self, pause: Duration) -> Self {
            self.settings.interval = Some(pause);
            self
        }

        /// Sets the time that a call has, until the head of the answer is there, which is 30 s otherwise; `None` sets no bound.
        pub fn deadline(mut self, time: impl Into<Option<Duration>>) -> Self {
            self.settings.deadline = Some(time.into());
            self
        }

        /// Sets when a request that may have been executed is sent again, which is [`Replay::Auto`] otherwise.
        pub fn replay(mut self, replay: Replay) -> Self {
            self.settings.replay = Some(replay);
            self
        }

        /// Adds a judge of answers by more than their status, which is asked after those that are there. There is none
        /// otherwise. See [`Judge`](crate::Judge).
        pub fn judge(mut self, judge: impl $crate::core::Judge + 'static) -> Self {
            self.settings.knobs.judges.push(judge);
            self
        }

        $crate::knob_setters! {
            /// Sets how often each target is tried in a call, at most, which is once otherwise.
            rounds: u8,
            /// Sets the pause between rounds, which is up to 25 ms x 2^round otherwise, at most 250 ms.
            backoff: $crate::core::Backoff,
            /// Sets whether an attempt that was handed back, or met a stale connection, is repeated at once at the same target,
            /// once in a call. It is otherwise.
            free_repeat: bool,
            /// Sets how many bytes of a streamed body are kept so that they can be sent again, which are 64 KiB otherwise.
            replay_buffer: usize,
            /// Sets what makes calls begin at another target, which are strikes otherwise.
            follow: $crate::core::Follow,
            /// Sets the strikes in a row with which a target is left and cools, which are 3 otherwise.
            leave_after: u8,
            /// Sets whether waits are spread, so that what began together does not go on together. They are otherwise.
            jitter: bool,
            /// Sets the seed of all jitter: same seed, same trace. Otherwise it is drawn.
            seed: u64,
        }

        $crate::knob_setters! {
            or none
            /// Sets the statuses that state "not executed", so that a replay needs no proof, which are 421, 425 and 501
            /// otherwise; `None`: all failover codes.
            not_processed: $crate::core::StatusCodes,
            /// Sets by how much an attempt whose request's body makes progress may outlast the deadline. There is no bound
            /// otherwise, nor with `None`.
            upload_deadline: Duration,
            /// Sets for how long a reader of an answer's body waits for the next piece: one that stands still longer broke off.
            /// There is no bound otherwise, nor with `None`.
            body_idle: Duration,
            /// Sets the attempts of a call, without the free repeat and the failback probe, which are targets x rounds otherwise,
            /// and with `None`.
            max_attempts: u16,
            /// Sets when an attempt is late, which is after 3 times what is usual otherwise, at least 1 s; `None`: never.
            late: $crate::core::Late,
            /// Sets when a preferred target is tried again after calls left it, which is after 30 s otherwise, doubling to 5 min;
            /// `None`: never.
            failback: $crate::core::Failback,
            /// Sets how long a target that was left is tried last, which is 5 s otherwise, doubling to 5 min; `None`: not at all.
            cool_down: $crate::core::CoolDown,
            /// Sets how the targets are asked by themselves how they are, by clients with a transport of their own. They are not
            /// otherwise.
            checks: $crate::core::Checks,
            /// Sets the longest cool-down that a target may ask for by `Retry-After`, which is 5 min otherwise; `None` ignores the
            /// header.
            retry_after: Duration,
            /// Sets the bound on replays. There is none otherwise.
            budget: $crate::core::Budget,
        }
    };
}

/// Setters of knobs of the policy, each by its docs, its name and its type.
#[doc(hidden)]
#[macro_export]
macro_rules! knob_setters {
    (or none $($(#[$doc:meta])* $knob:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            pub fn $knob(mut self, $knob: impl Into<Option<$type>>) -> Self {
                self.settings.knobs.$knob = Some($knob.into());
                self
            }
        )*
    };
    ($($(#[$doc:meta])* $knob:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            pub fn $knob(mut self, $knob: $type) -> Self {
                self.settings.knobs.$knob = Some($knob);
                self
            }
        )*
    };
}

//! A request that a caller is still building.

use std::fmt::{self, Display, Write};

use bytes::{Bytes, BytesMut};
use failover_core::{PathError, Target};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Extensions, Method, Version};
use http_body_util::{Empty, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::default_headers::DefaultHeaders;
use crate::error::BoxError;
use crate::request_body::CallBody;
use crate::template::Template;

/// A request that is being built, and the first mistake in it: what the adapters' builders of requests have in common.
pub struct Draft {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    /// The headers that it has unless it has them of its own.
    defaults: DefaultHeaders,
    /// What holds for the call alone.
    extensions: Extensions,
    body: Bytes,
    /// Whether the body says by itself that it is JSON.
    is_json: bool,
    /// In a box, since a draft is moved often.
    mistake: Option<Box<Mistake>>,
}

impl Draft {
    /// A request without a body, with no headers but these.
    #[inline]
    pub fn new(method: impl TryInto<Method>, path: &str, defaults: DefaultHeaders) -> Self {
        let mut mistake = None;
        let path = Target::path(path).unwrap_or_else(|error| {
            mistake = Some(Box::new(Mistake::Path(error)));
            PathAndQuery::from_static("/")
        });
        let method = method.try_into().unwrap_or_else(|_| {
            mistake = Some(Box::new(Mistake::Method));
            Method::GET
        });
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            defaults,
            extensions: Extensions::new(),
            body: Bytes::new(),
            is_json: false,
            mistake,
        }
    }

    /// Adds a header.
    pub fn header(&mut self, name: &str, value: impl TryInto<HeaderValue>) {
        let Ok(name) = HeaderName::try_from(name) else {
            return self.refuse(Mistake::Header(InvalidHeader::name(name)));
        };
        match value.try_into() {
            Ok(value) => {
                self.headers.append(name, value);
            }
            Err(_) => self.refuse(Mistake::Header(InvalidHeader::Value(name))),
        }
    }

    /// Sets headers: of each name the given ones only.
    pub fn headers(&mut self, headers: HeaderMap) {
        // It replaces what has the same names.
        self.headers.extend(headers);
    }

    /// Adds pairs to the query, percent-encoded.
    pub fn query<P: QueryPair>(&mut self, pairs: impl IntoIterator<Item = P>) {
        let mut path = self.path.as_str().to_owned();
        let mut has_query = path.contains('?');
        for pair in pairs {
            if !path.ends_with(['?', '&']) || !has_query {
                path.push(if has_query { '&' } else { '?' });
            }
            has_query = true;
            pair.write(&mut path);
        }
        match Target::path(&path) {
            Ok(path) => self.path = path,
            Err(error) => self.refuse(Mistake::Path(error)),
        }
    }

    /// Sets the body.
    pub fn body(&mut self, body: impl IntoBody) {
        self.body = body.into_bytes();
        self.is_json = false;
    }

    /// Sets a value as the body, in JSON.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        match serde_json::to_vec(value) {
            Ok(json) => {
                self.body(json);
                self.is_json = true;
            }
            Err(error) => self.refuse(Mistake::Json(error.into())),
        }
    }

    /// Sets what is to hold for this call alone.
    pub fn extension<T: Clone + Send + Sync + 'static>(&mut self, extension: T) {
        self.extensions.insert(extension);
    }

    /// What the attempts' requests are made of.
    ///
    /// # Errors
    ///
    /// The first mistake.
    #[inline]
    pub fn template(mut self) -> Result<Template, Mistake> {
        if let Some(mistake) = self.mistake {
            return Err(*mistake);
        }
        if self.is_json {
            self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        self.defaults.complete(&mut self.headers);
        let (line, body) = ((self.method, self.path, Version::HTTP_11), CallBody::whole(self.body));
        Template::of(line, self.headers, self.extensions, body).ok_or(Mistake::Method)
    }

    fn refuse(&mut self, mistake: Mistake) {
        self.mistake.get_or_insert_with(|| Box::new(mistake));
    }
}

/// Without the path and what headers and body say.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, mistake, .. } = self;
        f.debug_struct("Draft").field("method", method).field("mistake", mistake).finish_non_exhaustive()
    }
}

/// Why a request can be sent to no target.
#[derive(Debug)]
#[non_exhaustive]
pub enum Mistake {
    /// The method is none.
    Method,
    /// The path is none.
    Path(PathError),
    /// A header is none.
    Header(InvalidHeader),
    /// The value of the body is none of JSON.
    Json(BoxError),
}

/// A header that HTTP does not allow. Its value may be secret and is not shown.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name, which is not shown either: it may be a value in the wrong place. It has this character, which no name has, or is
    /// empty or too long.
    #[error("a header cannot be named like that{}: expected a name such as x-request-id", has(*.0))]
    Name(Option<char>),
    /// The value of the header with this name.
    #[error("the value of the header {0} has a control character, such as a line break: expected none")]
    Value(HeaderName),
}

impl InvalidHeader {
    /// The header with a name that HTTP does not allow, which may be a value in the wrong place.
    #[doc(hidden)]
    #[must_use]
    pub fn name(name: &str) -> Self {
        let is_none = |text: &char| HeaderName::try_from(text.encode_utf8(&mut [0; 4]).as_bytes()).is_err();
        Self::Name(name.chars().find(is_none))
    }
}

fn has(character: Option<char>) -> String {
    character.map_or_else(String::new, |character| format!(", with {character:?} in it"))
}

/// What can be the body of a request: bytes or text in memory, which all attempts share.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a request",
    label = "no body",
    note = "a body is in memory: `&'static str`, `String`, `&String`, `Vec<u8>`, `&'static [u8]`, `Bytes`, `Full<Bytes>`, or none: `()`, `Empty<Bytes>`",
    note = "a value is sent by `json`, with the feature of that name"
)]
pub trait IntoBody: sealed::Sealed {
    #[doc(hidden)]
    fn into_bytes(self) -> Bytes;
}

macro_rules! bodies {
    ($($body:ty: |$this:ident| $bytes:expr,)*) => {
        $(
            impl sealed::Sealed for $body {}

            impl IntoBody for $body {
                fn into_bytes(self) -> Bytes {
                    let $this = self;
                    $bytes
                }
            }
        )*
    };
}

bodies! {
    &'static str: |text| text.into(),
    String: |text| text.into(),
    &String: |text| Bytes::copy_from_slice(text.as_bytes()),
    Box<str>: |text| String::from(text).into(),
    &'static [u8]: |bytes| bytes.into(),
    Vec<u8>: |bytes| bytes.into(),
    &Vec<u8>: |bytes| Bytes::copy_from_slice(bytes),
    Box<[u8]>: |bytes| bytes.into(),
    Bytes: |bytes| bytes,
    &Bytes: |bytes| bytes.clone(),
    BytesMut: |bytes| bytes.freeze(),
    Full<Bytes>: |body| body.into_inner().unwrap_or_default(),
    Empty<Bytes>: |_body| Bytes::new(),
    (): |_none| Bytes::new(),
}

impl<const N: usize> sealed::Sealed for &'static [u8; N] {}

impl<const N: usize> IntoBody for &'static [u8; N] {
    fn into_bytes(self) -> Bytes {
        Bytes::from_static(self)
    }
}

/// A name and a value for the query of a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pair for a query",
    label = "expected pairs such as `(\"page\", 2)`",
    note = "a name is text; a value is whatever displays, such as text or a number"
)]
pub trait QueryPair: sealed::Sealed {
    #[doc(hidden)]
    fn write(&self, query: &mut String);
}

impl<N: AsRef<str>, V: Display> sealed::Sealed for (N, V) {}

impl<N: AsRef<str>, V: Display> QueryPair for (N, V) {
    fn write(&self, query: &mut String) {
        let value = self.1.to_string();
        let (name, value) = (encoded(self.0.as_ref()), encoded(&value));
        // Writing to a string does not fail.
        let _ = write!(query, "{name}={value}");
    }
}

impl<P: QueryPair> sealed::Sealed for &P {}

impl<P: QueryPair> QueryPair for &P {
    fn write(&self, query: &mut String) {
        P::write(self, query);
    }
}

/// As every server reads it: one that reads a form takes `+` for a space, another does not.
fn encoded(text: &str) -> impl Display {
    utf8_percent_encode(text, ENCODED)
}

mod sealed {
    pub trait Sealed {}
}

/// All but what RFC 3986 calls unreserved (section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

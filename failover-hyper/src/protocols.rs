//! The protocols that connections may speak.

/// Which protocols connections may speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocols {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// What TLS negotiates, HTTP/2 or HTTP/1.1; HTTP/1.1 without TLS.
    Negotiated,
    /// What TLS negotiates; HTTP/2 without TLS (RFC 9113, section 3.3).
    PriorKnowledge,
}

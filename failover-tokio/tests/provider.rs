//! TLS by the provider of cryptography that the process has.
#![cfg(feature = "rustls-no-provider")]

use failover_tokio::{BuildError, FailoverClient};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// Guards: `tls::provider` that asks for no default; that does without ring where it is built in.
#[test]
fn without_settings_tls_is_by_the_default_provider_of_the_process_or_by_ring_if_that_is_built_in() {
    let build = || FailoverClient::builder().targets(["https://a.example"]).build();
    let is_refused = |error: BuildError| error.value() == "no provider";
    assert_eq!(build().is_err_and(is_refused), cfg!(not(feature = "rustls")));
    let no_suites = CryptoProvider { cipher_suites: vec![], ..ring::default_provider() };
    no_suites.install_default().unwrap();
    assert_eq!(build().unwrap_err().expected(), "a default provider that is fit for TLS");
}

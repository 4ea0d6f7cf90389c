//! Custom reqwest clients.

/// Returns reqwest's builder. Everstream's tests enable reqwest's rustls without a provider, and must not
/// install a default provider, which would hide how Everstream works without one.
#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider")))]
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
pub(crate) fn builder() -> reqwest::ClientBuilder {
    builder_that_trusts(rustls::RootCertStore::empty())
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
pub(crate) fn builder_that_trusts(
    roots: impl Into<std::sync::Arc<rustls::RootCertStore>>,
) -> reqwest::ClientBuilder {
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config)
}

//! reqwest clients that the program brings itself.

/// reqwest's builder. Everstream switches reqwest's rustls on without a provider, and the process
/// mustn't get one as its default: that would hide what Everstream does without.
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

//! What TLS to any engine needs.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use std::io;

use rustls::crypto::CryptoProvider;

/// The provider that the program installed for the whole process, or ring.
#[cfg(feature = "postgres")]
pub(crate) fn provider() -> Arc<CryptoProvider> {
    match CryptoProvider::get_default() {
        Some(installed) => installed.clone(),
        None => Arc::new(rustls::crypto::ring::default_provider()),
    }
}

/// For clients that take the provider of the process, and panic without one.
#[cfg(feature = "redis")]
pub(crate) fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // An error says that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Whether TLS failed because of what the server is or sent, such as its certificate.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|it| it.is::<rustls::Error>())
}

//! What TLS to any engine needs.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use std::io;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

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

/// The certificates of a PEM file; there has to be one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("it contains no certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

/// The same and the system's, for a client that trusts either those or the ones it is given.
#[cfg(feature = "redis")]
pub(crate) fn with_system_roots(pem: &[u8]) -> Result<Vec<u8>, String> {
    use base64::Engine;
    certificates(pem)?;
    let mut all = pem.to_vec();
    let mut store = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // The client would refuse all because of one.
        if store.add(certificate.clone()).is_err() {
            continue;
        }
        let text = base64::engine::general_purpose::STANDARD.encode(&certificate);
        let block = format!("\n-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        all.extend(block.into_bytes());
    }
    Ok(all)
}

/// Whether TLS failed because of what the server is or sent, such as its certificate.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|it| it.is::<rustls::Error>())
}

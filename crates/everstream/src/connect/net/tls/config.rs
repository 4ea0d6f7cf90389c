//! Converts the TLS settings to a rustls `ClientConfig`.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::verifier::{FixedVerdict, PinnedVerifier};
use crate::connect::transport::{Roots, Tls};
use crate::error::Error;

impl Tls {
    /// Creates a configuration. `alpn` lists the protocols to offer, the preferred one first. Connections
    /// that share the configuration resume each other's sessions.
    pub(in crate::connect) fn client_config(
        &self,
        trusted: Roots,
        alpn: &[&str],
    ) -> Result<Arc<ClientConfig>, Error> {
        let builder = ClientConfig::builder_with_provider(provider()?)
            .with_safe_default_protocol_versions()
            // Fails only with a provider that the program installed.
            .map_err(|error| Error::config("rustls", error))?;
        let builder = self.with_verifier(builder, trusted)?;
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let (chain, key) = identity(chain, key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(unusable_identity)?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn with_verifier(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        trusted: Roots,
    ) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
        let roots = self.root_certificates()?;
        let user_roots = store(&roots)?;
        if self.accept_invalid_certs {
            let verifier = Arc::new(FixedVerdict::accept_anything());
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(verifier));
        }
        if trusted == Roots::UserOnly && user_roots.is_empty() {
            return Ok(builder.with_root_certificates(user_roots));
        }
        let provider = builder.crypto_provider().clone();
        let verifier: Arc<dyn ServerCertVerifier> = match trusted {
            Roots::UserOnly => verifier_for(user_roots, provider)?,
            Roots::UserAndSystem => match system_verifier(roots.clone(), provider.clone()) {
                Ok(verifier) => Arc::new(verifier),
                // Trusting only the user's roots is safe.
                Err(_) if !user_roots.is_empty() => verifier_for(user_roots, provider)?,
                Err(rustls::Error::General(reason)) => {
                    let hint =
                        "install CA certificates, set SSL_CERT_FILE, or use root_certificates";
                    return Err(Error::config("https", format!("{reason}; {hint}")));
                }
                Err(error) => return Err(Error::config("https", error)),
            },
        };
        let verifier = match roots.is_empty() {
            true => verifier,
            false => Arc::new(PinnedVerifier {
                roots,
                fallback: verifier,
            }),
        };
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier))
    }

    fn root_certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let mut all = Vec::new();
        for pem in &self.roots {
            let certificates = certificates("root_certificates", pem)?;
            if certificates.is_empty() {
                let problem = "the PEM contains no certificate";
                return Err(Error::config("root_certificates", problem));
            }
            all.extend(certificates);
        }
        Ok(all)
    }
}

/// Returns the provider that the program installed, or ring.
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(installed.clone());
    }
    #[cfg(feature = "rustls")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(feature = "rustls"))]
    Err(Error::config(
        "rustls-no-provider",
        "no rustls provider is installed: call CryptoProvider::install_default first, \
         or use the feature rustls",
    ))
}

fn store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        store.add(root.clone()).map_err(|_| {
            let problem = format!("certificate {} isn't a valid X.509 certificate", index + 1);
            Error::config("root_certificates", problem)
        })?;
    }
    Ok(store)
}

/// Creates a verifier that trusts only these roots, at least one.
fn verifier_for(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Error::config("root_certificates", error))
}

/// Creates a verifier that also trusts the system's certificates. On Linux this reads them; on Windows
/// and macOS the system verifies each handshake.
#[cfg(not(target_os = "android"))]
fn system_verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    Verifier::new_with_extra_roots(roots, provider)
}

/// Fails if there are extra roots, which Android's verifier doesn't support. The caller then trusts only
/// those.
#[cfg(target_os = "android")]
fn system_verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    match roots.is_empty() {
        true => Verifier::new(provider),
        false => Err(rustls::Error::General("extra roots".to_owned())),
    }
}

/// Parses a certificate chain and its key, which may both be in the same PEM.
fn identity(
    chain: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    const SETTING: &str = "client_certificate";
    let pem = [chain, b"\n", key].concat();
    let chain = certificates(SETTING, &pem)?;
    if chain.is_empty() {
        return Err(Error::config(SETTING, "the PEM contains no certificate"));
    }
    let keys: Vec<PrivateKeyDer<'static>> = PrivateKeyDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(SETTING, &error))?;
    match keys.into_iter().next_back() {
        Some(key) => Ok((chain, key)),
        None => Err(Error::config(
            SETTING,
            "the PEM contains no private key, or an encrypted one: decrypt it first",
        )),
    }
}

fn unusable_identity(error: rustls::Error) -> Error {
    let problem = match error {
        rustls::Error::InconsistentKeys(_) => "the key doesn't match the certificate".into(),
        rustls::Error::InvalidCertificate(_) => "the certificate isn't valid X.509".into(),
        // Its `Display` would begin with "unexpected error".
        rustls::Error::General(reason) => reason,
        other => other.to_string(),
    };
    Error::config("client_certificate", problem)
}

fn certificates(setting: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(setting, &error))
}

/// Omits what the error quotes, because the PEM may contain a key.
fn bad_pem(setting: &'static str, error: &pem::Error) -> Error {
    let problem = match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing in the PEM",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line of the PEM is malformed",
        pem::Error::Base64Decode(_) => "the PEM isn't valid Base64",
        _ => "it isn't valid PEM",
    };
    Error::config(setting, problem)
}

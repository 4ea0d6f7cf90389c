//! TLS by rustls: the settings as a `ClientConfig`, for whichever library makes the connections.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::verifier::{FixedAnswer, TrustGiven};
use crate::connect::transport::{Roots, Tls};
use crate::error::Error;

impl Tls {
    /// Sessions are resumed among the connections that share this configuration. `alpn` lists the
    /// protocols to offer, the preferred one first.
    pub(in crate::connect) fn client_config(
        &self,
        trusted: Roots,
        alpn: &[&str],
    ) -> Result<Arc<ClientConfig>, Error> {
        let builder = ClientConfig::builder_with_provider(provider()?)
            .with_safe_default_protocol_versions()
            // Only of a provider that the program installed.
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
        let own = store(&roots)?;
        if self.accept_invalid_certs {
            let verifier = Arc::new(FixedAnswer::accept_anything());
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(verifier));
        }
        if trusted == Roots::OnlyOwn && own.is_empty() {
            return Ok(builder.with_root_certificates(own));
        }
        let provider = builder.crypto_provider().clone();
        let verifier: Arc<dyn ServerCertVerifier> = match trusted {
            Roots::OnlyOwn => only(own, provider)?,
            Roots::WithSystem => match system_verifier(roots.clone(), provider.clone()) {
                Ok(verifier) => Arc::new(verifier),
                // To trust only the roots that the user gave is no risk.
                Err(_) if !own.is_empty() => only(own, provider)?,
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
            false => Arc::new(TrustGiven {
                roots,
                otherwise: verifier,
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

/// The provider that the program installed for the whole process, or ring.
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

/// A verifier that trusts these roots, of which there is at least one.
fn only(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Error::config("root_certificates", error))
}

/// On Linux this reads the system's certificates. Windows and macOS are asked at each handshake.
#[cfg(not(target_os = "android"))]
fn system_verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    Verifier::new_with_extra_roots(roots, provider)
}

/// Android's verifier takes no extra roots: with some, only those are trusted.
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

/// The chain and the key may both be in one of the two.
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
        rustls::Error::InconsistentKeys(_) => "the key doesn't belong to the certificate".into(),
        rustls::Error::InvalidCertificate(_) => "the certificate isn't valid X.509".into(),
        // Its `Display` says "unexpected error" first.
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

/// Without what the error quotes: the PEM may hold a key.
fn bad_pem(setting: &'static str, error: &pem::Error) -> Error {
    let problem = match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing in the PEM",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line of the PEM is malformed",
        pem::Error::Base64Decode(_) => "the PEM isn't valid Base64",
        _ => "it isn't valid PEM",
    };
    Error::config(setting, problem)
}

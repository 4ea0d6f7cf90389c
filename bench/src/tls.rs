//! TLS with one self-signed certificate per run, which every client verifies.

use std::sync::Arc;

use everstream::Http;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Outcome;

/// A certificate for 127.0.0.1 and its key, both in PEM.
pub struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    pub fn new() -> Outcome<Identity> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        Ok(Identity {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }

    /// Arguments that make a server of this program use TLS: see `Serve`.
    pub fn for_server(&self) -> [String; 2] {
        [self.for_client(), format!("--key={}", self.key)]
    }

    /// The argument that makes a client of this program trust the server: see `Trust`.
    pub fn for_client(&self) -> String {
        format!("--certificate={}", self.certificate)
    }
}

/// The identity of a server. Without it, the server uses plain HTTP.
#[derive(clap::Args)]
pub struct Serve {
    #[arg(long, value_name = "PEM", requires = "key")]
    certificate: Option<String>,
    #[arg(long, value_name = "PEM")]
    key: Option<String>,
}

impl Serve {
    pub fn scheme(&self) -> &'static str {
        match self.certificate {
            Some(_) => "https",
            None => "http",
        }
    }

    pub fn config(&self) -> Outcome<Option<Arc<ServerConfig>>> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(None);
        };
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(Some(Arc::new(config)))
    }
}

/// The certificate that a client trusts in addition to the system's.
#[derive(clap::Args, Clone)]
pub struct Trust {
    #[arg(long, value_name = "PEM")]
    certificate: Option<String>,
}

impl Trust {
    /// Settings of our clients, without proxies.
    pub fn http(&self, url: &str) -> Http {
        let http = Http::new(url).no_proxy();
        match &self.certificate {
            Some(pem) => http.root_certificates(pem.as_str()),
            None => http,
        }
    }

    pub fn reqwest(&self) -> Outcome<reqwest::ClientBuilder> {
        let builder = reqwest::Client::builder().no_proxy();
        Ok(match &self.certificate {
            Some(pem) => builder.tls_certs_merge([reqwest::Certificate::from_pem(pem.as_bytes())?]),
            None => builder,
        })
    }

    pub fn reqwest_012(&self) -> Outcome<reqwest_012::ClientBuilder> {
        let builder = reqwest_012::Client::builder().no_proxy();
        Ok(match &self.certificate {
            Some(pem) => {
                builder.add_root_certificate(reqwest_012::Certificate::from_pem(pem.as_bytes())?)
            }
            None => builder,
        })
    }

    /// For clients that are configured with rustls. They don't use the system's trust store.
    pub fn rustls(&self) -> Outcome<Option<ClientConfig>> {
        let Some(pem) = &self.certificate else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
        let builder = ClientConfig::builder().with_root_certificates(roots);
        Ok(Some(builder.with_no_client_auth()))
    }
}

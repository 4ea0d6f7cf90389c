//! TLS by the system's library, where there is no rustls.

use super::transport::{Report, Roots, Tls};
use crate::error::Error;

impl Tls {
    pub(super) fn apply(
        &self,
        builder: reqwest::ClientBuilder,
        trusted: Roots,
    ) -> Result<reqwest::ClientBuilder, Error> {
        let mut builder = builder.tls_backend_native();
        let roots = self.root_certificates()?;
        builder = match trusted {
            Roots::OnlyOwn => builder.tls_certs_only(roots),
            Roots::WithSystem if roots.is_empty() => builder,
            Roots::WithSystem => builder.tls_certs_merge(roots),
        };
        if let Some((chain, key)) = &self.identity {
            builder = builder.identity(identity(chain, key)?);
        }
        Ok(builder.tls_danger_accept_invalid_certs(self.accept_invalid_certs))
    }

    fn root_certificates(&self) -> Result<Vec<reqwest::Certificate>, Error> {
        let mut all = Vec::new();
        for pem in &self.roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Error::config("root_certificates", Report(error)))?;
            if roots.is_empty() {
                return Err(Error::config(
                    "root_certificates",
                    "the PEM holds no certificate",
                ));
            }
            all.extend(roots);
        }
        Ok(all)
    }

    /// The setting that a client can't be built with. reqwest looks into certificates and keys only
    /// when it builds, and its error doesn't tell which of them it is about.
    pub(super) fn culprit(&self) -> Option<&'static str> {
        // Without the system's certificates, which aren't anybody's setting.
        let alone = |roots| {
            let builder = reqwest::Client::builder().no_proxy();
            builder.tls_backend_native().tls_certs_only(roots)
        };
        if alone(self.root_certificates().ok()?).build().is_err() {
            return Some("root_certificates");
        }
        let (chain, key) = self.identity.as_ref()?;
        let with_identity = alone(Vec::new()).identity(identity(chain, key).ok()?);
        with_identity
            .build()
            .is_err()
            .then_some("client_certificate")
    }
}

fn identity(chain: &[u8], key: &[u8]) -> Result<reqwest::Identity, Error> {
    reqwest::Identity::from_pkcs8_pem(chain, key)
        .map_err(|error| Error::config("client_certificate", Report(error)))
}

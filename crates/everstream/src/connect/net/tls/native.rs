//! TLS with the system's library.

use std::io;

use everstream_http::{Failure, FailureKind};
use native_tls::{Certificate, Identity, TlsConnector};
use url::Host;

use super::super::{ConnectError, Io, Peer, Versions};
use super::{Lazy, PerVersions};
use crate::connect::transport::Tls as Settings;
use crate::error::Error;

pub(in super::super) struct Tls {
    settings: Settings,
    connectors: Lazy<PerVersions<tokio_native_tls::TlsConnector>>,
}

impl Tls {
    /// Checks the settings.
    pub(in super::super) fn new(settings: &Settings) -> Result<Self, Error> {
        roots(settings)?;
        identity(settings)?;
        Ok(Tls {
            settings: settings.clone(),
            connectors: Lazy::new(),
        })
    }

    pub(in super::super) fn prepare(&self) -> Result<(), Error> {
        self.connectors().map(drop)
    }

    fn connectors(&self) -> Result<&PerVersions<tokio_native_tls::TlsConnector>, Error> {
        self.connectors.get(|| {
            PerVersions::try_new(|protocols| {
                let mut builder = TlsConnector::builder();
                for root in roots(&self.settings)? {
                    builder.add_root_certificate(root);
                }
                if let Some(identity) = identity(&self.settings)? {
                    builder.identity(identity);
                }
                builder
                    .danger_accept_invalid_certs(self.settings.accept_invalid_certs)
                    .request_alpns(protocols);
                let connector = builder.build();
                let connector = connector.map_err(|error| Error::config("https", error))?;
                Ok(connector.into())
            })
        })
    }

    /// Begins TLS, and returns whether HTTP/2 was negotiated.
    pub(in super::super) async fn begin(
        &self,
        io: Io,
        peer: Peer<'_>,
        versions: Versions,
    ) -> Result<(Io, bool), ConnectError> {
        let connectors = self.connectors().map_err(ConnectError::Unreachable)?;
        let name = match peer.host {
            Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let stream = connectors.get(versions).connect(&name, io).await;
        let stream = stream.map_err(|error| failure(&error, &peer))?;
        let negotiated = stream.get_ref().negotiated_alpn().unwrap_or_default();
        let is_http2 = super::is_http2(versions, negotiated.as_deref());
        Ok((Io::NativeTls(Box::new(stream)), is_http2))
    }
}

fn roots(settings: &Settings) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for pem in &settings.roots {
        let roots = Certificate::stack_from_pem(pem);
        let roots = roots.map_err(|error| Error::config("root_certificates", error))?;
        if roots.is_empty() {
            let problem = "the PEM contains no certificate";
            return Err(Error::config("root_certificates", problem));
        }
        all.extend(roots);
    }
    Ok(all)
}

fn identity(settings: &Settings) -> Result<Option<Identity>, Error> {
    let Some((chain, key)) = &settings.identity else {
        return Ok(None);
    };
    Identity::from_pkcs8(chain, key)
        .map(Some)
        .map_err(|error| Error::config("client_certificate", error))
}

/// The messages differ between systems. OpenSSL's end with the reason in parentheses.
fn failure(error: &native_tls::Error, peer: &Peer<'_>) -> Failure {
    let text = error.to_string();
    if text.contains("wrong version number") {
        let message = format!("{peer} doesn't speak TLS on port {}", peer.port);
        return Failure::new(FailureKind::Tls, message);
    }
    if text
        .to_ascii_lowercase()
        .contains("certificate verify failed")
    {
        let reason = text
            .strip_suffix(')')
            .and_then(|text| text.rsplit_once('('));
        let reason = reason.map_or("it is not valid", |(_, reason)| reason);
        let message = format!("the certificate of {peer} is not trusted: {reason}");
        return Failure::new(FailureKind::Untrusted, message);
    }
    let kind = match text.to_ascii_lowercase().contains("certificate") {
        true => FailureKind::Untrusted,
        false => FailureKind::Tls,
    };
    Failure::new(kind, format!("TLS with {peer} failed: {text}"))
}

/// Keeps the library's message.
pub(in super::super) fn readable(error: io::Error) -> io::Error {
    error
}

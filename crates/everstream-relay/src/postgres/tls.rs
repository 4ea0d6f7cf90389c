//! TLS by rustls, for tokio-postgres.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::tls::{certificates, provider};

/// What clients say since PostgreSQL 17, before the first byte of TLS.
const ALPN: &[u8] = b"postgresql";

/// Verifies servers by these settings.
#[derive(Clone)]
pub(super) struct MakeTls {
    config: Arc<ClientConfig>,
}

impl MakeTls {
    /// Trusts the certificates in that file, or the system's and `extra`, in PEM.
    pub(super) fn new(roots: Option<&Path>, extra: Option<&[u8]>) -> Result<MakeTls, String> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = match roots {
            Some(path) => {
                WebPkiServerVerifier::builder_with_provider(Arc::new(read(path)?), provider.clone())
                    .build()
                    .map_err(|error| format!("sslrootcert: {error}"))?
            }
            None => {
                let extra = extra.map(certificates).transpose();
                let extra = extra.map_err(|why| format!("the root certificates: {why}"))?;
                let verifier =
                    Verifier::new_with_extra_roots(extra.unwrap_or_default(), provider.clone());
                Arc::new(verifier.map_err(no_verifier)?)
            }
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(MakeTls {
            config: Arc::new(config),
        })
    }
}

/// Without certificates the error is general.
fn no_verifier(error: rustls::Error) -> String {
    match error {
        rustls::Error::General(_) => {
            "this system has no CA certificates: install them (the package \
             ca-certificates), set SSL_CERT_FILE, or name a file with sslrootcert"
                .to_owned()
        }
        error => format!("the system's certificates: {error}"),
    }
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let told = |why: String| format!("sslrootcert={}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates(&pem).map_err(told)? {
        store
            .add(certificate)
            .map_err(|error| told(error.to_string()))?;
    }
    Ok(store)
}

impl<S> MakeTlsConnect<S> for MakeTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connect;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Connect, Self::Error> {
        Ok(Connect {
            config: self.config.clone(),
            name: ServerName::try_from(domain)?.to_owned(),
        })
    }
}

/// One connection.
pub(super) struct Connect {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connect = TlsConnector::from(self.config).connect(self.name, stream);
        Box::pin(async { Ok(Stream(connect.await?)) })
    }
}

/// A connection with TLS. Without channel binding: the certificate is verified.
pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

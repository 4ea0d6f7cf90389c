//! Certificates and TLS servers. The servers use rustls, whatever the client uses.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// A certificate and its key.
pub(super) struct Identity {
    pub(super) certificate: rcgen::Certificate,
    pub(super) key: KeyPair,
}

pub(super) fn params(host: &str, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params("authority.test", name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(super) fn sign(&self, mut params: CertificateParams) -> Identity {
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }
}

/// Creates a certificate like that of `openssl req -x509 -nodes`.
pub(super) fn self_signed(params: &CertificateParams) -> Identity {
    let mut params = params.clone();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { certificate, key }
}

impl Identity {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    pub(super) fn config(&self, alpn: &[&str]) -> ServerConfig {
        let builder = builder().with_no_client_auth();
        let mut config = builder.with_single_cert(self.chain(), self.key()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

pub(super) fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// Starts a TLS server that sends "hello" on each connection.
pub(super) async fn tls_server(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let accepting = acceptor.accept(socket);
            tokio::spawn(async move {
                if let Ok(socket) = accepting.await {
                    greet(socket, "hello").await;
                }
            });
        }
    });
    addr
}

/// Settings that trust `pem`, and resolve feed.test to this machine.
pub(super) fn trusting(pem: &str) -> Transport {
    let mut transport = Transport {
        resolve: vec![("feed.test".to_owned(), LOCALHOST)],
        ..settings()
    };
    transport.tls.roots.push(pem.into());
    transport
}

pub(super) async fn untrusted(transport: &Transport, server: SocketAddr) -> String {
    let url = format!("https://feed.test:{}/", server.port());
    let failure = failed(transport, &url).await;
    assert_eq!(failure.kind(), FailureKind::Untrusted, "{failure}");
    assert!(failure.needs_other_settings());
    failure.to_string()
}

//! Self-signed server certificates that are configured as roots.

use std::sync::Arc;

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::tls_server::{params, self_signed, tls_server, trusting, untrusted};
use super::*;

#[tokio::test]
async fn a_pinned_self_signed_certificate_is_trusted() {
    let own = self_signed(&params("feed.test", "x"));
    let server = tls_server(own.config(&[])).await;
    let url = format!("https://feed.test:{}/", server.port());
    let transport = trusting(&own.certificate.pem());
    let connected = connected(&transport, &url).await.unwrap();
    assert_eq!(greeting(connected).await, "hello");
}

#[tokio::test]
async fn a_pinned_certificate_must_have_valid_names_and_dates_and_be_identical() {
    let other = self_signed(&params("other.test", "x"));
    let server = tls_server(other.config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&other.certificate.pem()), server).await,
        "the certificate of feed.test is for other.test, not feed.test"
    );
    let mut nameless = params("feed.test", "feed.test");
    nameless.subject_alt_names.clear();
    let nameless = self_signed(&nameless);
    let server = tls_server(nameless.config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&nameless.certificate.pem()), server).await,
        "the certificate of feed.test isn't valid for any host: it has no subject alternative name"
    );
    let mut expired = params("feed.test", "x");
    expired.not_before = date_time_ymd(2001, 1, 1);
    expired.not_after = date_time_ymd(2002, 1, 2);
    let expired = self_signed(&expired);
    let server = tls_server(expired.config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&expired.certificate.pem()), server).await,
        "the certificate of feed.test expired on 2002-01-02"
    );
    // Differs only in its key.
    let (given, impostor) = (
        self_signed(&params("feed.test", "x")),
        self_signed(&params("feed.test", "x")),
    );
    let server = tls_server(impostor.config(&[])).await;
    let text = untrusted(&trusting(&given.certificate.pem()), server).await;
    assert!(
        text.starts_with("the certificate of feed.test is not trusted: "),
        "{text}"
    );
}

/// Presents a certificate and signs with another key.
#[derive(Debug)]
struct WrongKeyResolver(Arc<CertifiedKey>);

impl ResolvesServerCert for WrongKeyResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn a_server_without_the_key_of_the_pinned_certificate_is_refused() {
    let (given, thief) = (
        self_signed(&params("feed.test", "x")),
        self_signed(&params("feed.test", "x")),
    );
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.key()).unwrap();
    let stolen = Arc::new(CertifiedKey::new(given.chain(), key));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(WrongKeyResolver(stolen.clone())));
        let server = tls_server(config).await;
        assert_eq!(
            untrusted(&trusting(&given.certificate.pem()), server).await,
            "the certificate of feed.test is not trusted: a signature is wrong"
        );
    }
}

/// Only roots set by the user are accepted as server certificates.
#[test]
fn a_self_signed_server_certificate_among_system_roots_is_not_trusted() {
    let roots = tempfile::NamedTempFile::new().unwrap();
    let own = self_signed(&params("feed.test", "x"));
    std::fs::write(&roots, own.certificate.pem()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(tls_server(own.config(&[])));
    let port = server.port().to_string();
    let child = concat!(module_path!(), "::child_connects");
    let variables = [
        ("SSL_CERT_FILE", roots.path().to_str().unwrap()),
        ("EVERSTREAM_TEST_PORT", &*port),
    ];
    let output = in_child(child, &variables);
    let expected = "the certificate of feed.test is not trusted: it is self-signed, or is itself a CA certificate";
    assert!(output.contains(expected), "{output}");
}

#[tokio::test]
#[ignore = "for a child process"]
async fn child_connects() {
    let port = std::env::var("EVERSTREAM_TEST_PORT").unwrap();
    let transport = Transport {
        resolve: vec![("feed.test".to_owned(), LOCALHOST)],
        ..settings()
    };
    let failure = failed(&transport, &format!("https://feed.test:{port}/")).await;
    println!("{failure}");
}

//! TLS connections to real servers.

use std::sync::Arc;

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use tokio_rustls::TlsAcceptor;

use super::proxies::{OK, serve_tunnel};
use super::tls_server::{Authority, builder, params, self_signed, tls_server, trusting, untrusted};
use super::*;

#[tokio::test]
async fn a_configured_authority_is_trusted() {
    let authority = Authority::new("trusted");
    let server = tls_server(authority.sign(params("feed.test", "leaf")).config(&[])).await;
    for host in ["feed.test", "FEED.test."] {
        let url = format!("https://{host}:{}/", server.port());
        let connected = connected(&trusting(&authority.pem), &url).await.unwrap();
        assert!(!connected.is_http2);
        assert_eq!(greeting(connected).await, "hello");
    }
}

#[tokio::test]
async fn certificate_problems_are_reported_in_one_sentence() {
    let authority = Authority::new("one");
    let good = tls_server(authority.sign(params("feed.test", "leaf")).config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&Authority::new("two").pem), good).await,
        "the certificate of feed.test is not trusted: unknown issuer"
    );
    let other = tls_server(authority.sign(params("other.test", "leaf")).config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&authority.pem), other).await,
        "the certificate of feed.test is for other.test, not feed.test"
    );
    let mut expired = params("feed.test", "leaf");
    expired.not_before = date_time_ymd(2001, 1, 1);
    expired.not_after = date_time_ymd(2002, 1, 2);
    let expired = tls_server(authority.sign(expired).config(&[])).await;
    assert_eq!(
        untrusted(&trusting(&authority.pem), expired).await,
        "the certificate of feed.test expired on 2002-01-02"
    );
}

#[tokio::test]
async fn accept_invalid_certs_accepts_any_certificate() {
    let server = tls_server(self_signed(&params("other.test", "x")).config(&[])).await;
    let mut transport = settings();
    transport.tls.accept_invalid_certs = true;
    let connected = connected(&transport, &format!("https://{server}/"))
        .await
        .unwrap();
    assert_eq!(greeting(connected).await, "hello");
}

#[tokio::test]
async fn alpn_decides_whether_http2_is_used() {
    let authority = Authority::new("alpn");
    let leaf = authority.sign(params("feed.test", "leaf"));
    for (offered, versions, expected) in [
        (&["h2", "http/1.1"][..], Versions::Negotiate, Some(true)),
        (&["h2", "http/1.1"], Versions::Http1, Some(false)),
        (
            &["h2", "http/1.1"],
            Versions::Http2PriorKnowledge,
            Some(true),
        ),
        (&["http/1.1"], Versions::Negotiate, Some(false)),
        (&["http/1.1"], Versions::Http2PriorKnowledge, None),
        (&[], Versions::Negotiate, Some(false)),
        (&[], Versions::Http2PriorKnowledge, Some(true)),
    ] {
        let server = tls_server(leaf.config(offered)).await;
        let url = Url::parse(&format!("https://feed.test:{}/", server.port())).unwrap();
        let connector = Connector::new(&trusting(&authority.pem)).unwrap();
        let is_http2 = match connector.connect(&url, versions).await {
            Ok(connected) => Some(connected.is_http2),
            Err(ConnectError::Failed(failure)) => {
                assert_eq!(
                    failure.to_string(),
                    "feed.test offers none of the requested HTTP versions"
                );
                None
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(is_http2, expected, "{offered:?} {versions:?}");
    }
}

#[tokio::test]
async fn a_reconnect_resumes_the_session() {
    let authority = Authority::new("sessions");
    let server = tls_server(authority.sign(params("feed.test", "leaf")).config(&[])).await;
    let url = Url::parse(&format!("https://feed.test:{}/", server.port())).unwrap();
    let connector = Connector::new(&trusting(&authority.pem)).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut connected = connector.connect(&url, Versions::Http1).await.unwrap();
        // The ticket arrives with the first data.
        connected.io.read_exact(&mut [0; 5]).await.unwrap();
        let Io::Rustls(stream) = &connected.io else {
            panic!("{connected:?}");
        };
        kinds.push(stream.handshake_kind().unwrap());
    }
    use rustls::HandshakeKind::{Full, Resumed};
    assert_eq!(kinds, [Full, Resumed]);
}

/// Corrupts the keys of stored sessions, so that they are resumed with the wrong keys.
#[derive(Debug)]
struct WrongKeys(Arc<dyn StoresServerSessions>);

impl StoresServerSessions for WrongKeys {
    fn put(&self, key: Vec<u8>, mut value: Vec<u8>) -> bool {
        let name = 2 + "feed.test".len();
        // The version, the suite and a length precede the secret.
        value[name + 5] ^= 1;
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_session_resumed_with_wrong_keys_is_not_tried_again() {
    let authority = Authority::new("sessions");
    let leaf = authority.sign(params("feed.test", "leaf"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain(), leaf.key())
        .unwrap();
    config.session_storage = Arc::new(WrongKeys(ServerSessionMemoryCache::new(8)));
    let server = tls_server(config).await;
    let url = Url::parse(&format!("https://feed.test:{}/", server.port())).unwrap();
    let connector = Connector::new(&trusting(&authority.pem)).unwrap();
    let mut connected = Vec::new();
    for _ in 0..3 {
        connected.push(connector.connect(&url, Versions::Http1).await.is_ok());
    }
    assert_eq!(connected, [true, false, true]);
}

#[tokio::test]
async fn a_server_without_tls_is_reported_as_such() {
    let server = greeter("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let failure = failed(&settings(), &format!("https://{server}/")).await;
    let expected = format!("127.0.0.1 doesn't speak TLS on port {}", server.port());
    assert_eq!(
        (failure.to_string(), failure.kind()),
        (expected, FailureKind::Tls)
    );

    let server = greeter("").await;
    let failure = failed(&settings(), &format!("https://{server}/")).await;
    assert_eq!(
        failure.to_string(),
        "127.0.0.1 closed the connection during the TLS handshake"
    );
}

#[tokio::test]
async fn a_missing_client_certificate_is_reported_when_the_server_requires_one() {
    let authority = Authority::new("clients");
    let leaf = authority.sign(params("feed.test", "leaf"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(leaf.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let config = builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(leaf.chain(), leaf.key())
        .unwrap();
    let server = tls_server(config).await;
    let url = format!("https://feed.test:{}/", server.port());
    let mut connected = connected(&trusting(&authority.pem), &url).await.unwrap();
    let error = connected.io.read_u8().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server requires a client certificate"
    );
}

#[tokio::test]
async fn tunnels_work_through_http_and_https_proxies() {
    let authority = Authority::new("tunnel");
    let server = tls_server(authority.sign(params("feed.test", "leaf")).config(&[])).await;
    let leaf = authority.sign(params("localhost", "proxy"));
    let acceptor = TlsAcceptor::from(Arc::new(leaf.config(&["http/1.1"])));
    for scheme in ["http", "https"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (report, mut requests) = unbounded_channel();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let report = report.clone();
                let report = move |head| _ = report.send(head);
                match scheme {
                    "http" => serve_tunnel(client, OK, server, report).await,
                    _ => match acceptor.accept(client).await {
                        Ok(client) => serve_tunnel(client, OK, server, report).await,
                        Err(_) => continue,
                    },
                }
            }
        });
        let transport = |host: &str| Transport {
            proxy: Some(Some(format!("{scheme}://me:pw@{host}:{port}"))),
            ..trusting(&authority.pem)
        };
        let connected = connected(&transport("localhost"), "https://feed.test/").await;
        let connected = connected.unwrap();
        assert_eq!(connected.through_proxy, None);
        assert_eq!(greeting(connected).await, "hello");
        let head = requests.recv().await.unwrap();
        let head = String::from_utf8(head).unwrap();
        assert!(
            head.starts_with("CONNECT feed.test:443 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("proxy-authorization: Basic bWU6cHc=\r\n"),
            "{head}"
        );
        if scheme == "https" {
            let failure = failed(&transport("127.0.0.1"), "http://feed.test/").await;
            assert_eq!(
                failure.to_string(),
                "the certificate of the proxy 127.0.0.1 is for localhost, not 127.0.0.1"
            );
            let plain = super::connected(&transport("localhost"), "http://feed.test/").await;
            let authorization = plain.unwrap().through_proxy.unwrap().unwrap();
            assert_eq!(authorization, "Basic bWU6cHc=");
        }
    }
}

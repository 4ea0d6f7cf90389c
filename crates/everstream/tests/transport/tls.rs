//! Which certificates are trusted, and the messages of failures.

use std::time::Duration;

use everstream::{Error, Fault, Http, RedirectProblem, SseClient};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};
use rustls::CipherSuite;

use super::certs::{Authority, Validity};
use super::client::{both, chain, failure, in_child};
use super::tls_server::{Handshake, TlsServer};

fn stream() -> Reply {
    Reply::stream().event_with_id("1", "hello").stall()
}

/// Starts a server behind TLS. Returns also the authority of its certificate.
fn behind_tls(reply: Reply) -> (Server, TlsServer, Authority) {
    let (server, authority) = (Server::start(), Authority::new());
    server.otherwise(reply);
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    (server, tls, authority)
}

/// The same, for clients with a certificate issued by the second authority.
fn for_clients_with_certificates() -> (Server, TlsServer, Authority, Authority) {
    let (server, authority, clients) = (Server::start(), Authority::new(), Authority::new());
    server.otherwise(stream());
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config_for_clients_of(&clients), &server);
    (server, tls, authority, clients)
}

const UNKNOWN_ISSUER: &str = "the certificate of localhost is not trusted: unknown issuer";

/// Checks that the certificate isn't trusted, with this message.
fn assert_untrusted(fault: &Fault, text: &str) {
    let failure = failure(fault);
    assert_eq!(failure.kind(), FailureKind::Untrusted);
    assert_eq!(failure.to_string(), text);
    assert!(chain(fault).ends_with(text), "{}", chain(fault));
}

#[test]
fn a_private_authority_is_trusted_if_configured() {
    let (_server, tls, authority) = behind_tls(stream());
    both(|kind| {
        let http = Http::new(tls.url("/feed")).root_certificates(authority.pem());
        let mut client = kind.build(SseClient::builder(http));
        let start = client.started();
        assert_eq!(start.url, Some(tls.url("/feed")));
        assert_eq!(client.event().data(), "hello");
    });
}

#[test]
fn several_authorities_in_one_or_more_pems_are_trusted() {
    let server = Server::start();
    server.otherwise(stream());
    let (first, second, third) = (Authority::new(), Authority::new(), Authority::new());
    for authority in [&first, &second, &third] {
        let leaf = authority.server(&["localhost"], Validity::Now);
        let tls = TlsServer::start(leaf.config(&[]), &server);
        both(|kind| {
            let http = Http::new(tls.url("/"))
                .root_certificates(first.pem() + &second.pem())
                .root_certificates(third.pem());
            let mut client = kind.build(SseClient::builder(http));
            assert_eq!(client.event().data(), "hello");
        });
    }
}

#[test]
fn an_untrusted_certificate_at_the_first_attempt_is_final() {
    let (_server, tls, _) = behind_tls(stream());
    let other = Authority::new();
    both(|kind| {
        let http = Http::new(tls.url("/")).root_certificates(other.pem());
        let mut client = kind.build(SseClient::builder(http));
        let Some(Err(Error::Fault(fault))) = client.next() else {
            panic!("the client should give up");
        };
        assert_untrusted(&fault, UNKNOWN_ISSUER);
    });
}

/// Checks that clients get a fault with this text, and send no request.
fn assert_refused(host: &str, validity: Validity, trusted: Option<&Authority>, text: &str) {
    let server = Server::start();
    server.otherwise(stream());
    let authority = Authority::new();
    let leaf = authority.server(&[host], validity);
    let tls = TlsServer::start(leaf.config(&[]), &server);
    let trusted = trusted.unwrap_or(&authority);
    both(|kind| {
        let http = Http::new(tls.url("/")).root_certificates(trusted.pem());
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        assert_untrusted(&fault, text);
        assert_eq!(chain(&fault), text);
        assert!(matches!(tls.next_handshake(), Handshake::Failed));
    });
    assert_eq!(server.request_count(), 0);
}

#[test]
fn an_unknown_authority_is_a_connect_fault() {
    let other = Authority::new();
    assert_refused("localhost", Validity::Now, Some(&other), UNKNOWN_ISSUER);
}

#[test]
fn a_certificate_for_another_host_is_a_connect_fault_that_names_both() {
    let text = "the certificate of localhost is for other.test, not localhost";
    assert_refused("other.test", Validity::Now, None, text);
}

#[test]
fn an_expired_certificate_is_a_connect_fault_with_the_date() {
    let text = "the certificate of localhost expired on 2002-01-01";
    assert_refused("localhost", Validity::Expired, None, text);
}

#[test]
fn accept_invalid_certs_accepts_any_certificate() {
    let server = Server::start();
    server.otherwise(stream());
    for (hosts, validity) in [
        ("other.test", Validity::Now),
        ("localhost", Validity::Expired),
    ] {
        let leaf = Authority::new().server(&[hosts], validity);
        let tls = TlsServer::start(leaf.config(&[]), &server);
        both(|kind| {
            let http = Http::new(tls.url("/")).danger_accept_invalid_certs(true);
            let mut client = kind.build(SseClient::builder(http));
            assert_eq!(client.event().data(), "hello");
        });
    }
}

#[test]
fn invalid_certificates_are_refused_again_after_false() {
    let server = Server::start();
    server.otherwise(stream());
    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&[]), &server);
    both(|kind| {
        let http = Http::new(tls.url("/"));
        for http in [
            http.clone().danger_accept_invalid_certs(false),
            http.danger_accept_invalid_certs(true)
                .danger_accept_invalid_certs(false),
        ] {
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
            assert!(matches!(tls.next_handshake(), Handshake::Failed));
        }
    });
    assert_eq!(server.request_count(), 0);
}

#[test]
fn a_client_certificate_is_sent_to_a_server_that_asks_for_one() {
    let (_server, tls, authority, clients) = for_clients_with_certificates();
    both(|kind| {
        let leaf = clients.client();
        let http = Http::new(tls.url("/"))
            .root_certificates(authority.pem())
            .client_certificate(leaf.pem, leaf.key_pem);
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
    });
}

#[test]
fn a_missing_client_certificate_is_a_fault_with_the_reason() {
    let (server, tls, authority, _) = for_clients_with_certificates();
    both(|kind| {
        let http = Http::new(tls.url("/")).root_certificates(authority.pem());
        let builder = SseClient::builder(http).initial_retry_delay(Duration::ZERO);
        let mut client = kind.build(builder);
        // In TLS 1.3, the client finishes the handshake before the server checks its certificate,
        // so the refusal arrives during the request.
        for _ in 0..10 {
            let fault = client.any_fault();
            assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
            let text = "the server requires a client certificate";
            assert_eq!(chain(&fault), text);
            assert_eq!(failure(&fault).kind(), FailureKind::Tls);
        }
    });
    assert_eq!(server.request_count(), 0);
}

#[test]
fn invalid_certificates_are_errors_that_name_the_setting() {
    let leaf = Authority::new().client();
    let pem = Authority::new().pem();
    let broken = pem.replace("-----END", "~~~~~END");
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let http = || Http::new("https://localhost/");
    both(|kind| {
        let setting = |http: Http| match kind.try_build(SseClient::builder(http)).map(|_| ()) {
            Err(Error::Config { setting, problem }) => {
                assert!(!problem.to_string().is_empty());
                setting
            }
            other => panic!("{other:?}"),
        };
        for garbage in ["", "not a certificate", &broken, not_der, &leaf.key_pem] {
            assert_eq!(
                setting(http().root_certificates(garbage)),
                "root_certificates",
                "{garbage}"
            );
        }
        for (certificate, key) in [
            ("", ""),
            ("garbage", "garbage"),
            (leaf.pem.as_str(), ""),
            ("", leaf.key_pem.as_str()),
            ("garbage", leaf.key_pem.as_str()),
            (not_der, leaf.key_pem.as_str()),
        ] {
            let http = http().client_certificate(certificate, key);
            assert_eq!(setting(http), "client_certificate", "{certificate}{key}");
        }
    });
}

#[test]
fn a_key_of_another_certificate_is_an_error_that_names_the_setting() {
    let authority = Authority::new();
    let (one, other) = (authority.client(), authority.client());
    both(|kind| {
        let http = Http::new("https://localhost/").client_certificate(&*one.pem, &*other.key_pem);
        match kind.try_build(SseClient::builder(http)).map(|_| ()) {
            Err(Error::Config { setting, problem }) => {
                assert_eq!(setting, "client_certificate");
                assert!(problem.to_string().contains("doesn't match"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_installed_provider_takes_precedence_over_ring() {
    in_child("tls::child_installs_a_provider", &[]);
}

#[test]
#[ignore = "for a child process"]
fn child_installs_a_provider() {
    let (_server, tls, authority) = behind_tls(stream());
    let suites = || {
        both(|kind| {
            let http = Http::new(tls.url("/")).root_certificates(authority.pem());
            let mut client = kind.build(SseClient::builder(http));
            assert_eq!(client.event().data(), "hello");
        });
        [tls.next_handshake(), tls.next_handshake()].map(|handshake| match handshake {
            Handshake::Done { suite, .. } => suite,
            Handshake::Failed => panic!(),
        })
    };
    assert_eq!(suites(), [CipherSuite::TLS13_AES_256_GCM_SHA384; 2]);

    // Recognizable by its only cipher suite.
    let mut provider = rustls::crypto::ring::default_provider();
    let only = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites.retain(|suite| suite.suite() == only);
    provider.install_default().unwrap();
    assert_eq!(suites(), [only; 2]);
}

#[test]
fn a_redirect_from_https_to_http_drops_credentials() {
    let plain = Server::start();
    plain.otherwise(stream());
    let redirect = Reply::redirect(307, plain.url("/moved")).header("Connection", "close");
    let (server, tls, authority) = behind_tls(redirect);
    both(|kind| {
        let before = plain.request_count();
        let http = Http::new(tls.url("/"))
            .root_certificates(authority.pem())
            .bearer_token("secret")
            .header("Cookie", "secret")
            .sensitive_header("X-Api-Key", "secret")
            .header("X-Team", "a");
        let mut client = kind.build(SseClient::builder(http));
        assert_eq!(client.event().data(), "hello");
        let first = server.requests().pop().unwrap();
        assert_eq!(first.header("X-Api-Key"), Some("secret"));
        assert_eq!(first.header("Authorization"), Some("Bearer secret"));
        let second = &plain.requests()[before];
        for secret in ["Authorization", "Cookie", "X-Api-Key"] {
            assert_eq!(second.header(secret), None, "{secret}");
        }
        assert_eq!(second.header("X-Team"), None);
    });
}

#[test]
fn a_system_without_certificates_supports_http_and_configured_roots() {
    in_child(
        "tls::child_has_no_certificates",
        &[
            ("SSL_CERT_FILE", "/dev/null"),
            ("SSL_CERT_DIR", "/nonexistent"),
        ],
    );
}

#[test]
#[ignore = "for a child process"]
fn child_has_no_certificates() {
    let (server, tls, authority) = behind_tls(stream());
    both(|kind| {
        let mut client = kind.build(SseClient::builder(server.url("/")));
        assert_eq!(client.event().data(), "hello");

        let http = Http::new(tls.url("/")).root_certificates(authority.pem());
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");

        // Other certificates are still not trusted.
        let other = Http::new(tls.url("/")).root_certificates(Authority::new().pem());
        let fault = kind.build(SseClient::builder(other)).any_fault();
        assert_untrusted(&fault, UNKNOWN_ISSUER);

        // A connection that needs system certificates fails with the reason, and isn't retried.
        let mut client = kind.build(SseClient::builder(tls.url("/")));
        let Some(Err(Error::Fault(fault))) = client.next() else {
            panic!("the client should give up");
        };
        assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
        assert!(chain(&fault).contains("certificates"), "{}", chain(&fault));
        let moved = Server::start();
        moved.otherwise(Reply::redirect(307, tls.url("/")));
        let Some(Err(Error::Fault(fault))) = kind.build(SseClient::builder(moved.url("/"))).next()
        else {
            panic!("the client should give up");
        };
        assert!(matches!(
            fault,
            Fault::Redirect(_, RedirectProblem::Unreachable)
        ));
        assert!(chain(&fault).contains("certificates"), "{}", chain(&fault));

        // An invalid root certificate is still an error.
        let invalid = Http::new(server.url("/")).root_certificates("not PEM");
        let problem = kind.try_build(SseClient::builder(invalid)).map(|_| ());
        assert!(matches!(problem, Err(Error::Config { .. })), "{problem:?}");
    });
}

/// A client of an `http` URL reads the system's certificates only when it is redirected to `https`.
#[test]
fn a_redirect_to_tls_trusts_the_systems_certificates() {
    let file = tempfile::NamedTempFile::new().unwrap();
    in_child(
        "tls::child_is_redirected_to_tls",
        &[("SSL_CERT_FILE", file.path().to_str().unwrap())],
    );
}

#[test]
#[ignore = "for a child process"]
fn child_is_redirected_to_tls() {
    let authority = Authority::new();
    std::fs::write(std::env::var("SSL_CERT_FILE").unwrap(), authority.pem()).unwrap();
    let (server, moved) = (Server::start(), Server::start());
    server.otherwise(stream());
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    moved.otherwise(Reply::redirect(307, tls.url("/")));
    both(|kind| {
        let mut client = kind.build(SseClient::builder(moved.url("/")));
        assert_eq!(client.event().data(), "hello");
    });
    let stranger = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(stranger.config(&["http/1.1"]), &server);
    moved.otherwise(Reply::redirect(307, tls.url("/")));
    both(|kind| {
        let fault = kind.build(SseClient::builder(moved.url("/"))).any_fault();
        assert_untrusted(&fault, UNKNOWN_ISSUER);
    });
}

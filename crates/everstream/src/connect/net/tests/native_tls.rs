//! TLS with the system's library.

use super::tls_server::{Authority, params, self_signed, tls_server, trusting, untrusted};
use super::*;

async fn greeted(transport: &Transport, server: SocketAddr) -> String {
    let url = format!("https://feed.test:{}/", server.port());
    greeting(connected(transport, &url).await.unwrap()).await
}

#[tokio::test]
async fn only_configured_roots_are_trusted() {
    let authority = Authority::new("one");
    let signed = tls_server(authority.sign(params("feed.test", "leaf")).config(&[])).await;
    let pinned = self_signed(&params("feed.test", "x"));
    let pinned_server = tls_server(pinned.config(&[])).await;
    assert_eq!(greeted(&trusting(&authority.pem), signed).await, "hello");
    assert_eq!(
        greeted(&trusting(&pinned.certificate.pem()), pinned_server).await,
        "hello"
    );
    for (root, server) in [
        (&pinned.certificate.pem(), signed),
        (&authority.pem, pinned_server),
    ] {
        let text = untrusted(&trusting(root), server).await;
        let expected = "the certificate of feed.test is not trusted: ";
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains("SSL routines"), "{text}");
    }
    let other = tls_server(authority.sign(params("other.test", "leaf")).config(&[])).await;
    untrusted(&trusting(&authority.pem), other).await;
}

#[tokio::test]
async fn any_certificate_is_accepted_only_with_that_setting() {
    let leaf = Authority::new("unknown").sign(params("feed.test", "leaf"));
    let server = tls_server(leaf.config(&[])).await;
    let mut transport = trusting(&Authority::new("other").pem);
    transport.tls.accept_invalid_certs = true;
    assert_eq!(greeted(&transport, server).await, "hello");
    transport.tls.accept_invalid_certs = false;
    untrusted(&transport, server).await;
}

#[tokio::test]
async fn alpn_decides_whether_http2_is_used() {
    let authority = Authority::new("alpn");
    let leaf = authority.sign(params("feed.test", "leaf"));
    for (offered, expected) in [(&["h2", "http/1.1"][..], true), (&["http/1.1"], false)] {
        let server = tls_server(leaf.config(offered)).await;
        let url = Url::parse(&format!("https://feed.test:{}/", server.port())).unwrap();
        let connector = Connector::new(&trusting(&authority.pem)).unwrap();
        let connected = connector.connect(&url, Versions::Negotiate).await.unwrap();
        assert_eq!(connected.is_http2, expected);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_reported_as_such() {
    let server = greeter("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let failure = failed(&settings(), &format!("https://{server}/")).await;
    let expected = format!("127.0.0.1 doesn't speak TLS on port {}", server.port());
    assert_eq!(failure.to_string(), expected);
}

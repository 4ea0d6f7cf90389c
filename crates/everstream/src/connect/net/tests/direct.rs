//! Connections without a proxy.

use std::net::Ipv6Addr;

use super::*;

#[tokio::test]
async fn connects_by_name_and_by_address() {
    let server = greeter("hello").await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("http://{host}:{}/", server.port());
        let connected = connected(&settings(), &url).await.unwrap();
        assert!(!connected.is_http2);
        assert_eq!(connected.through_proxy, None);
        assert_eq!(greeting(connected).await, "hello");
    }
}

#[tokio::test]
async fn unreachable_addresses_before_a_good_one_are_skipped() {
    let server = greeter("hello").await;
    let url = format!("http://feed.test:{}/", server.port());
    // One refuses connections; the other is unreachable or never answers.
    for dead in [Ipv6Addr::LOCALHOST, "2001:db8::1".parse().unwrap()] {
        let resolve = [dead.into(), LOCALHOST].map(|ip| ("feed.test".to_owned(), ip));
        let transport = Transport {
            resolve: resolve.into(),
            ..settings()
        };
        let connected = connected(&transport, &url).await.unwrap();
        assert_eq!(greeting(connected).await, "hello");
    }
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let port = refusing_port();
    let failure = failed(&settings(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(failure.kind(), FailureKind::Refused);
    let expected = format!("connection refused by 127.0.0.1:{port}");
    assert_eq!(failure.to_string(), expected);
    assert!(failure.os_error().is_some());
}

#[tokio::test]
async fn without_tls_http2_needs_prior_knowledge() {
    let server = greeter("hello").await;
    let connector = Connector::new(&settings()).unwrap();
    let url = Url::parse(&format!("http://{server}/")).unwrap();
    for (versions, is_http2) in [
        (Versions::Http1, false),
        (Versions::Negotiate, false),
        (Versions::Http2PriorKnowledge, true),
    ] {
        let connected = connector.connect(&url, versions).await.unwrap();
        assert_eq!(connected.is_http2, is_http2, "{versions:?}");
    }
}

#[tokio::test]
async fn a_url_without_a_host_is_unreachable() {
    let refused = connected(&settings(), "data:text/plain,x").await;
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))));
}

#[cfg(not(feature = "__tls"))]
#[tokio::test]
async fn without_a_tls_feature_https_is_unreachable_and_nothing_is_dialed() {
    for transport in [settings(), through("https://127.0.0.1:1")] {
        let refused = connected(&transport, "https://127.0.0.1:1/").await;
        let Err(ConnectError::Unreachable(error)) = refused else {
            panic!("{refused:?}");
        };
        assert!(error.to_string().contains("rustls"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_used_for_every_url() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { greet(listener.accept().await.unwrap().0, "hello").await });
    let transport = |path: &std::path::Path| Transport {
        unix_socket: Some(path.to_owned()),
        // A proxy that refuses connections, so it must not be used.
        ..through("http://127.0.0.1:1")
    };
    let connected = connected(&transport(&path), "http://feed.invalid/").await;
    std::fs::remove_file(&path).unwrap();
    let connected = connected.unwrap();
    assert_eq!(connected.through_proxy, None);
    assert_eq!(greeting(connected).await, "hello");

    let failure = failed(&transport(&path), "http://feed.invalid/").await;
    assert_eq!(
        failure.to_string(),
        format!("{} doesn't exist", path.display())
    );
}

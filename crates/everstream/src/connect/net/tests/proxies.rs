//! Connections through proxies.

use super::*;

/// A proxy that reports each request on `requests`.
pub(super) struct TestProxy {
    pub(super) addr: SocketAddr,
    pub(super) requests: UnboundedReceiver<Vec<u8>>,
}

/// Reads a CONNECT request, reports its head, answers, and if `answer` is a 200, forwards to `server`.
pub(super) async fn serve_tunnel<T: AsyncRead + AsyncWrite + Unpin>(
    mut client: T,
    answer: &str,
    server: SocketAddr,
    report: impl FnOnce(Vec<u8>),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    report(head);
    _ = client.write_all(answer.as_bytes()).await;
    _ = client.flush().await;
    if answer.contains(" 200 ") {
        let mut server = TcpStream::connect(server).await.unwrap();
        _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
    _ = client.shutdown().await;
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

async fn http_proxy(answer: &'static str, server: SocketAddr) -> TestProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (report, requests) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let report = report.clone();
            let report = move |head| _ = report.send(head);
            tokio::spawn(serve_tunnel(client, answer, server, report));
        }
    });
    TestProxy { addr, requests }
}

#[tokio::test]
async fn plain_http_requests_are_sent_to_the_proxy_without_a_tunnel() {
    let proxy = greeter("hello").await;
    let url = "http://feed.invalid/events";
    let direct = connected(&through(&format!("http://{proxy}")), url)
        .await
        .unwrap();
    assert_eq!(direct.through_proxy, Some(None));
    assert_eq!(greeting(direct).await, "hello");

    let transport = through(&format!("http://me:pw@{proxy}"));
    let connected = connected(&transport, url).await.unwrap();
    assert_eq!(connected.through_proxy.unwrap().unwrap(), "Basic bWU6cHc=");
}

#[tokio::test]
async fn http2_without_tls_needs_a_tunnel() {
    let server = greeter("hello").await;
    let mut proxy = http_proxy(OK, server).await;
    let connector = Connector::new(&through(&format!("http://{}", proxy.addr))).unwrap();
    let url = Url::parse("http://feed.invalid/").unwrap();
    let connected = connector
        .connect(&url, Versions::Http2PriorKnowledge)
        .await
        .unwrap();
    assert!(connected.is_http2);
    assert_eq!(connected.through_proxy, None);
    assert_eq!(greeting(connected).await, "hello");
    let head = proxy.requests.recv().await.unwrap();
    assert!(head.starts_with(b"CONNECT feed.invalid:80 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_refused_connection_to_the_proxy_names_the_proxy() {
    let port = refusing_port();
    let failure = failed(
        &through(&format!("http://127.0.0.1:{port}")),
        "http://x.invalid/",
    )
    .await;
    assert_eq!(failure.kind(), FailureKind::Refused);
    let expected = format!("connection refused by the proxy at 127.0.0.1:{port}");
    assert_eq!(failure.to_string(), expected);
}

#[cfg(feature = "__rustls")]
#[tokio::test]
async fn a_refused_tunnel_reports_the_reason() {
    for (answer, kind, expected) in [
        (
            "HTTP/1.1 500 Oops\r\n\r\n",
            FailureKind::Proxy,
            "refused the tunnel: 500",
        ),
        (
            "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n",
            FailureKind::ProxyAuthentication,
            "requires credentials (407)",
        ),
        (
            "nonsense\r\n\r\n",
            FailureKind::Proxy,
            "didn't answer with HTTP/1.1 or HTTP/1.0",
        ),
        (
            "",
            FailureKind::Proxy,
            "closed the connection before answering",
        ),
    ] {
        let proxy = http_proxy(answer, ([127, 0, 0, 1], 1).into()).await;
        let transport = through(&format!("http://{}", proxy.addr));
        let failure = failed(&transport, "https://x.invalid/").await;
        let expected = format!("the proxy at {} {expected}", proxy.addr);
        assert_eq!((failure.to_string(), failure.kind()), (expected, kind));
    }
}

#[cfg(feature = "socks")]
mod socks {
    use super::*;

    /// Starts a SOCKS 5 proxy that reports the requested addresses.
    async fn socks5_proxy(server: SocketAddr) -> TestProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (report, requests) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                client.read_exact(&mut [0; 3]).await.unwrap();
                client.write_all(&[5, 0]).await.unwrap();
                let mut request = [0; 4];
                client.read_exact(&mut request).await.unwrap();
                let length = match request[3] {
                    1 => 4,
                    4 => 16,
                    _ => usize::from(client.read_u8().await.unwrap()),
                };
                let mut target = vec![0; length + 2];
                client.read_exact(&mut target).await.unwrap();
                report.send(target).unwrap();
                client
                    .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(async move {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        TestProxy { addr, requests }
    }

    #[tokio::test]
    async fn socks5_sends_an_address_and_socks5h_a_name() {
        let server = greeter("hello").await;
        let mut proxy = socks5_proxy(server).await;
        for (scheme, expected) in [
            ("socks5", &b"\x7f\x00\x00\x01\x00\x50"[..]),
            ("socks5h", b"feed.test\x00\x50"),
        ] {
            let transport = Transport {
                resolve: vec![("feed.test".to_owned(), LOCALHOST)],
                ..through(&format!("{scheme}://{}", proxy.addr))
            };
            let connected = connected(&transport, "http://feed.test/").await.unwrap();
            assert_eq!(connected.through_proxy, None);
            assert_eq!(greeting(connected).await, "hello");
            assert_eq!(proxy.requests.recv().await.unwrap(), expected, "{scheme}");
        }
    }

    #[tokio::test]
    async fn socks4_does_not_support_ipv6() {
        let proxy = greeter("never").await;
        let transport = Transport {
            resolve: vec![("feed.test".to_owned(), std::net::Ipv6Addr::LOCALHOST.into())],
            ..through(&format!("socks4://{proxy}"))
        };
        let failure = failed(&transport, "http://feed.test/").await;
        assert_eq!(
            failure.to_string(),
            "feed.test has no IPv4 address, and SOCKS 4 has no IPv6"
        );
    }
}

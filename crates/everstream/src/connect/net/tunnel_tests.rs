use tokio::io::DuplexStream;

use super::*;

fn proxy(url: &str) -> Proxy {
    Proxy::parse(url).unwrap()
}

/// Opens a tunnel through a proxy that sends `answer` and closes. Returns the result, and what the proxy
/// received.
async fn opened(proxy_url: &str, answer: &[u8]) -> (Result<(), Failure>, String) {
    let url = Url::parse("https://feed.test/events").unwrap();
    let (mut client, mut server) = tokio::io::duplex(1 << 16);
    server.write_all(answer).await.unwrap();
    server.shutdown().await.unwrap();
    let opened = open(&mut client, &url, &proxy(proxy_url)).await;
    drop(client);
    (opened, received(&mut server).await)
}

async fn received(server: &mut DuplexStream) -> String {
    let mut sent = String::new();
    server.read_to_string(&mut sent).await.unwrap();
    sent
}

async fn failure(answer: &str) -> (FailureKind, String) {
    let (opened, _) = opened("http://proxy.test:3128", answer.as_bytes()).await;
    let failure = opened.unwrap_err();
    (failure.kind(), failure.to_string())
}

#[tokio::test]
async fn connect_requests_have_the_proxy_credentials() {
    let (opened, sent) = opened(
        "http://user:hunter2@proxy.test",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
    )
    .await;
    opened.unwrap();
    assert_eq!(
        sent,
        "CONNECT feed.test:443 HTTP/1.1\r\nhost: feed.test:443\r\n\
         proxy-authorization: Basic dXNlcjpodW50ZXIy\r\n\r\n"
    );
}

#[tokio::test]
async fn any_2xx_opens_the_tunnel_and_body_headers_are_ignored() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let (opened, _) = opened("http://proxy.test", answer.as_bytes()).await;
        assert!(opened.is_ok(), "{answer}: {opened:?}");
    }
}

#[tokio::test]
async fn an_answer_may_arrive_in_pieces() {
    let url = Url::parse("https://feed.test/").unwrap();
    let (mut client, mut server) = tokio::io::duplex(1);
    let answering = async {
        // Read the request first, because the pipe holds only one byte.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(server.read_u8().await.unwrap());
        }
        server
            .write_all(b"HTTP/1.1 200 OK\r\nVia: a\r\n\r\n")
            .await
            .unwrap();
        server.write_all(b"!").await.unwrap();
    };
    let proxy = proxy("http://proxy.test");
    let opening = async {
        open(&mut client, &url, &proxy).await.unwrap();
        client.read_u8().await.unwrap()
    };
    let (first, ()) = tokio::join!(opening, answering);
    assert_eq!(first, b'!', "the tunnel begins right after the head");
}

#[tokio::test]
async fn data_before_the_tunnel_is_used_is_an_error() {
    assert_eq!(
        failure("HTTP/1.1 200 OK\r\n\r\nsurprise").await,
        (
            FailureKind::Proxy,
            "the proxy at proxy.test:3128 sent unexpected data".to_owned()
        )
    );
}

#[tokio::test]
async fn a_refused_tunnel_reports_the_status() {
    for (answer, expected) in [
        (
            "HTTP/1.1 500 Oops\r\n\r\nno luck",
            "refused the tunnel: 500",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
            "refused the tunnel: 302",
        ),
        ("HTTP/1.1 101 Switching\r\n\r\n", "refused the tunnel: 101"),
        (
            "nonsense\r\n\r\n",
            "didn't answer with HTTP/1.1 or HTTP/1.0",
        ),
        ("", "closed the connection before answering"),
        (
            "HTTP/1.1 200 OK\r\nVia:",
            "closed the connection before answering",
        ),
    ] {
        let (kind, text) = failure(answer).await;
        assert_eq!(kind, FailureKind::Proxy, "{text}");
        assert_eq!(text, format!("the proxy at proxy.test:3128 {expected}"));
    }
    let (kind, text) = failure("HTTP/1.1 200 OK\r\na b: c\r\n\r\n").await;
    assert_eq!(kind, FailureKind::Proxy);
    assert_eq!(
        text,
        "invalid answer from the proxy at proxy.test:3128: the response has an invalid header name"
    );
}

#[tokio::test]
async fn a_407_reports_what_the_proxy_requires() {
    for (url, challenges, expected) in [
        ("http://p.test", "Basic realm=\"a\"", "requires credentials"),
        ("http://p.test", "", "requires credentials"),
        (
            "http://me:secret@p.test",
            "Basic realm=\"a\"",
            "rejected the credentials",
        ),
        (
            "http://me:secret@p.test",
            "Digest realm=\"a, Basic b\", nonce=\"x\"",
            "requires Digest authentication, which is not supported",
        ),
        (
            "http://p.test",
            "Negotiate",
            "requires Negotiate authentication, which is not supported",
        ),
        (
            "http://p.test",
            "Digest realm=\"a\", basic realm=b",
            "requires credentials",
        ),
    ] {
        let header = match challenges {
            "" => String::new(),
            challenges => format!("Proxy-Authenticate: {challenges}\r\n"),
        };
        let answer = format!("HTTP/1.1 407 No\r\n{header}\r\n");
        let failure = opened(url, answer.as_bytes()).await.0.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::ProxyAuthentication);
        assert!(failure.needs_other_settings());
        let expected = format!("the proxy at p.test:80 {expected} (407)");
        assert_eq!(failure.to_string(), expected, "{challenges}");
    }
}

#[test]
fn schemes_are_distinguished_from_parameters() {
    let schemes = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PROXY_AUTHENTICATE, value.parse().unwrap());
        }
        schemes(&headers)
    };
    assert_eq!(
        schemes(&["NTLM TlRMTVNTUA==", "Negotiate"]),
        ["NTLM", "Negotiate"]
    );
    assert_eq!(
        schemes(&["Digest realm=\"x\\\", Basic y\" , qop = auth,, Basic realm=z"]),
        ["Digest", "Basic"]
    );
    assert!(schemes(&["", " , ", "=x", "\"unclosed, Basic"]).is_empty());
}

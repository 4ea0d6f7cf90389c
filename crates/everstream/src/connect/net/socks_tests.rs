use tokio::io::DuplexStream;

use super::*;

const GRANTED_V4: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
const GRANTED_V5: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

/// Opens a connection through a proxy that sends `answer`. Returns the result, and what the proxy
/// received. Also checks that the "!" after the answer is left for the caller to read.
async fn open_through(url: &str, target: Target, answer: &[u8]) -> (Result<(), Failure>, Vec<u8>) {
    let proxy = Proxy::parse(url).unwrap();
    let super::super::proxy::ProxyKind::Socks(version) = proxy.kind else {
        panic!("{url}");
    };
    let (mut client, mut server): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 10);
    server.write_all(answer).await.unwrap();
    server.write_all(b"!").await.unwrap();
    server.shutdown().await.unwrap();
    let opened = open(&mut client, version, &target, &proxy).await;
    if opened.is_ok() {
        assert_eq!(client.read_u8().await.unwrap(), b'!');
    }
    drop(client);
    let mut sent = Vec::new();
    server.read_to_end(&mut sent).await.unwrap();
    (opened, sent)
}

fn address(text: &str) -> Target {
    Target::Address(text.parse().unwrap())
}

fn name() -> Target {
    Target::Name("feed.test".to_owned(), 443)
}

#[tokio::test]
async fn socks4_sends_an_address_or_a_name_and_the_user() {
    let (opened, sent) =
        open_through("socks4://p.test", address("192.0.2.7:443"), GRANTED_V4).await;
    opened.unwrap();
    assert_eq!(sent, [4, 1, 1, 187, 192, 0, 2, 7, 0]);

    let (opened, sent) = open_through("socks4a://me@p.test", name(), GRANTED_V4).await;
    opened.unwrap();
    assert_eq!(sent, b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00feed.test\x00");
}

#[tokio::test]
async fn socks5_sends_an_address_or_a_name() {
    let answer = [&[5, 0], GRANTED_V5].concat();
    for (target, expected) in [
        (address("192.0.2.7:443"), &b"\x01\xc0\x00\x02\x07"[..]),
        (
            address("[2001:db8::1]:443"),
            b"\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        ),
        (name(), b"\x03\x09feed.test"),
    ] {
        let (opened, sent) = open_through("socks5h://p.test", target, &answer).await;
        opened.unwrap();
        assert_eq!(
            sent,
            [b"\x05\x01\x00\x05\x01\x00", expected, b"\x01\xbb"].concat()
        );
    }
}

#[tokio::test]
async fn socks5_authenticates_if_the_proxy_asks_for_it() {
    let url = "socks5h://me:p%40ss@p.test";
    let answer = [&[5, 2, 1, 0], GRANTED_V5].concat();
    let (opened, sent) = open_through(url, name(), &answer).await;
    opened.unwrap();
    let expected = b"\x05\x02\x00\x02\x01\x02me\x04p@ss\x05\x01\x00\x03\x09feed.test\x01\xbb";
    assert_eq!(sent, expected);

    let answer = [&[5, 0], GRANTED_V5].concat();
    let (opened, sent) = open_through(url, name(), &answer).await;
    opened.unwrap();
    assert!(!sent.windows(4).any(|part| part == b"p@ss"));
}

#[tokio::test]
async fn an_answer_with_a_name_or_ipv6_is_read_completely() {
    for bound in [
        &b"\x05\x00\x00\x03\x06a.test\x00\x00"[..],
        b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let answer = [&[5, 0], bound].concat();
        open_through("socks5://p.test", address("192.0.2.7:443"), &answer)
            .await
            .0
            .unwrap();
    }
}

#[tokio::test]
async fn failures_give_the_reason() {
    let (refused, auth) = (FailureKind::Proxy, FailureKind::ProxyAuthentication);
    for (url, answer, kind, expected) in [
        (
            "socks5h://p.test",
            &b"\x05\xff"[..],
            auth,
            "requires credentials",
        ),
        (
            "socks5h://p.test",
            b"\x05\x02",
            auth,
            "requires credentials",
        ),
        (
            "socks5h://me:x@p.test",
            b"\x05\xff",
            auth,
            "requires an authentication method that is not supported",
        ),
        (
            "socks5h://me:x@p.test",
            b"\x05\x02\x01\x01",
            auth,
            "rejected the credentials",
        ),
        (
            "socks5h://p.test",
            b"\x05\x00\x05\x04\x00\x01",
            refused,
            "refused the connection: host unreachable",
        ),
        (
            "socks5h://p.test",
            b"\x05\x00\x05\x63\x00\x01",
            refused,
            "refused the connection: code 99",
        ),
        (
            "socks5h://p.test",
            b"HTTP/1.1 400",
            refused,
            "didn't answer with SOCKS 5",
        ),
        (
            "socks5h://p.test",
            b"\x05\x00\x05\x00",
            refused,
            "closed the connection before answering",
        ),
        (
            "socks4a://p.test",
            &[0, 91, 0, 0, 0, 0, 0, 0],
            refused,
            "refused the connection: rejected or failed",
        ),
        (
            "socks4a://p.test",
            &[0, 93, 0, 0, 0, 0, 0, 0],
            auth,
            "requires a different user",
        ),
        (
            "socks4a://p.test",
            b"HTTP/1.1 400",
            refused,
            "didn't answer with SOCKS 4",
        ),
        (
            "socks4a://p.test",
            b"",
            refused,
            "closed the connection before answering",
        ),
    ] {
        let failure = open_through(url, name(), answer).await.0.unwrap_err();
        let text = failure.to_string();
        assert_eq!(
            text,
            format!("the proxy at p.test:1080 {expected}"),
            "{answer:?}"
        );
        assert_eq!(failure.kind(), kind, "{text}");
    }
}

#[tokio::test]
async fn requests_that_the_protocol_can_not_express_are_not_sent() {
    let long = "x".repeat(256);
    for (url, target, answer) in [
        ("socks4://p.test".to_owned(), address("[::1]:443"), &b""[..]),
        (
            "socks5h://p.test".to_owned(),
            Target::Name(long.clone(), 443),
            b"\x05\x00",
        ),
        (format!("socks5h://{long}:x@p.test"), name(), b"\x05\x02"),
        (format!("socks5h://x:{long}@p.test"), name(), b"\x05\x02"),
        ("socks4a://a%00b@p.test".to_owned(), name(), b""),
    ] {
        let (opened, sent) = open_through(&url, target, answer).await;
        let text = opened.unwrap_err().to_string();
        assert!(
            text.starts_with("can't connect through the proxy at p.test:1080: "),
            "{text}"
        );
        assert!(sent.len() <= 4, "{sent:?}");
    }
}

#[test]
fn socks4_uses_an_ipv4_address() {
    let all = ["[::1]:80", "192.0.2.1:80"].map(|text| text.parse().unwrap());
    let chosen = |version| match Target::among(&all, version) {
        Some(Target::Address(address)) => address,
        _ => panic!("{version:?}"),
    };
    assert_eq!(chosen(Version::V4), all[1]);
    assert_eq!(chosen(Version::V5), all[0]);
    assert!(Target::among(&all[..1], Version::V4).is_none());
}

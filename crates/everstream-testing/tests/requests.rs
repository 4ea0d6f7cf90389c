//! Which requests the server records, and which it rejects.

use everstream_testing::{Reply, Request, Server};

use crate::common::{Client, End, LIMIT};

#[test]
fn a_request_is_recorded_as_received() {
    let server = Server::start();
    let mut client = Client::connect(server.addr());
    client.send(b"POST /a/b?c=d&c=e?f HTTP/1.1\r\nhOST: x\r\nX-Raw: \xff\xe9\r\nAccept:a\r\naccept: b \r\nContent-Length: 4\r\n\r\n\x00\r\n\xff");
    assert!(server.wait_for_requests(1, LIMIT));
    let request = &server.requests()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/a/b?c=d&c=e?f");
    assert_eq!(request.path(), "/a/b");
    assert_eq!(request.query(), Some("c=d&c=e?f"));
    assert_eq!(request.version, "HTTP/1.1");
    let names: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["hOST", "X-Raw", "Accept", "accept", "Content-Length"]
    );
    assert_eq!(request.header("x-raw"), None);
    assert_eq!(request.header_bytes("x-raw"), Some(&b"\xff\xe9"[..]));
    assert_eq!(
        request.header_values("ACCEPT").collect::<Vec<_>>(),
        [b"a", b"b"]
    );
    assert_eq!(request.header("absent"), None);
    assert_eq!(request.body, b"\x00\r\n\xff");
    assert_eq!((request.number, request.connection), (1, 1));
}

#[test]
fn a_chunked_request_body_is_decoded() {
    let server = Server::start();
    let mut client = Client::connect(server.addr());
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: z\r\n\r\n");
    assert!(server.wait_for_requests(1, LIMIT));
    assert_eq!(server.requests()[0].body, b"abc0123456789");
}

#[test]
fn expect_100_continue_is_answered() {
    let server = Server::start();
    server.enqueue(Reply::status(200).send("done"));
    let mut client = Client::connect(server.addr());
    client.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi");
    client.read_until("\r\n\r\ndone");
    assert_eq!(server.requests()[0].body, b"hi");
}

#[test]
fn replies_are_taken_in_order_and_an_empty_queue_gives_a_404() {
    let server = Server::start();
    server
        .enqueue(Reply::status(200).send("one"))
        .enqueue(Reply::status(200).send("two"));
    let mut client = Client::get(&server);
    client.read_until("\r\n\r\none");
    // All on the same connection.
    client.send("GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nConnection: close\r\n\r\n");
    client.read_until("\r\n\r\ntwo");
    let (answer, end) = client.rest();
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(
        answer.contains("no reply left for request 3, GET /3"),
        "{answer}"
    );
    assert_eq!(end, End::Fin);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.connection == 1));
    assert!(requests.is_sorted_by_key(|request| request.at));
    assert_eq!(server.queued_replies(), 0);
}

#[test]
fn otherwise_is_used_repeatedly() {
    let server = Server::start();
    server.otherwise(Reply::status(500).header("Connection", "close"));
    for _ in 0..3 {
        assert!(Client::get(&server).rest().0.starts_with("HTTP/1.1 500 "));
    }
}

#[test]
fn a_handler_gets_the_request_and_queued_replies_take_precedence() {
    let server = Server::with_handler(|request: &Request| {
        Reply::stream()
            .event(request.header("last-event-id").unwrap_or("none"))
            .drop_connection()
    });
    server.enqueue(Reply::status(503).drop_connection());
    assert!(Client::get(&server).rest().0.starts_with("HTTP/1.1 503 "));
    assert!(
        Client::get_after(&server, "7")
            .rest()
            .0
            .contains("data: 7\n")
    );
    assert!(Client::get(&server).rest().0.contains("data: none\n"));
}

#[test]
fn a_panicking_handler_closes_only_its_connection() {
    let server = Server::with_handler(|request: &Request| match request.header("last-event-id") {
        Some(_) => panic!("this panic is part of the test"),
        None => Reply::stream().event("fine").drop_connection(),
    });
    assert_eq!(Client::get_after(&server, "1").rest().0, "");
    assert!(Client::get(&server).rest().0.contains("fine"));
    assert!(server.wait_for_open_connections(0, LIMIT));
}

#[test]
fn invalid_http_is_rejected_and_the_server_survives() {
    let server = Server::start();
    let refused: [(&[u8], u16); 13] = [
        (b"\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\xff\xfe / HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: no name\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nLast-Event-ID: a\rX: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nLast-Event-ID: a\nX: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nLast-Event-ID: a\0b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", 400),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
            400,
        ),
    ];
    for (bytes, status) in refused {
        let mut client = Client::connect(server.addr());
        client.send(bytes);
        let (answer, end) = client.rest();
        let start = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&start),
            "{}: {answer}",
            bytes.escape_ascii()
        );
        assert_eq!(end, End::Fin);
    }
    assert_eq!(server.refused_requests(), refused.len());
    assert_eq!(server.request_count(), 0);
    server.enqueue(Reply::stream().event("alive").drop_connection());
    assert!(Client::get(&server).rest().0.contains("alive"));
}

#[test]
fn an_endless_head_is_rejected() {
    let server = Server::start();
    let mut client = Client::connect(server.addr());
    let line = format!("X: {}\r\n", "x".repeat(64 * 1024));
    client.send("GET / HTTP/1.1\r\n");
    for _ in 0..80 {
        client.send(&line);
    }
    assert!(client.rest().0.starts_with("HTTP/1.1 431 "));
}

#[test]
fn an_id_of_a_megabyte_is_received() {
    let server = Server::start();
    let id = "x".repeat(1024 * 1024);
    let _client = Client::get_after(&server, &id);
    assert!(server.wait_for_requests(1, LIMIT));
    assert_eq!(
        server.requests()[0].header("Last-Event-ID"),
        Some(id.as_str())
    );
}

#[test]
fn keep_requests_keeps_only_the_newest() {
    let server = Server::start();
    server.keep_requests(2).otherwise(Reply::status(200));
    let mut client = Client::connect(server.addr());
    for n in 1..=5 {
        client.send(format!("GET /{n} HTTP/1.1\r\n\r\n"));
    }
    assert!(server.wait_for_requests(5, LIMIT));
    let kept: Vec<usize> = server
        .requests()
        .iter()
        .map(|request| request.number)
        .collect();
    assert_eq!(kept, [4, 5]);
}

//! What a reply looks like on the wire.

use everstream_testing::{Reply, Server};

use crate::common::{self, Client, End, unchunk};

fn answer_to(reply: Reply) -> (String, End) {
    let server = Server::start();
    server.enqueue(reply);
    Client::get(&server).rest()
}

#[test]
fn a_stream_is_chunked_with_one_chunk_for_each_send() {
    let reply = Reply::stream()
        .event_with_id("1", "a")
        .comment("b")
        .send("c")
        .drop_connection();
    assert_eq!(
        answer_to(reply).0,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         f\r\nid: 1\ndata: a\n\n\r\n5\r\n: b\n\n\r\n1\r\nc\r\n"
    );
}

#[test]
fn wire_bytes_returns_what_is_played() {
    for reply in [
        Reply::stream().event("x").header("Connection", "close"),
        Reply::stream().event("x").drop_connection(),
        Reply::stream().event("x").content_length(100),
        Reply::stream().event("x").close_delimited(),
        Reply::status(503)
            .header("Retry-After", "1")
            .send("later")
            .drop_connection(),
        Reply::redirect(307, "/other").drop_connection(),
        Reply::status(204)
            .send("not allowed here")
            .drop_connection(),
        Reply::raw("HTTP/1.1 200 OK\nX: bare line feeds\n\n"),
        Reply::stream().event("x").in_pieces(1).drop_connection(),
    ] {
        let expected = String::from_utf8(reply.wire_bytes()).unwrap();
        assert_eq!(answer_to(reply), (expected, End::Fin));
    }
}

#[test]
fn a_response_can_be_cut_at_every_byte() {
    let whole = Reply::stream()
        .event_with_id("1", "hé")
        .comment("x")
        .in_pieces(7);
    let wire = whole.wire_bytes();
    let server = Server::start();
    for at in 0..wire.len() {
        server.enqueue(whole.clone().cut_after(at));
        let mut client = Client::get(&server);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut client.0, &mut bytes).unwrap();
        assert_eq!(bytes, &wire[..at], "cut at {at}");
    }
}

#[test]
fn header_replaces_and_append_header_adds() {
    let reply = Reply::stream()
        .header("content-type", "text/plain")
        .append_header("Cache-Control", "no-store")
        .drop_connection();
    assert!(answer_to(reply).0.starts_with(
        "HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\ncontent-type: text/plain\r\n\
         Cache-Control: no-store\r\n"
    ));
}

#[test]
fn a_framing_header_of_the_script_is_not_repeated() {
    let reply = Reply::status(200)
        .header("Content-Length", "banana")
        .send("x")
        .drop_connection();
    assert_eq!(
        answer_to(reply).0,
        "HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\nx"
    );
}

#[test]
fn http_1_0_responses_are_not_chunked() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x"));
    let mut client = Client::connect(server.addr());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (answer, end) = client.rest();
    assert!(
        answer.ends_with("Connection: close\r\n\r\ndata: x\n\n"),
        "{answer}"
    );
    assert_eq!(end, End::Fin);
}

#[test]
fn a_head_request_gets_no_body_even_if_it_is_endless() {
    let server = Server::start();
    server.otherwise(Reply::stream().send_forever("x"));
    let mut client = Client::connect(server.addr());
    client.send("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    let (answer, end) = client.rest();
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(end, End::Fin);
}

#[test]
fn an_endless_reply_lasts_until_the_client_disconnects() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .send("data: ")
            .send_forever("x".repeat(1000)),
    );
    let mut client = Client::get(&server);
    let mut received = vec![0; 8 * 1024 * 1024];
    std::io::Read::read_exact(&mut client.0, &mut received).unwrap();
    drop(client);
    assert!(server.wait_for_open_connections(0, common::LIMIT));
}

#[test]
fn an_empty_send_does_not_end_a_chunked_body() {
    let (answer, _) = answer_to(Reply::stream().send("").event("x").drop_connection());
    assert_eq!(unchunk(&answer), ("data: x\n\n".to_owned(), false));
}

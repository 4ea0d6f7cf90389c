//! How connections end, and whether the server notices that the client has disconnected.

use std::time::Duration;

use everstream_testing::{Feed, Gate, Reply, Server};

use crate::common::{Client, End, LIMIT};

#[test]
fn a_drop_is_a_fin_without_the_terminating_chunk() {
    let server = Server::start();
    server.enqueue(Reply::stream().send("data: par").drop_connection());
    let (answer, end) = Client::get(&server).rest();
    assert!(answer.ends_with("9\r\ndata: par\r\n"), "{answer}");
    assert_eq!(end, End::Fin);
}

#[test]
fn a_drop_loses_no_data_sent_before() {
    const LENGTH: usize = 4 * 1024 * 1024;
    let server = Server::start();
    server.enqueue(Reply::raw("x".repeat(LENGTH)));
    let mut client = Client::connect(server.addr());
    // Closing with unread bytes would send a reset, and discard data that is still on its way.
    client.send(format!("GET / HTTP/1.1\r\n\r\n{}", "x".repeat(64 * 1024)));
    let (answer, end) = client.rest();
    assert_eq!((answer.len(), end), (LENGTH, End::Fin));
}

#[test]
fn reset_sends_a_rst() {
    let server = Server::start();
    let seen = Gate::new();
    server.enqueue(Reply::stream().send("data: par").wait_for(&seen).reset());
    let mut client = Client::get(&server);
    client.read_until("data: par\r\n");
    seen.open();
    assert_eq!(client.rest(), (String::new(), End::Reset));
}

#[test]
fn reset_after_sends_a_rst() {
    let server = Server::start();
    server.enqueue(Reply::stream().reset_after(0));
    assert_eq!(Client::get(&server).rest().1, End::Reset);
}

#[test]
fn a_half_close_ends_the_response_and_still_receives() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x").half_close());
    let mut client = Client::get(&server);
    assert_eq!(client.rest().1, End::Fin);
    // Longer than the server lingers after dropping a connection.
    assert!(!server.wait_for_open_connections(0, Duration::from_millis(1300)));
    client.send("still here");
    drop(client);
    assert!(server.wait_for_open_connections(0, LIMIT));
}

#[test]
fn a_dropped_connection_closes_even_if_the_client_does_not() {
    let server = Server::start();
    server.enqueue(Reply::stream().drop_connection());
    let client = Client::get(&server);
    assert!(server.wait_for_connections(1, LIMIT));
    assert!(server.wait_for_open_connections(0, LIMIT));
    drop(client);
}

#[test]
fn a_stall_lasts_until_the_client_disconnects() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("x").stall());
    let mut client = Client::get(&server);
    client.read_until("data: x\n\n\r\n");
    client.assert_silent();
    assert_eq!(server.open_connections(), 1);
    drop(client);
    assert!(server.wait_for_open_connections(0, LIMIT));
}

#[test]
fn a_disconnect_is_noticed_in_every_kind_of_wait() {
    let (gate, feed) = (Gate::new(), Feed::new());
    let hour = Duration::from_secs(3600);
    for reply in [
        Reply::raw("").stall(),
        Reply::stream().stall_after(10),
        Reply::stream().head_after(&gate),
        Reply::stream().head_delayed(hour),
        Reply::stream().wait_for(&gate),
        Reply::stream().pause(hour),
        Reply::stream().resume(&feed),
        Reply::stream(),
    ] {
        let server = Server::start();
        let what = format!("{reply:?}");
        server.enqueue(reply);
        let client = Client::get(&server);
        assert!(server.wait_for_requests(1, LIMIT), "{what}");
        drop(client);
        assert!(server.wait_for_open_connections(0, LIMIT), "{what}");
    }
}

#[test]
fn on_accept_acts_before_the_request() {
    let server = Server::start();
    server
        .enqueue(Reply::on_accept().drop_connection())
        .enqueue(Reply::on_accept().reset())
        .enqueue(Reply::on_accept().send("garbage"))
        .enqueue(Reply::stream().event("x").drop_connection());
    for expected in [
        (String::new(), End::Fin),
        (String::new(), End::Reset),
        ("garbage".to_owned(), End::Fin),
    ] {
        let mut client = Client::connect(server.addr());
        assert_eq!(client.rest(), expected);
    }
    assert!(Client::get(&server).rest().0.contains("data: x"));
    assert_eq!(server.request_count(), 1);
    assert_eq!(server.accepted_connections(), 4);
}

#[test]
fn on_accept_as_otherwise_applies_to_every_connection() {
    let server = Server::start();
    server.otherwise(Reply::on_accept().drop_connection());
    for _ in 0..3 {
        assert_eq!(Client::get(&server).rest(), (String::new(), End::Fin));
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn on_accept_waits_for_the_next_request_on_a_reused_connection() {
    let server = Server::start();
    server
        .enqueue(Reply::status(200).send("a"))
        .enqueue(Reply::on_accept().reset());
    let mut client = Client::get(&server);
    client.read_until("\r\n\r\na");
    client.assert_silent();
    client.send("G");
    assert_eq!(client.rest(), (String::new(), End::Reset));
}

#[test]
fn gates_synchronize_the_script_and_the_test() {
    let server = Server::start();
    let (head, rest, sent) = (Gate::new(), Gate::new(), Gate::new());
    server.enqueue(
        Reply::stream()
            .head_after(&head)
            .event("a")
            .open(&sent)
            .wait_for(&rest)
            .event("b"),
    );
    let mut client = Client::get(&server);
    assert!(server.wait_for_requests(1, LIMIT));
    client.assert_silent();
    head.open();
    assert!(sent.wait(LIMIT));
    client.read_until("data: a\n\n\r\n");
    client.assert_silent();
    rest.open();
    client.read_until("data: b\n\n\r\n0\r\n\r\n");
}

#[test]
fn a_pause_lasts_for_its_time_and_keeps_received_data() {
    let server = Server::start();
    let time = Duration::from_millis(150);
    server.enqueue(Reply::stream().event("a").pause(time).event("b"));
    server.enqueue(Reply::stream().event("c").drop_connection());
    // The pause begins later than this.
    let start = std::time::Instant::now();
    let mut client = Client::get(&server);
    client.read_until("data: a\n\n\r\n");
    client.send("GET /next HTTP/1.1\r\n\r\n");
    client.read_until("data: b\n\n\r\n");
    assert!(start.elapsed() >= time, "{:?}", start.elapsed());
    client.read_until("data: c\n\n\r\n");
}

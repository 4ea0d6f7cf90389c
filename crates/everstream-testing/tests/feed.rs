//! Replies that stream from a feed.

use std::thread;

use everstream_testing::{Feed, Reply, Server};

use crate::common::{Client, End, LIMIT, unchunk};

fn feed_of(events: usize) -> Feed {
    let feed = Feed::new();
    for n in 1..=events {
        feed.push(format!("event {n}"));
    }
    feed
}

/// The events from `from` to `to` as they are on the wire.
fn events(from: usize, to: usize) -> String {
    (from..=to)
        .map(|n| format!("id: {n}\ndata: event {n}\n\n"))
        .collect()
}

#[test]
fn a_client_resumes_after_its_last_event_id() {
    let server = Server::start();
    let feed = feed_of(5);
    feed.close();
    server.otherwise(Reply::stream().resume(&feed).drop_connection());
    for (id, expected) in [
        ("", events(1, 5)),
        ("0", events(1, 5)),
        ("3", events(4, 5)),
        ("5", String::new()),
        ("6", events(1, 5)),
        ("nonsense", events(1, 5)),
    ] {
        let (answer, _) = Client::get_after(&server, id).rest();
        assert_eq!(unchunk(&answer).0, expected, "after {id:?}");
    }
}

#[test]
fn a_replay_ignores_the_last_event_id() {
    let server = Server::start();
    let feed = feed_of(3);
    feed.close();
    server.enqueue(Reply::stream().replay(&feed).drop_connection());
    let (answer, _) = Client::get_after(&server, "2").rest();
    assert_eq!(unchunk(&answer).0, events(1, 3));
}

#[test]
fn pushed_events_reach_all_waiting_clients() {
    let server = Server::start();
    let feed = feed_of(1);
    server.otherwise(Reply::stream().resume(&feed).end());
    let mut clients: Vec<Client> = (0..10).map(|_| Client::get(&server)).collect();
    for client in &mut clients {
        client.read_until("data: event 1\n\n\r\n");
    }
    feed.push_event("price", "42");
    for client in &mut clients {
        client.read_until("id: 2\nevent: price\ndata: 42\n\n\r\n");
    }
    feed.close();
    for client in &mut clients {
        client.read_until("0\r\n\r\n");
    }
}

#[test]
fn a_connection_can_be_cut_after_a_number_of_events() {
    let server = Server::start();
    let feed = feed_of(5);
    server.enqueue(Reply::stream().resume(feed.take(2)).drop_connection());
    let (answer, end) = Client::get_after(&server, "1").rest();
    assert_eq!(unchunk(&answer), (events(2, 3), false));
    assert_eq!(end, End::Fin);
}

#[test]
fn a_connection_can_be_cut_inside_an_event() {
    let server = Server::start();
    let feed = feed_of(5);
    server.enqueue(
        Reply::stream()
            .resume(feed.take(2).and_half())
            .drop_connection(),
    );
    let (body, complete) = unchunk(&Client::get(&server).rest().0);
    let half = body.strip_prefix(&events(1, 2)).unwrap();
    assert!(!half.is_empty() && events(3, 3).starts_with(half) && half.len() < events(3, 3).len());
    assert!(!complete);
}

#[test]
fn a_limit_includes_live_events() {
    let server = Server::start();
    let feed = feed_of(1);
    server.enqueue(Reply::stream().resume(feed.take(2)).drop_connection());
    let mut client = Client::get(&server);
    client.read_until("data: event 1\n\n\r\n");
    feed.push("event 2");
    feed.push("event 3");
    let (answer, _) = client.rest();
    assert!(
        answer.contains("event 2") && !answer.contains("event 3"),
        "{answer}"
    );
}

#[test]
fn a_second_step_continues_where_the_first_one_stopped() {
    let server = Server::start();
    let feed = feed_of(4);
    feed.close();
    let reply = Reply::stream()
        .resume(feed.take(2))
        .comment("between")
        .resume(&feed)
        .end();
    server.enqueue(reply.header("Connection", "close"));
    let expected = format!("{}: between\n\n{}", events(1, 2), events(3, 4));
    assert_eq!(unchunk(&Client::get(&server).rest().0), (expected, true));
}

#[test]
fn a_growing_feed_of_100_000_events_arrives_completely() {
    let server = Server::start();
    let feed = Feed::new();
    server.otherwise(Reply::stream().resume(&feed).drop_connection());
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::get(&server);
            thread::spawn(move || unchunk(&client.rest().0).0)
        })
        .collect();
    assert!(server.wait_for_requests(4, LIMIT));
    for n in 1..=100_000 {
        assert_eq!(feed.push(format!("event {n}")), n);
    }
    feed.close();
    let expected = events(1, 100_000);
    for reader in readers {
        assert!(reader.join().unwrap() == expected);
    }
}

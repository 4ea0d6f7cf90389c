//! Stopping, restarting and dropping a server.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;

use everstream_testing::{Feed, Gate, Reply, Server};
use socket2::{Domain, Socket, Type};

use crate::common::{Client, End, LIMIT};

#[test]
fn a_stopped_server_refuses_connections_and_a_restarted_one_continues_its_script() {
    let server = Server::start();
    server
        .enqueue(Reply::stream().event("before").stall())
        .enqueue(Reply::stream().event("after").drop_connection());
    let mut client = Client::get(&server);
    client.read_until("data: before\n\n\r\n");

    server.stop();
    assert_eq!(client.rest(), (String::new(), End::Fin));
    let refused = TcpStream::connect(server.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(server.wait_for_open_connections(0, LIMIT));

    server.restart().unwrap();
    assert!(Client::get(&server).rest().0.contains("data: after"));
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_server_can_restart_often_while_clients_stay_connected() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::get(&server);
        client.read_until("data: x\n\n\r\n");
        clients.push(client);
        server.restart().unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.rest().1, End::Fin);
    }
}

#[test]
fn the_port_of_a_stopped_server_stays_reserved() {
    let server = Server::start();
    server.stop();
    // Without SO_REUSEADDR, like the operating system's choice of a client port. Otherwise the system
    // could give a client the very port that it connects to, and connect it to itself.
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let error = other.bind(&server.addr().into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    server.restart().unwrap();
}

#[test]
fn dropping_a_server_ends_all_replies() {
    let (gate, feed) = (Gate::new(), Feed::new());
    let server = Server::start();
    server
        .enqueue(Reply::stream().stall())
        .enqueue(Reply::stream().wait_for(&gate))
        .enqueue(Reply::stream().resume(&feed))
        .enqueue(Reply::stream().pause(LIMIT * 100))
        .enqueue(Reply::stream().send_forever("x".repeat(1000)));
    let mut clients: Vec<Client> = (0..5).map(|_| Client::get(&server)).collect();
    clients.push(Client::connect(server.addr()));
    assert!(server.wait_for_requests(5, LIMIT));
    assert!(server.wait_for_connections(6, LIMIT));
    drop(server);
    for client in &mut clients {
        client.rest();
    }
}

#[test]
fn all_connections_can_be_dropped_or_reset_while_listening() {
    let server = Server::start();
    let feed = Feed::new();
    server.otherwise(Reply::stream().comment("hi").resume(&feed));
    for end in [End::Fin, End::Reset] {
        let mut client = Client::get(&server);
        client.read_until(": hi\n\n\r\n");
        match end {
            End::Fin => server.drop_connections(),
            End::Reset => server.reset_connections(),
        }
        assert_eq!(client.rest(), (String::new(), end));
        assert!(server.wait_for_open_connections(0, LIMIT));
    }
}

#[test]
fn a_thousand_streams_are_served_concurrently() {
    const STREAMS: usize = 1000;
    let server = Server::start();
    let feed = Feed::new();
    server.otherwise(Reply::stream().resume(feed.take(1)).drop_connection());
    let mut clients: Vec<Client> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..STREAMS / 4)
                        .map(|_| Client::get(&server))
                        .collect::<Vec<Client>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(server.wait_for_requests(STREAMS, LIMIT));
    assert_eq!(server.open_connections(), STREAMS);
    feed.push("x");
    for client in &mut clients {
        assert!(client.rest().0.contains("data: x"));
    }
    drop(clients);
    assert!(server.wait_for_open_connections(0, LIMIT));
}

//! A scriptable Server-Sent Events server on loopback, for tests of clients.
//!
//! Real sockets and byte-exact responses: a test scripts what the server sends to each request, piece by
//! piece, and how it fails: a connection dropped in the middle of an event, a reset, a stall, an error
//! status, a redirect, a restart. Afterwards the test reads the recorded requests. The server uses only
//! threads and `std`, so it works in blocking and async tests.
//!
//! ```
//! use everstream_testing::{Reply, Server};
//! use std::time::Duration;
//! # use std::io::{Read, Write};
//! # // Stands in for the client under test: one request, read to its end.
//! # fn get(server: &Server, last_event_id: &str) -> String {
//! #     let mut client = std::net::TcpStream::connect(server.addr()).unwrap();
//! #     write!(client, "GET / HTTP/1.1\r\nLast-Event-ID: {last_event_id}\r\n\r\n").unwrap();
//! #     let mut answer = String::new();
//! #     client.read_to_string(&mut answer).unwrap();
//! #     answer
//! # }
//!
//! let server = Server::start();
//! server
//!     .enqueue(Reply::stream().event_with_id("1", "hello").send("data: par").drop_connection())
//!     .enqueue(Reply::status(503).header("Retry-After", "1").header("Connection", "close"))
//!     .enqueue(Reply::stream().event_with_id("2", "world").drop_connection());
//!
//! // Here the client under test follows server.url("/").
//! # assert!(get(&server, "").contains("data: par"));
//! # assert!(get(&server, "1").starts_with("HTTP/1.1 503"));
//! # assert!(get(&server, "1").contains("world"));
//!
//! assert!(server.wait_for_requests(3, Duration::from_secs(10)));
//! assert_eq!(server.requests()[2].header("Last-Event-ID"), Some("1"));
//! assert!(server.wait_for_open_connections(0, Duration::from_secs(10)));
//! ```
//!
//! # The parts
//!
//! - [`Server`]: starts, stops and restarts; has the queue of replies; records requests and connections.
//! - [`Reply`]: the script of one response: head, framing, steps, ending, cuts.
//! - [`Feed`]: a growing log of events. Replies stream from it, each starting where its client stopped.
//! - [`Gate`]: lets a test and a script wait for each other without sleeping.
//! - [`Request`]: what the client sent.
//!
//! # Limitations
//!
//! No TLS, no HTTP/2, no built-in compression (send compressed bytes with a `Content-Encoding` header).
//! Not for production: the server uses one thread per connection, and doesn't limit what a script does.
//!
//! # Source files
//!
//! `server.rs`, `reply.rs`, `feed.rs`, `gate.rs` and `request.rs` have the types above. `listener.rs` and
//! `connection.rs` serve connections, `parse.rs` reads requests, `response.rs`, `steps.rs` and `ending.rs`
//! run a script, and `wire.rs` writes events.

/// The example of the README runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod connection;
mod ending;
mod feed;
mod gate;
mod listener;
mod parse;
mod reply;
mod request;
mod response;
mod server;
mod shared;
mod steps;
mod sync;
mod wire;

pub use feed::{Feed, Portion};
pub use gate::Gate;
pub use reply::Reply;
pub use request::Request;
pub use server::Server;

//! Tests of the test server. They use plain sockets, because a real client would hide what is on the
//! wire.
//!
//! The modules:
//!
//! - `endings`: how connections end, and whether the server notices that the client has disconnected
//! - `feed`: replies that stream from a feed, and how they resume
//! - `framing`: the bytes of a reply on the wire
//! - `lifecycle`: stopping, restarting and dropping a server
//! - `requests`: the requests it records, and those it rejects
//!
//! Shared: `common`, a client that is only a socket.

#![allow(clippy::unwrap_used, clippy::panic)] // a failing helper fails its test

mod common;

mod endings;
mod feed;
mod framing;
mod lifecycle;
mod requests;

//! Tests of the test server. They speak to it through plain sockets, because a real client would hide
//! what is on the wire.
//!
//! What each module tests:
//!
//! - `endings`: how a connection ends, and that the server sees the client close it
//! - `feed`: replies that stream from a feed, and how they resume
//! - `framing`: the bytes of a reply on the wire
//! - `lifecycle`: stopping, restarting and dropping a server
//! - `requests`: the requests it records, and those it refuses
//!
//! They share `common`, a client that is only a socket.

#![allow(clippy::unwrap_used, clippy::panic)] // a helper that fails fails its test

mod common;

mod endings;
mod feed;
mod framing;
mod lifecycle;
mod requests;

//! HTTP for event streams, without I/O: bytes and facts in, decisions out.
//!
//! | module | what it does |
//! |---|---|
//! | [`exchange`] | the state machine of one attempt: a request, its redirects, the response |
//! | [`http1`] | HTTP/1.1: writes requests, reads heads, decodes bodies in place |
//! | [`policy`] | the rules, as pure functions: redirects, credentials, what counts as a stream |
//! | [`SocketFailure`] | why a connection or a request failed, in plain words |
//!
//! Nothing here opens a socket, reads a clock or starts a thread: the caller moves the bytes and passes
//! in the time. Methods, header names and values are types of the crate `http`, and URLs of the crate
//! `url`.
//!
//! ```
//! use everstream_http::http1::{Body, ResponseReader};
//! use everstream_http::policy::{Verdict, judge};
//!
//! let mut response = ResponseReader::default();
//! response.receive(Ok(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"));
//! response.receive(Ok(b"data: hello\n\n")); // as they arrive, from your socket
//! let head = response.head()?.expect("the head is complete");
//! assert_eq!(judge(head.status.as_u16(), &head.headers, &[], false), Verdict::Stream(None));
//! assert_eq!(response.body()?, Body::Bytes(b"data: hello\n\n".to_vec()));
//! # Ok::<(), everstream_http::Failure>(())
//! ```
//!
//! For a complete attempt, see [`Exchange::handle_response`](exchange::Exchange::handle_response). For a
//! complete client over `std` sockets, see `examples/src/bin/std-sockets.rs` in the repository.
//!
//! # Source files
//!
//! `exchange.rs` has the numbered rules of an attempt at its top; `exchange/` has its requests, settings,
//! outputs, cookies and shortcuts for plain sockets. `http1/` writes requests (`request.rs`) and reads
//! heads (`head.rs`), bodies (`body.rs`) and responses; its `mod.rs` has the limits. `policy/` has one
//! file for each rule. `tests/differential.rs` compares random responses with hyper's client.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod exchange;
mod failure;
pub mod http1;
pub mod policy;

pub use everstream_core::{Failure, FailureKind};
pub use failure::{SocketFailure, message_with_cause};

/// The example of the README runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

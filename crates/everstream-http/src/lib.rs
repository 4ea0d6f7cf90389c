//! The HTTP of an event stream, without I/O: bytes and facts in, decisions out.
//!
//! | module | what it does |
//! |---|---|
//! | [`exchange`] | the state machine of one attempt: a request, the redirects it takes, the response |
//! | [`http1`] | HTTP/1.1: writes requests, reads heads, decodes bodies in place |
//! | [`policy`] | the rules, as pure functions: redirects, credentials, what counts as a stream |
//! | [`SocketFailure`] | why a connection or a request failed, in words for people |
//!
//! Nothing here opens a socket, reads a clock or starts a thread: the caller moves the bytes and
//! passes the time. Methods, header names and values are those of the crate `http`, and URLs those of
//! `url`.
//!
//! ```
//! use everstream_http::http1::{Body, ResponseReader};
//! use everstream_http::policy::{Verdict, judge};
//!
//! let mut response = ResponseReader::default();
//! response.receive(Ok(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"));
//! response.receive(Ok(b"data: hello\n\n")); // as they arrive, from your socket
//! let head = response.head()?.expect("it is whole");
//! assert_eq!(judge(head.status.as_u16(), &head.headers, &[], false), Verdict::Stream(None));
//! assert_eq!(response.body()?, Body::Bytes(b"data: hello\n\n".to_vec()));
//! # Ok::<(), everstream_http::Failure>(())
//! ```
//!
//! A whole attempt is on the page of [`Exchange::handle_response`](exchange::Exchange::handle_response).
//! The repository has a whole client over the sockets of `std`: `examples/src/bin/std-sockets.rs`.

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

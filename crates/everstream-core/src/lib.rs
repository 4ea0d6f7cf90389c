//! Server-Sent Events without I/O: no socket, no clock, no thread, no async runtime.
//!
//! This is the engine of the `everstream` crate. Use it directly to write your own client, or to
//! decode or encode a stream.
//!
//! | to | use |
//! |---|---|
//! | turn bytes into events | [`Decoder`] |
//! | write events | [`Encoder`] |
//! | follow a stream over reconnects | [`Session`] |
//! | decide whether and when to reconnect | [`error_strategy`], [`retry_delay`] |
//!
//! The crate implements the [WHATWG HTML standard, section 9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html).
//! It needs `alloc`, not `std`, and also runs in browsers (`wasm32-unknown-unknown`). For a complete client
//! over `std` sockets, see `examples/src/bin/std-sockets.rs` in the repository.
//!
//! ```
//! use everstream_core::{Decoder, ItemRef};
//!
//! let mut decoder = Decoder::new();
//! let mut input: &[u8] = b"event: greeting\ndata: hello\n\n: a comment\n";
//! while let Some(item) = decoder.decode(&mut input)? {
//!     match item {
//!         ItemRef::Event(event) => assert_eq!((event.event(), event.data()), ("greeting", "hello")),
//!         ItemRef::Comment(text) => assert_eq!(text, " a comment"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), everstream_core::TooLarge>(())
//! ```
//!
//! # How the parts fit together
//!
//! Your client owns the connection and the clock, and asks a [`Session`] what to do next: connect, read,
//! wait, or deliver something to the user. The session contains a decoder. Use a [`Decoder`] on its own
//! if you don't need to reconnect. The documentation of [`Session`] drives one step by step; `everstream`
//! is a complete client built on it.
//!
//! [`Encoder`] writes a stream that every client parses back to the same events, and rejects values that
//! the format can't represent:
//!
//! ```
//! use everstream_core::{Encoder, Event};
//!
//! let mut encoder = Encoder::new();
//! encoder.event(&Event::new("greeting", "two\nlines", Some("7")))?;
//! assert_eq!(encoder.as_str(), "event: greeting\nid: 7\ndata: two\ndata: lines\n\n");
//! assert!(encoder.event(&Event::new("line\nend", "", None)).is_err());
//! # Ok::<(), everstream_core::EncodeError>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | SIMD instructions chosen at run time |
//! | `serde` | no | `Serialize` and `Deserialize` for [`Event`] |
//! | `json` | no | [`Event::json`](Event#method.json) |
//!
//! # Source files
//!
//! | file | subject |
//! |---|---|
//! | `line.rs`, `utf8.rs` | line ends and lossy UTF-8 over chunk edges |
//! | `decoder.rs`, `decoder/` | bytes to items: events that lie whole in a chunk, line by line, cut lines |
//! | `block.rs`, `field.rs` | the lines up to a blank one; the field of a line |
//! | `item.rs`, `event.rs`, `encoder.rs` | what a decoder returns; events; events to lines |
//! | `session.rs`, `config.rs` | the state machine of a stream over its connections; its settings |
//! | `schedule.rs`, `repetition.rs` | when the next connection is due; whether a request is sent again |
//! | `output.rs`, `action.rs`, `fault.rs` | what the driver does next; what the user gets; why a connection ended |
//! | `strategy/` | whether to reconnect, how long to wait |
//! | `headers.rs`, `url.rs`, `time.rs`, `json.rs` | headers without an HTTP library; URLs without secrets; time as an argument; JSON data |

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

/// The example of the README runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod action;
mod block;
mod config;
mod decoder;
mod encoder;
mod event;
mod event_id;
mod failure;
mod fault;
mod field;
mod headers;
mod item;
#[cfg(feature = "json")]
mod json;
mod line;
mod output;
mod repetition;
mod schedule;
mod session;
mod strategy;
mod time;
mod url;
mod utf8;

pub use action::{Action, End, Start};
pub use config::SessionConfig;
pub use decoder::{DEFAULT_MAX_EVENT_SIZE, Decoder};
pub use encoder::{EncodeError, Encoder};
pub use event::{Event, EventRef};
pub use event_id::is_sendable_id;
pub use failure::{Failure, FailureKind};
pub use fault::{BoxError, ErrorResponse, Fault, RedirectProblem};
pub use headers::{HeaderValues, Headers, HeadersIter};
pub use item::{Item, ItemRef, Oversize, TooLarge};
#[cfg(feature = "json")]
pub use json::JsonError;
pub use output::{Ending, Output};
pub use session::Session;
pub use strategy::delay as retry_delay;
pub use strategy::error as error_strategy;
pub use time::Timestamp;
pub use url::RedactedUrl;

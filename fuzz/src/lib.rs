//! The fuzz targets. They panic if a rule is violated.
//!
//! | target | an input is | what must hold |
//! |---|---|---|
//! | [`decoder`] | a stream, a limit | the items are those of the standard's algorithm; memory is bounded |
//! | [`chunking`] | a stream, where it is cut | the items are those of the uncut stream, borrowed and owned |
//! | [`encoder`] | events, ids, comments, retries | they decode to the same items and to nothing else |
//! | [`session`] | calls of a session | the model of the simulation holds |
//! | [`http_head`] | the head of a response, where it is cut | cuts make no difference; a complete head is the same as httparse's |
//! | [`http_body`] | a body, its framing, where it is cut | cuts make no difference; the body is the same as a minimal decoder's; nothing is allocated |
//! | [`http_exchange`] | calls of an attempt | at most one fault, a limited number of redirects, no credentials leave their origin |
//! | [`http_response`] | a response | the client ends, with the body's items and no others; memory is bounded |
//!
//! `cargo xtask fuzz` searches for inputs that violate the rules. A test of this package replays
//! `corpus/`, `crashes/` and `seeds/`, which are written by hand, without a fuzzer.
//!
//! To update a corpus, run `cargo fuzz cmin` on `target/fuzz/corpus/TARGET` and keep at most 300 inputs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target fails by panicking"
)]

mod chunking;
mod decoder;
mod encoder;
mod http_body;
mod http_exchange;
mod http_head;
mod http_response;
mod limits;
mod session;

// The reference interpreter of the decoder's tests.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../crates/everstream-core/tests/support/mod.rs"]
mod support;

pub use chunking::chunking;
pub use decoder::decoder;
pub use encoder::encoder;
pub use http_body::http_body;
pub use http_exchange::http_exchange;
pub use http_head::http_head;
pub use http_response::http_response;
pub use session::session;

/// The targets by name.
///
/// ```
/// for (name, run) in everstream_fuzz::TARGETS {
///     println!("{name}");
///     run(b"data: hello\n\n");
/// }
/// ```
#[allow(clippy::type_complexity, reason = "used once")]
pub const TARGETS: [(&str, fn(&[u8])); 8] = [
    ("decoder", decoder),
    ("chunking", chunking),
    ("encoder", encoder),
    ("session", session),
    ("http_head", http_head),
    ("http_body", http_body),
    ("http_exchange", http_exchange),
    ("http_response", http_response),
];

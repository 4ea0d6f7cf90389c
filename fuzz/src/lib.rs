//! What the fuzz targets do with an input. They panic when a rule is broken.
//!
//! | target | an input is | what must hold |
//! |---|---|---|
//! | [`decoder`] | a stream, a limit | the items are those of the standard's algorithm; memory is bounded |
//! | [`chunking`] | a stream, where it is cut | the items are those of the whole stream, lent and owned |
//! | [`encoder`] | events, ids, comments, retries | they come back from the decoder, and nothing else does |
//! | [`session`] | what happens to a session | the model of the simulation holds |
//! | [`http_head`] | the head of a response, how it is cut | cuts make no difference; a whole head is httparse's |
//! | [`http_body`] | a body, its framing, how it is cut | cuts make no difference; the body is a simple decoder's; nothing is allocated |
//! | [`http_exchange`] | what happens to an attempt | one fault at most, few redirects, no credential leaves its origin |
//! | [`http_response`] | a response | the client ends, with the body's items and no others; memory is bounded |
//!
//! `cargo xtask fuzz` looks for inputs that break them. A test of this package replays the seeds,
//! `corpus/` and `crashes/` without a fuzzer.
//!
//! A corpus is chosen from what runs have found: `cargo fuzz cmin` on `target/fuzz/corpus/TARGET`,
//! and at most 300 of that. `cargo run -p everstream-fuzz --example seeds` begins a new one.

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
mod seeds;
mod session;

// The interpreter that the tests of the decoder hold it against.
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
pub use seeds::seeds;
pub use session::session;

/// The targets by name.
///
/// ```
/// for (name, run) in everstream_fuzz::TARGETS {
///     println!("{name}");
///     run(b"data: hello\n\n");
/// }
/// ```
#[allow(clippy::type_complexity, reason = "it is said once")]
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

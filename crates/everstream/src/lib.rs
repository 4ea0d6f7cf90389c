//! A Server-Sent Events client that doesn't lose events.
//!
//! It parses exactly as the WHATWG standard says, reconnects with backoff, resumes after the last
//! event id, and reports what happened.
//!
//! ```
//! use everstream::SseClient;
//! # use everstream_testing::{Reply, Server};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), everstream::Error> {
//! # let server = Server::start();
//! # server.otherwise(Reply::stream().event("hello").stall());
//! # let url = server.url("/");
//!
//! let mut client = SseClient::new(&url)?;
//! while let Some(event) = client.next_event().await {
//!     println!("{}", event?.data());
//! #   break;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Without async, take [`blocking::SseClient`]. Both have the same settings, in [`Builder`].
//!
//! | you want to | take |
//! |---|---|
//! | set headers, a method, a body, TLS, a proxy | [`Http`] |
//! | send a fresh token with every attempt | [`Http::before_attempt`] |
//! | decide which faults are final | [`error_strategy`] |
//! | decide how long to wait | [`retry_delay`] |
//! | see starts, faults and comments too | [`SseClient::all`] |
//! | return a stream of events, or move it into a task | [`SseClient::into_events`] |
//! | stop from another task or thread | [`Handle`] |
//! | resume in another process | [`Event::last_event_id`], [`Builder::last_event_id`] |
//! | end a one-shot stream at its last event | [`Builder::until`] |
//! | read from something other than HTTP | [`connect_fn`], [`ConnectStrategy`] |
//! | parse or write streams without a client | [`Decoder`], [`Encoder`] |
//!
//! The pages of the [`guide`] go by task: reconnecting, errors, stopping, LLM streams, many streams,
//! proxies, custom sources, testing, migrating from other clients.
//!
//! For `wasm32-unknown-unknown` the async client uses the browser's `fetch`: see [`guide::browser`].
//!
//! # Errors
//!
//! An iteration yields an `Err` only when the error strategy gives up. Dropped connections are
//! retried for you; [`SseClient::all`] reports them with an [`Action::Fault`]. By default the
//! strategy gives up on errors that retrying can't fix, such as 204, every status that isn't 2xx
//! and a wrong content type: see [`error_strategy::reconnect`].
//!
//! Some examples import items from the crate `everstream_core`; `everstream` exports all of them
//! too.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `rustls` | yes | TLS by rustls with [ring](#tls-providers) and the system's trust store |
//! | `rustls-no-provider` | no | the same without ring: your program installs a provider |
//! | `native-tls` | no | TLS by the system's library, where there is no rustls |
//! | `http` | yes | HTTP; every feature of HTTP brings it |
//! | `http2` | yes | HTTP/2 |
//! | `system-proxy` | yes | proxies from the environment and the system |
//! | `socks` | no | SOCKS proxies |
//! | `gzip` | yes | responses compressed with gzip or deflate |
//! | `brotli`, `zstd` | no | responses compressed with these |
//! | `cookies` | no | cookies, kept in memory: [`Http::cookies`] |
//! | `reqwest` | no | requests over your own `reqwest::Client`: [`Http::client`] |
//! | `json` | no | [`Event::json`](Event#method.json), [`Http::json`] |
//! | `serde` | no | `Serialize` and `Deserialize` for [`Event`] |
//! | `tracing` | no | logs: connections at `info`, faults and retries at `warn`, reads at `trace` |
//!
//! Without default features there are the engine, the strategies and both clients over custom
//! sources. The page of an item that needs a feature says so.
//!
//! # TLS providers
//!
//! rustls leaves cryptography to a provider. Everstream uses the one that your program has installed
//! with `CryptoProvider::install_default`. With the feature `rustls`, it uses ring if there is none.
//!
//! ring compiles quickly. It lacks the post-quantum key exchange X25519MLKEM768, and ECDSA with P-521
//! and ML-DSA in certificates. If you need these, install aws-lc-rs before you build the first client,
//! and choose `rustls-no-provider` so that ring isn't compiled.
//!
//! If other crates enable aws-lc-rs in rustls while Everstream enables ring, rustls can't choose a
//! default: `ClientConfig::builder()`, called by your code or another crate, then panics. Install
//! either provider first. Everstream itself isn't affected.
//!
//! # Source files
//!
//! | file | subject |
//! |---|---|
//! | `client.rs`, `blocking.rs` | the async and the blocking client |
//! | `builder.rs`, `handle.rs`, `error.rs` | the settings of both; control from elsewhere; why an iteration failed |
//! | `driver.rs`, `driver/`, `timer.rs`, `trace.rs` | does what the session says; its waits; the log |
//! | `clock/`, `random.rs` | what the engine needs of the platform: time and randomness |
//! | `guide.rs` | the pages of `guides/`, for rustdoc |
//! | `connect/mod.rs`, `connect/custom.rs` | where bytes come from: the traits; custom sources |
//! | `connect/http.rs` and the files of its settings | [`Http`]: request, transport, the hook before each attempt |
//! | `connect/client.rs`, `connect/connections.rs` | one attempt; opening and sharing connections |
//! | `connect/http1.rs`, `connect/http2.rs`, `connect/reqwest.rs` | a request and its response over each of these |
//! | `connect/buffer.rs`, `connect/decode.rs` | pooled read buffers; content codings |
//! | `connect/browser/` | the same in the browser: `fetch` instead of all of these |
//! | `connect/net/` | look-ups, TCP, proxies, tunnels, SOCKS, TLS |
//! | `connect/probe.rs` | responses as they arrived, for `everstream check`; not part of the API |

#![cfg_attr(docsrs, feature(doc_cfg))]
// In the browser's edition, names of what exists only elsewhere aren't links.
#![cfg_attr(target_family = "wasm", allow(rustdoc::broken_intra_doc_links))]

/// The examples of the README are compiled with the tests.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(all(any(doc, doctest), feature = "http", feature = "json"))]
pub mod guide;

#[cfg(not(target_family = "wasm"))]
pub mod blocking;
mod builder;
mod client;
mod clock;
mod connect;
mod driver;
mod error;
mod handle;
mod random;
mod timer;
mod trace;

pub use builder::Builder;
pub use client::{All, Events, IntoActions, IntoEvents, SseClient};
#[cfg(all(feature = "http", target_family = "wasm"))]
pub use connect::Credentials;
#[cfg(all(feature = "http", not(target_family = "wasm")))]
pub use connect::{AddressFamily, HttpVersion, Redirect};
#[cfg(feature = "http")]
pub use connect::{Attempt, Http, Response, parse_retry_after};
pub use connect::{
    ClientContext, ConnectFn, ConnectFuture, ConnectRequest, ConnectStrategy, Connection,
    ConnectionClient, IntoConnectStrategy, connect_fn,
};
pub use error::Error;
#[cfg(feature = "json")]
pub use everstream_core::JsonError;
pub use everstream_core::{
    Action, BoxError, DEFAULT_MAX_EVENT_SIZE, Decoder, EncodeError, Encoder, End, Ending,
    ErrorResponse, Event, EventRef, Failure, FailureKind, Fault, HeaderValues, Headers,
    HeadersIter, Item, ItemRef, Output, Oversize, RedactedUrl, RedirectProblem, Session,
    SessionConfig, Start, Timestamp, TooLarge, error_strategy, retry_delay,
};
#[cfg(all(feature = "http", not(target_family = "wasm")))]
pub use everstream_http::policy::HeaderScope;
pub use handle::Handle;
#[doc(hidden)]
pub use trace::LogLevel;

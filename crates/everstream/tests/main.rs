//! Tests of both clients, in one program so that they are linked once.
//!
//! `features`, `hostile_memory`, `idle_memory` and `leaks` are separate programs, because each measures or
//! changes its process.
//!
//! What each module tests:
//!
//! - `conformance`: the core's conformance cases, through a real socket and both clients
//! - `examples`: the output of the programs in `examples/`
//! - `hostile`: hostile and broken servers, by class
//! - `lifetime`: clients that are moved, dropped, cancelled, or used where they can't work
//! - `polling`: the async client's poll functions
//! - `scenarios`: what a client does over HTTP: requests, reconnecting, resuming, delays, timeouts,
//!   redirects, credentials, cookies
//! - `sources`: custom sources of bytes
//! - `stopping`: interrupt and close from another thread, in every phase of a connection
//! - `storms`: how often clients connect to a server that keeps failing
//! - `transport`: TLS, HTTP/2, proxies, compression and logging
//! - `virtual_time`: the async client's waits, on a paused clock
//!
//! `support` puts both clients behind one trait, so that each scenario is written once and runs with both.
//!
//! A module without a `cfg` needs no feature: `cargo test --no-default-features` runs it too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

#[cfg(feature = "http")]
mod conformance;
#[cfg(feature = "http")]
mod examples;
#[cfg(feature = "http")]
mod hostile;
#[cfg(feature = "http")]
mod lifetime;
#[cfg(feature = "http")]
mod polling;
#[cfg(feature = "http")]
mod scenarios;
mod sources;
#[cfg(feature = "http")]
mod stopping;
#[cfg(feature = "http")]
mod storms;
#[cfg(all(
    feature = "rustls",
    feature = "http2",
    feature = "system-proxy",
    feature = "gzip"
))]
mod transport;
mod virtual_time;

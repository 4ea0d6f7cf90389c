//! What is between a client and its server, over real sockets: TLS, HTTP/2, proxies, compression.
//!
//! Every test runs in both clients, unless it says which one it is about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(all(
    feature = "rustls",
    feature = "http2",
    feature = "system-proxy",
    feature = "gzip",
    feature = "brotli",
    feature = "zstd"
))]

mod certs;
mod client;
mod compression;
mod compression_faults;
mod connecting;
mod h2_server;
mod http2;
mod logging;
mod proxy;
mod proxy_server;
mod reaching;
#[cfg(feature = "json")]
mod readme;
#[path = "../support/reqwest_client.rs"]
mod reqwest_client;
mod secrets;
mod tls;
mod tls_server;

use std::time::Duration;

/// After this long a test has failed.
const LIMIT: Duration = Duration::from_secs(20);

//! What is between a client and its server, over real sockets: TLS, HTTP/2, proxies, compression.
//!
//! Every test runs in both clients, unless it says which one it is about.

mod cancelling;
mod certs;
mod client;
mod closing;
#[cfg(all(feature = "brotli", feature = "zstd"))]
mod compression;
#[cfg(all(feature = "brotli", feature = "zstd"))]
mod compression_faults;
mod connecting;
#[cfg(feature = "cookies")]
mod cookies;
mod h2_server;
mod http2;
mod http2_ends;
mod http2_requests;
mod http2_sharing;
mod http2_unsafe;
#[cfg(feature = "tracing")]
mod logging;
#[cfg(feature = "reqwest")]
mod own_client;
mod proxy;
mod proxy_server;
#[path = "../support/raw_h2.rs"]
mod raw_h2;
mod reaching;
mod responses;
mod secrets;
mod tls;
mod tls_ends;
mod tls_server;

use std::time::Duration;

/// After this long a test has failed.
const LIMIT: Duration = Duration::from_secs(20);

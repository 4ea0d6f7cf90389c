//! Everything between a client and its server, over real sockets: TLS, HTTP/2, proxies, compression.
//!
//! Every test runs with both clients, unless it says otherwise.

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
#[cfg(feature = "reqwest")]
mod custom_client;
mod h2_server;
mod http2;
mod http2_ends;
mod http2_requests;
mod http2_sharing;
mod http2_unsafe;
#[cfg(feature = "tracing")]
mod logging;
mod proxy;
mod proxy_server;
#[path = "../support/raw_h2.rs"]
mod raw_h2;
mod reaching;
mod responses;
mod runtimes;
mod secrets;
mod tls;
mod tls_ends;
mod tls_server;

use std::time::Duration;

/// A test that takes this long fails.
const LIMIT: Duration = Duration::from_secs(60);

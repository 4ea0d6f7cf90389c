//! From a Server-Sent Events feed into a log: each event once, in order, with a standby.
//!
//! Every append states where its writer believes that the log ends. The [`Sink`] compares, and stores the
//! records and the new end in one step. Of two writers, one loses the comparison and becomes the standby:
//! no lease and no clock decides.
//!
//! - [`Relay`] follows a feed over HTTP and runs a sink, on tokio. [`Monitor`] watches it, [`Stopper`] stops it.
//! - [`Machine`] decides, without I/O. Its rules are at the top of its file.
//! - [`Sink`] is a log; [`MemorySink`] is one for tests.
//!
//! # Source files
//!
//! | file | subject |
//! |---|---|
//! | `machine/` | the relay without I/O; `mod.rs` has the numbered rules and every transition |
//! | `relay.rs` | the driver: a client, a sink and a clock |
//! | `sink.rs`, `record.rs`, `batch.rs` | the trait and its guarantees; records and tails; checks before a batch is sent |
//! | `postgres/`, `redis/`, `memory.rs` | the sinks: one statement or script per append; one in memory |
//! | `sink_url.rs`, `tls.rs` | the URL that names a log; TLS to an engine |
//! | `sink_tests/` | tests for any sink |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod batch;
#[doc = include_str!("../guides/consumers.md")]
pub mod consumers {}
mod machine;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod relay;
mod sink;
#[cfg(feature = "sink-tests")]
#[cfg_attr(docsrs, doc(cfg(feature = "sink-tests")))]
pub mod sink_tests;
mod sink_url;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;

pub use machine::{
    APPEND_BOUNDS, Command, Config, DEAD_LETTER, End, Failure, Machine, Notice, Output, Role,
    Snapshot,
};
pub use memory::MemorySink;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::PostgresSink;
pub use record::{Record, Tail};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::RedisSink;
pub use relay::{Error, Monitor, Relay, Stopper};
pub use sink::{AppendError, Held, Sink, SinkError};
pub use sink_url::{SinkUrl, UrlError};

/// The example of the README runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

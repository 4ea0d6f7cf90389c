//! From a Server-Sent Events feed into a log: each event once, in order, with a standby.
//!
//! Every append states where its writer believes that the log ends. The [`Sink`] compares, and stores the
//! records and the new end in one step. Of two writers, one loses the comparison and becomes the standby:
//! no lease and no clock decides.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod batch;
#[doc = include_str!("../guides/consumers.md")]
pub mod consumers {}
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod sink;
#[cfg(feature = "sink-tests")]
#[cfg_attr(docsrs, doc(cfg(feature = "sink-tests")))]
pub mod sink_tests;
mod sink_url;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::PostgresSink;
pub use record::{Record, Tail};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::RedisSink;
pub use sink::{AppendError, Held, Sink, SinkError};
pub use sink_url::{SinkUrl, UrlError};

//! Starts real engines for tests: PostgreSQL, Redis and NATS, each for itself.
//!
//! An engine has its data in a temporary folder, and listens where nobody else does: on a Unix socket there,
//! or on a free port of loopback. It ends with its fixture, also if the test panics. Then its log is kept,
//! and its path printed.
//!
//! Every engine can be killed, restarted, stopped and continued ([`Engine`]). If its program isn't
//! installed, starting it panics and names the package of Debian.
//!
//! `process.rs` starts and kills programs, `proxy.rs` delays bytes on their way to them, and `postgres.rs`,
//! `redis.rs` and `nats.rs` know each engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test
#![cfg(unix)]

mod certificates;
mod nats;
mod postgres;
mod process;
mod proxy;
mod redis;

pub use certificates::Certificates;
pub use nats::Nats;
pub use postgres::Postgres;
pub use process::{Engine, free_port};
pub use proxy::{Proxy, Target};
pub use redis::Redis;

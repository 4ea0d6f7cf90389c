//! The relay, and the sinks with the engines themselves.
//!
//! - `simulation/`: random operations and faults over several relays, one engine and one feed
//! - `empty_log`: what starts an empty log
//! - `machine`: the rules of the machine, one by one
//! - `relay`: whole relays over HTTP
//! - `memory`: the tests for sinks find what a broken sink does
//! - `postgres`, `redis`: the sinks
//! - `engine_faults`: engines that are killed, stopped, and late
//! - `urls`: which URLs name a log
//! - `consumers`: the statements in the page for consumers

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod consumers;
mod empty_log;
#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod engine_faults;
mod machine;
#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod memory;
#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod postgres;
#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod redis;
mod relay;
mod simulation;
#[cfg(all(unix, feature = "postgres", feature = "redis", feature = "sink-tests"))]
mod urls;

//! The sinks, with the engines themselves; and the tests that are for every sink.
//!
//! - `memory`: the tests for sinks find what a broken sink does
//! - `postgres`, `redis`: the sinks
//! - `engine_faults`: engines that are killed, stopped, and late
//! - `urls`: which URLs name a log
//! - `consumers`: the statements in the page for consumers

mod consumers;
mod engine_faults;
mod memory;
mod postgres;
mod redis;
mod urls;

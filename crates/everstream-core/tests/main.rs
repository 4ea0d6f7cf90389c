//! Tests of the core. None of them needs a socket or a clock.
//!
//! The modules:
//!
//! - `spec`: the conformance cases of `spec/cases.txt`, cut into chunks in every way
//! - `random`: the decoder against a reference interpreter, on random streams
//! - `model`: the decoder with limits, against a model that takes one byte at a time
//! - `unfinished`: unfinished events and streams without fields, against a model
//! - `limits`: size limits, memory and the sizes of types
//! - `encoder`: what the encoder writes and what it rejects
//! - `serialized`: events as JSON (feature `serde`)
//! - `strategies`: the presets for errors and retry delays
//! - `session`: the session, rule by rule, in virtual time
//! - `simulation`: random scripts for a session, checked against a model
//!
//! Shared: `support` (decoder output in comparable form; the reference interpreter) and `numbers`
//! (reproducible random numbers).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "support/numbers.rs"]
mod numbers;
mod support;

mod encoder;
mod limits;
mod model;
mod random;
#[cfg(feature = "serde")]
mod serialized;
mod session;
mod simulation;
mod spec;
mod strategies;
mod unfinished;

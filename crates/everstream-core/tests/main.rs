//! Tests of the core. None of them needs a socket or a clock.
//!
//! What each module tests:
//!
//! - `spec`: the conformance cases of `spec/cases.txt`, cut in every way a network can cut them
//! - `random`: the decoder against a reference interpreter, on random streams
//! - `model`: the decoder with limits, against a model that takes one byte at a time
//! - `unfinished`: what the end of a stream finds, against a model
//! - `limits`: size limits, memory and the sizes of types
//! - `encoder`: what the encoder writes and what it refuses
//! - `serialised`: events as JSON (feature `serde`)
//! - `strategies`: the presets for errors and retry delays
//! - `session`: the session, rule by rule, in virtual time
//! - `simulation`: random scripts for a session, and what must hold in all of them
//!
//! They share `support` (what a decoder did, in a form to compare; the reference interpreter) and
//! `numbers` (random numbers that are the same everywhere).

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
mod serialised;
mod session;
mod simulation;
mod spec;
mod strategies;
mod unfinished;

//! Tests of HTTP without I/O, apart from the unit tests next to the code.
//!
//! What each module tests:
//!
//! - `differential`: responses, valid and damaged, against hyper's client
//!
//! They share `numbers` (random numbers that are the same everywhere).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the tests of the core use the rest")]
#[path = "../../everstream-core/tests/support/numbers.rs"]
mod numbers;

mod differential;

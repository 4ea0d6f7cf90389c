//! Tests of HTTP without I/O, in addition to the unit tests next to the code.
//!
//! The modules:
//!
//! - `differential`: responses, valid and damaged, against hyper's client
//!
//! Shared: `numbers` (reproducible random numbers).

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

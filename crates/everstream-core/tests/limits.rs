//! Limits, memory and sizes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "limits/memory.rs"]
mod memory;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "limits/verdicts.rs"]
mod verdicts;

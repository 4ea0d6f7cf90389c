//! How often clients connect to a server that keeps them from staying, and how a thousand of them
//! come back after it was lost: in paused time, with default settings.
//!
//! The figures in `docs/reliability.md` are these: a test compares them, and `EVERSTREAM_BLESS=1`
//! writes them there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

#[path = "../support/mod.rs"]
mod support;

mod figures;
mod paused;
mod scenarios;
mod sockets;
mod thousand;

//! The tests of what is public.
//!
//! - `simulation/`: random operations and faults over several relays, one engine and one feed
//! - `machine.rs`: the rules of the machine, one by one
//! - `relay.rs`: whole relays over HTTP

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod machine;
mod relay;
mod simulation;

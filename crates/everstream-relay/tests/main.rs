//! The tests of what is public.
//!
//! - `simulation/`: random operations and faults over several relays, one engine and one feed
//! - `machine.rs`: the rules of the machine, one by one
//! - `relay.rs`: whole relays over HTTP

mod machine;
mod relay;
mod simulation;

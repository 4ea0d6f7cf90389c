//! The tests of what is public.
//!
//! - `simulation/`: random operations and faults over several relays, one engine and one feed
//! - `machine.rs`: the rules of the machine, one by one

mod machine;
mod simulation;

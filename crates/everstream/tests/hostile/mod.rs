//! Hostile and broken servers, by class. Each row of a table has one thing that a server does and the
//! expected outcome. Runs with both clients, over real sockets.
//!
//! Related tests: `scenarios/cuts.rs` cuts responses at every byte, `transport/compression_faults.rs` has
//! content codings, `transport/` has TLS and HTTP/2, and `hostile_memory.rs` measures memory.

mod accept_and_close;
mod closing;
mod content_types;
mod early_answers;
mod endless;
mod error_bodies;
mod ids;
mod oddities;
mod outcome;
mod peers;
mod pieces;
mod redirects;
mod retries;
mod stalls;
mod statuses;
mod tolerance;

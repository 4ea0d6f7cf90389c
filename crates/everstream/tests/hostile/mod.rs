//! What a hostile or broken server may do, class by class: each row of a table is one thing that it
//! does and what a client makes of it. Both clients, over real sockets.
//!
//! Bodies that break off at every one of their bytes are in `scenarios/cuts.rs`, content codings in
//! `transport/compression_faults.rs`, TLS and HTTP/2 in `transport/`, and what endless input takes
//! of memory in `hostile_memory.rs`.

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

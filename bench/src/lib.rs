//! Decoders and clients, ours and others, measured; the pages in `docs/bench` say what came out.

pub mod chart;
pub mod client;
pub mod decode;
pub mod idle;
pub mod page;
pub mod sys;

/// Whatever goes wrong ends the measurement.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

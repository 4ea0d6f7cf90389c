//! How often clients connect to a server that keeps them from staying, and how a thousand of them
//! come back after it was lost: in paused time, with default settings.
//!
//! The figures in `docs/reliability/storms.md` are these: a test compares them, and `EVERSTREAM_BLESS=1`
//! writes them there.

mod figures;
mod paused;
mod scenarios;
mod sockets;
mod thousand;

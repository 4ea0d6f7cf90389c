//! How often clients connect to a server that keeps failing, and how a thousand clients reconnect after
//! their server was lost. In paused time, with default settings.
//!
//! A test compares the figures with those in `docs/reliability/storms.md`; with `EVERSTREAM_BLESS=1` it updates
//! them.

mod figures;
mod paused;
mod scenarios;
mod sockets;
mod thousand;

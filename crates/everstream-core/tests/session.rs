//! The session, rule by rule, in virtual time: every test says what time it is.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "session/chunks.rs"]
mod chunks;
#[path = "session/completion.rs"]
mod completion;
#[path = "session/delays.rs"]
mod delays;
#[path = "session/ids.rs"]
mod ids;
#[path = "session/interruption.rs"]
mod interruption;
#[path = "session/lifecycle.rs"]
mod lifecycle;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "session/repetition.rs"]
mod repetition;
#[path = "session/script.rs"]
mod script;
#[path = "session/server_delays.rs"]
mod server_delays;
#[path = "session/short_way.rs"]
mod short_way;
#[path = "session/silence.rs"]
mod silence;

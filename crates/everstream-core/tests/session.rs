//! The session, rule by rule, in virtual time: each test sets the time.

mod chunks;
mod clean_ends;
mod completion;
mod delays;
mod fast_path;
mod ids;
mod interruption;
mod lifecycle;
mod repetition;
mod resets;
mod resuming;
mod script;
mod server_delays;
mod timeouts;
mod unfinished;

//! The session, rule by rule, in virtual time: every test says what time it is.

mod chunks;
mod clean_ends;
mod completion;
mod delays;
mod ids;
mod interruption;
mod lifecycle;
mod repetition;
mod resets;
mod resuming;
mod script;
mod server_delays;
mod short_way;
mod silence;
mod unfinished;

//! The clock of the clients, and the alarm that wakes a task: tokio's, or the browser's.

#[cfg(target_family = "wasm")]
mod browser;
#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(target_family = "wasm")]
pub(crate) use browser::{Alarm, Instant};
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Alarm, Instant};

//! The presets for whether to reconnect and when.

mod delays;
mod errors;

use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

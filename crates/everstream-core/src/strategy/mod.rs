//! The two decisions that users can customize: whether to reconnect after a fault, and when.
//!
//! | module | decides | presets |
//! |---|---|---|
//! | [`error_strategy`](crate::error_strategy) | whether to reconnect | [`reconnect`](error::reconnect), [`always_fail`](error::always_fail), [`always_continue`](error::always_continue), [`continue_with_max_attempts`](error::continue_with_max_attempts), [`continue_with_time_limit`](error::continue_with_time_limit), [`from_fn`](error::from_fn) |
//! | [`retry_delay`](crate::retry_delay) | how long to wait | [`backoff`](delay::backoff), [`from_fn`](delay::from_fn) |

mod backoff;
pub mod delay;
pub mod error;

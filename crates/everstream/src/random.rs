//! Randomness, for jitter.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A seed that differs from client to client. The standard library seeds its hash maps from the
/// system's random numbers.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

//! Randomness, for jitter.

/// A seed that differs from client to client. The standard library seeds its hash maps from the
/// system's random numbers.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};

    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// A seed that differs from client to client. The standard library has no random numbers in the browser:
/// with its hash maps, all clients would reconnect in step.
#[cfg(target_family = "wasm")]
pub(crate) fn seed() -> u64 {
    let random = || (js_sys::Math::random() * f64::from(u32::MAX)) as u64;
    (random() << 32) | random()
}

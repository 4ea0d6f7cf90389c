//! Locks that survive a panic of a thread that holds them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex even if it is poisoned.
///
/// Every critical section of this crate keeps its data consistent at each step, and a panicking user
/// handler must not break the server's other connections.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

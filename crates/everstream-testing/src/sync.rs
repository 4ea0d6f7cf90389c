//! Locks that outlive a panic of one of their users.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a thread panicked while it held the lock.
///
/// Every critical section of this crate leaves its data whole at each step, and a user's panicking
/// handler must not take the server's other connections along.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

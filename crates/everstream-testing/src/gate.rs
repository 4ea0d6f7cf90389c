//! A gate lets a test and a script wait for each other without sleeping.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::sync::lock;

/// A one-shot event: one side waits for the gate, the other side opens it. An open gate stays open.
///
/// A script waits with [`Reply::wait_for`](crate::Reply::wait_for), or opens the gate with
/// [`Reply::open`](crate::Reply::open) to tell the test how far it got. Clones are the same gate.
///
/// ```
/// use everstream_testing::Gate;
/// use std::time::Duration;
///
/// let gate = Gate::new();
/// assert!(!gate.wait(Duration::ZERO));
/// gate.clone().open();
/// assert!(gate.wait(Duration::ZERO));
/// ```
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Creates a closed gate.
    ///
    /// ```
    /// assert!(!everstream_testing::Gate::new().is_open());
    /// ```
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Opens the gate: all current and future waits return.
    ///
    /// ```
    /// let gate = everstream_testing::Gate::new();
    /// gate.open();
    /// assert!(gate.is_open());
    /// ```
    pub fn open(&self) {
        *lock(&self.inner.open) = true;
        self.inner.opened.notify_all();
    }

    /// Whether the gate is open.
    ///
    /// ```
    /// assert!(!everstream_testing::Gate::new().is_open());
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        *lock(&self.inner.open)
    }

    /// Waits until the gate is open, but at most for `limit`. Returns whether it is open.
    ///
    /// ```
    /// use everstream_testing::Gate;
    /// use std::time::Duration;
    ///
    /// let gate = Gate::new();
    /// let other = gate.clone();
    /// std::thread::spawn(move || other.open());
    /// assert!(gate.wait(Duration::from_secs(10)));
    /// ```
    #[must_use = "false means that the limit passed"]
    pub fn wait(&self, limit: Duration) -> bool {
        let open = lock(&self.inner.open);
        let (open, _) = self
            .inner
            .opened
            .wait_timeout_while(open, limit, |open| !*open)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *open
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("open", &self.is_open())
            .finish()
    }
}

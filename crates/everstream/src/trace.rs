//! Logging, which vanishes without the feature `tracing`.

macro_rules! debug {
    ($($args:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::debug!($($args)*);
    };
}

macro_rules! trace {
    ($($args:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::trace!($($args)*);
    };
}

pub(crate) use {debug, trace};

/// A fault is retried, although it would have been final on the first attempt.
#[cfg(feature = "tracing")]
pub(crate) fn warn_of_retry(fault: &everstream_core::Fault) {
    if let Some(warning) = fault.retry_warning() {
        tracing::warn!(%fault, "{warning}");
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn warn_of_retry(_: &everstream_core::Fault) {}

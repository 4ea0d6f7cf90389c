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

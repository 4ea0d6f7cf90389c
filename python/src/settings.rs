//! The settings that both clients have.

use std::time::Duration;

use everstream::Builder;
use pyo3::prelude::*;

use crate::convert::duration;
use crate::fault::Shown;
use crate::log::Log;
use crate::raised::Raised;
use crate::{error_strategy, retry_delay};

pub(crate) struct Settings<'a, 'py> {
    pub(crate) initial_retry_delay: f64,
    pub(crate) retry_delay_strategy: &'a Bound<'py, PyAny>,
    pub(crate) retry_delay_reset_threshold: f64,
    pub(crate) error_strategy: &'a Bound<'py, PyAny>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) max_event_size: Option<usize>,
}

impl Settings<'_, '_> {
    pub(crate) fn apply<C>(
        self,
        builder: Builder<C>,
        raised: &Raised,
        shown: &Shown,
        log: Log,
    ) -> PyResult<Builder<C>> {
        let delay = error_strategy::DelayCell::default();
        let mut builder = builder
            .initial_retry_delay(duration("initial_retry_delay", self.initial_retry_delay)?)
            .retry_delay_reset_threshold(duration(
                "retry_delay_reset_threshold",
                self.retry_delay_reset_threshold,
            )?)
            .retry_delay_strategy(retry_delay::from_python(
                self.retry_delay_strategy,
                raised,
                delay.clone(),
            ))
            .error_strategy(error_strategy::from_python(
                self.error_strategy,
                raised,
                shown,
                log,
                delay,
            ))
            .read_timeout(self.read_timeout);
        if let Some(bytes) = self.max_event_size {
            builder = builder.max_event_size(bytes);
        }
        if let Some(id) = self.last_event_id {
            builder = builder.last_event_id(id);
        }
        Ok(builder)
    }
}

//! How long to wait before reconnecting: the default, and strategies written in Python.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use everstream::retry_delay::{self, BaseDelay, DEFAULT_MAX_DELAY, RetryDelayStrategy};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::convert::duration;
use crate::error_strategy::is_strategy_or_none;
use crate::pending_exception::PendingException;

/// The engine's default.
const DEFAULT_MULTIPLIER: f64 = 2.0;

/// The engine's backoff, in its current state. Immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Backoff {
    backoff: retry_delay::Backoff,
    /// Whether `apply` hasn't been called yet.
    #[pyo3(get)]
    fresh: bool,
}

#[pymethods]
impl Backoff {
    /// A `max_delay` of 0 means no limit. Values equal to the defaults count as not set, so that the
    /// engine uses its built-in strategy.
    #[new]
    fn new(max_delay: f64, backoff_multiplier: f64, jitter_multiplier: f64) -> PyResult<Self> {
        let numbers = [
            ("max_delay", max_delay),
            ("backoff_multiplier", backoff_multiplier),
            ("jitter_multiplier", jitter_multiplier),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, it)| it.is_nan()) {
            return Err(PyValueError::new_err(format!("{name} is not a number")));
        }
        let mut backoff = retry_delay::backoff().jitter(jitter_multiplier);
        if backoff_multiplier != DEFAULT_MULTIPLIER {
            backoff = backoff.multiplier(backoff_multiplier);
        }
        if max_delay <= 0.0 {
            backoff = backoff.no_max_delay();
        } else if max_delay != DEFAULT_MAX_DELAY.as_secs_f64() {
            backoff = backoff.max_delay(duration("max_delay", max_delay)?);
        }
        Ok(Backoff {
            backoff,
            fresh: true,
        })
    }

    /// The delay in seconds, and the strategy to use next time.
    fn apply(&self, base_delay: f64) -> PyResult<(f64, Self)> {
        let base = BaseDelay::configured(duration("base_delay", base_delay)?);
        let mut next = self.backoff.clone();
        // The standard library seeds its hash maps from the system's random numbers.
        next.seed(RandomState::new().build_hasher().finish());
        let delay = next.apply(base);
        let next = Backoff {
            backoff: next,
            fresh: false,
        };
        Ok((delay.as_secs_f64(), next))
    }
}

/// The strategy of a client: the engine's own, or one written in Python.
pub(crate) fn from_python(
    strategy: &Bound<'_, PyAny>,
    pending: &PendingException,
) -> Box<dyn RetryDelayStrategy> {
    match strategy.cast::<Backoff>() {
        Ok(own) => Box::new(own.get().backoff.clone()),
        Err(_) => Box::new(PythonStrategy {
            original: strategy.clone().unbind(),
            current: strategy.clone().unbind(),
            pending: pending.clone(),
        }),
    }
}

/// A strategy written in Python. The Python object is immutable: `apply` returns the next one.
struct PythonStrategy {
    original: Py<PyAny>,
    current: Py<PyAny>,
    pending: PendingException,
}

impl PythonStrategy {
    fn call_apply(&mut self, py: Python<'_>, base: Duration) -> PyResult<Duration> {
        let arguments = (base.as_secs_f64(),);
        let answer = self.current.call_method1(py, "apply", arguments)?;
        let parts = answer.extract::<(f64, Option<Py<PyAny>>)>(py);
        let Some((delay, next)) = parts.ok().filter(|(_, next)| is_strategy_or_none(py, next))
        else {
            return Err(PyTypeError::new_err(format!(
                "RetryDelayStrategy.apply must return a tuple of a number of seconds and a \
                 RetryDelayStrategy or None, not {}",
                answer.bind(py).repr()?
            )));
        };
        if let Some(next) = next {
            self.current = next;
        }
        // A negative delay counts as 0.
        let delay = if delay < 0.0 { 0.0 } else { delay };
        duration("the delay of a RetryDelayStrategy", delay)
    }
}

impl RetryDelayStrategy for PythonStrategy {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        Python::attach(|py| {
            self.call_apply(py, base.delay).unwrap_or_else(|error| {
                self.pending.raise(error);
                base.delay
            })
        })
    }

    fn reset(&mut self) {
        Python::attach(|py| self.current = self.original.clone_ref(py));
    }
}

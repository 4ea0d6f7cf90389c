//! How long to wait: the default for Python, and strategies written in Python.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use everstream::retry_delay::{self, BaseDelay, DEFAULT_MAX_DELAY, RetryDelayStrategy};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::convert::duration;
use crate::error_strategy::is_next;
use crate::raised::Raised;

/// The engine's, which a client has by default.
const DEFAULT_MULTIPLIER: f64 = 2.0;

/// The engine's backoff, in the state that it has reached. It is immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct Backoff {
    backoff: retry_delay::Backoff,
    /// Nothing was applied yet.
    #[pyo3(get)]
    fresh: bool,
}

#[pymethods]
impl Backoff {
    /// A `max_delay` of 0 is none. Values that equal the defaults are the engine's defaults, as if they
    /// weren't given: its strategy is then the built-in one.
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
    raised: &Raised,
) -> Box<dyn RetryDelayStrategy> {
    match strategy.cast::<Backoff>() {
        Ok(own) => Box::new(own.get().backoff.clone()),
        Err(_) => Box::new(Written {
            original: strategy.clone().unbind(),
            current: strategy.clone().unbind(),
            raised: raised.clone(),
        }),
    }
}

/// A strategy written in Python. It is immutable: it says what to use next time.
struct Written {
    original: Py<PyAny>,
    current: Py<PyAny>,
    raised: Raised,
}

impl Written {
    fn ask(&mut self, py: Python<'_>, base: Duration) -> PyResult<Duration> {
        let arguments = (base.as_secs_f64(),);
        let answer = self.current.call_method1(py, "apply", arguments)?;
        let parts = answer.extract::<(f64, Option<Py<PyAny>>)>(py);
        let Some((delay, next)) = parts.ok().filter(|(_, next)| is_next(py, next)) else {
            return Err(PyTypeError::new_err(format!(
                "RetryDelayStrategy.apply must return a tuple of a number of seconds and a \
                 RetryDelayStrategy or None, not {}",
                answer.bind(py).repr()?
            )));
        };
        if let Some(next) = next {
            self.current = next;
        }
        // Less than nothing is nothing.
        let delay = if delay < 0.0 { 0.0 } else { delay };
        duration("the delay of a RetryDelayStrategy", delay)
    }
}

impl RetryDelayStrategy for Written {
    fn apply(&mut self, base: BaseDelay) -> Duration {
        Python::attach(|py| {
            self.ask(py, base.delay).unwrap_or_else(|error| {
                self.raised.raise(error);
                base.delay
            })
        })
    }

    fn reset(&mut self) {
        Python::attach(|py| self.current = self.original.clone_ref(py));
    }
}

//! Whether to reconnect after a fault: the presets for Python, and strategies written in Python.

use std::sync::OnceLock;
use std::time::Instant;

use everstream::error_strategy::{self, ErrorStrategy, Verdict};
use everstream::{Fault, Timestamp};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::convert::{duration, integer, status};
use crate::fault::{self, ExceptionCache};
use crate::pending_exception::PendingException;

/// One of the engine's strategies, in its current state. Immutable.
#[pyclass(frozen, module = "everstream._native")]
pub(crate) struct ErrorPreset {
    preset: Preset,
    /// Whether `apply` hasn't been called yet.
    fresh: bool,
}

#[derive(Clone)]
enum Preset {
    Always(error_strategy::Always),
    MaxAttempts(error_strategy::MaxAttempts),
    TimeLimit(error_strategy::TimeLimit),
    Reconnect {
        strategy: error_strategy::Reconnect,
        /// Whether a connection has succeeded with these settings.
        has_connected: bool,
    },
}

impl Preset {
    fn strategy(&mut self) -> &mut dyn ErrorStrategy {
        match self {
            Preset::Always(strategy) => strategy,
            Preset::MaxAttempts(strategy) => strategy,
            Preset::TimeLimit(strategy) => strategy,
            Preset::Reconnect { strategy, .. } => strategy,
        }
    }
}

impl ErrorStrategy for Preset {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        if let (Preset::Reconnect { has_connected, .. }, Some(fault)) = (&*self, fault) {
            let needs_settings = !has_connected && fault::needs_other_settings(fault);
            if needs_settings || fault::is_final(fault) {
                return Verdict::Fail;
            }
        }
        self.strategy().apply(fault, now)
    }

    fn reset(&mut self) {
        if let Preset::Reconnect { has_connected, .. } = self {
            *has_connected = true;
        }
        self.strategy().reset();
    }
}

impl From<Preset> for ErrorPreset {
    fn from(preset: Preset) -> Self {
        ErrorPreset {
            preset,
            fresh: true,
        }
    }
}

#[pymethods]
impl ErrorPreset {
    #[staticmethod]
    fn always_fail() -> Self {
        Preset::Always(error_strategy::always_fail()).into()
    }

    #[staticmethod]
    fn always_continue() -> Self {
        Preset::Always(error_strategy::always_continue()).into()
    }

    #[staticmethod]
    fn continue_with_max_attempts(max_attempts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let max: i64 = integer("max_attempts", "less than 2**63", max_attempts)?;
        let max = u32::try_from(max.max(0)).unwrap_or(u32::MAX);
        Ok(Preset::MaxAttempts(error_strategy::continue_with_max_attempts(max)).into())
    }

    #[staticmethod]
    fn continue_with_time_limit(max_time: f64) -> PyResult<Self> {
        let max_time = duration("max_time", max_time)?;
        Ok(Preset::TimeLimit(error_strategy::continue_with_time_limit(max_time)).into())
    }

    #[staticmethod]
    fn reconnect(statuses: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let statuses = statuses.iter().map(status).collect::<PyResult<Vec<_>>>()?;
        Ok(Preset::Reconnect {
            strategy: error_strategy::reconnect().or_on_status(statuses),
            has_connected: false,
        }
        .into())
    }

    /// Whether to fail, and the preset to use next time.
    fn apply(
        &self,
        py: Python<'_>,
        exception: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(bool, Self)> {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        let now = Timestamp::since_start(EPOCH.get_or_init(Instant::now).elapsed());
        let fault = match exception {
            Some(exception) => {
                let error = PyErr::from_value(exception.clone());
                Some(fault::from_exception(error, py)?)
            }
            None => None,
        };
        let mut next = self.preset.clone();
        let verdict = next.apply(fault.as_ref(), now);
        let next = ErrorPreset {
            preset: next,
            fresh: false,
        };
        Ok((verdict == Verdict::Fail, next))
    }

    /// Whether `apply` hasn't been called yet, so that a session can start with this state.
    #[getter]
    fn fresh(&self) -> bool {
        self.fresh
    }
}

/// The strategy of a client: a preset, or one written in Python.
pub(crate) fn from_python(
    strategy: &Bound<'_, PyAny>,
    pending: &PendingException,
    exceptions: &ExceptionCache,
) -> impl ErrorStrategy + use<> {
    let inner: Box<dyn ErrorStrategy> = match strategy.cast::<ErrorPreset>() {
        Ok(preset) => Box::new(preset.get().preset.clone()),
        Err(_) => Box::new(PythonStrategy {
            original: strategy.clone().unbind(),
            current: strategy.clone().unbind(),
            pending: pending.clone(),
            exceptions: exceptions.clone(),
            has_connected: false,
        }),
    };
    StopOnException {
        inner,
        pending: pending.clone(),
    }
}

/// Fails once Python code has raised an exception, so that the iteration stops and raises it.
struct StopOnException {
    inner: Box<dyn ErrorStrategy>,
    pending: PendingException,
}

impl ErrorStrategy for StopOnException {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        if self.pending.is_raised() {
            return Verdict::Fail;
        }
        self.inner.apply(fault, now)
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn stream_ends(&mut self, not_repeated: bool) {
        self.inner.stream_ends(not_repeated);
    }
}

/// A strategy written in Python. The Python object is immutable: `apply` returns the next one.
struct PythonStrategy {
    original: Py<PyAny>,
    current: Py<PyAny>,
    pending: PendingException,
    exceptions: ExceptionCache,
    /// Whether a connection has succeeded. A preset that the strategy asks doesn't know it.
    has_connected: bool,
}

impl PythonStrategy {
    fn call_apply(&mut self, py: Python<'_>, fault: Option<&Fault>) -> PyResult<Verdict> {
        let exception = match fault {
            Some(fault) => Some(self.exceptions.create_for_strategy(py, fault)?),
            None => None,
        };
        if let (Some(exception), true) = (&exception, self.has_connected) {
            fault::clear_needs_other_settings(exception)?;
        }
        let answer = self.current.call_method1(py, "apply", (exception,))?;
        let parts = answer.extract::<(Bound<'_, PyAny>, Option<Py<PyAny>>)>(py);
        let Some((fail, next)) = parts.ok().filter(|(_, next)| is_strategy_or_none(py, next))
        else {
            return Err(PyTypeError::new_err(format!(
                "ErrorStrategy.apply must return a tuple of a bool and an ErrorStrategy or None, \
                 not {}",
                answer.bind(py).repr()?
            )));
        };
        if let Some(next) = next {
            self.current = next;
        }
        Ok(match fail.is_truthy()? {
            true => Verdict::Fail,
            false => Verdict::Continue,
        })
    }
}

/// Whether this can be the next strategy: `None`, or an object with `apply`.
pub(crate) fn is_strategy_or_none(py: Python<'_>, next: &Option<Py<PyAny>>) -> bool {
    let can_apply = |next: &Py<PyAny>| next.bind(py).hasattr("apply").unwrap_or(false);
    next.as_ref().is_none_or(can_apply)
}

impl ErrorStrategy for PythonStrategy {
    fn apply(&mut self, fault: Option<&Fault>, _now: Timestamp) -> Verdict {
        Python::attach(|py| {
            self.call_apply(py, fault).unwrap_or_else(|error| {
                self.pending.raise(error);
                Verdict::Fail
            })
        })
    }

    fn reset(&mut self) {
        self.has_connected = true;
        Python::attach(|py| self.current = self.original.clone_ref(py));
    }
}

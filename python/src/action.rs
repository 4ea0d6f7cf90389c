//! The most frequent actions: events and comments. The others are defined in `actions.py`.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

/// Base class of what :attr:`everstream.SSEClient.all` yields.
#[pyclass(frozen, subclass, module = "everstream.actions")]
pub(crate) struct Action;

#[pymethods]
impl Action {
    /// Accepts any arguments, because subclasses have their own.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyAny>, _kwargs: Option<&Bound<'_, PyAny>>) -> Self {
        Action
    }
}

/// An event that was received.
///
/// Immutable, hashable and picklable.
#[pyclass(frozen, eq, hash, subclass, extends = Action, module = "everstream.actions")]
pub(crate) struct Event(Origin);

enum Origin {
    /// Received from a stream. Its texts are converted to Python strings on access.
    Stream(everstream::Event),
    /// Created by a user, possibly with a combination of values that no stream can have.
    User(Box<Fields<String>>),
}

#[derive(PartialEq, Eq, Hash)]
struct Fields<S> {
    event: S,
    data: S,
    id: Option<S>,
    last_event_id: Option<S>,
}

impl Event {
    fn fields(&self) -> Fields<&str> {
        match &self.0 {
            Origin::Stream(event) => Fields {
                event: event.event(),
                data: event.data(),
                id: event.id(),
                last_event_id: event.last_event_id(),
            },
            Origin::User(fields) => Fields {
                event: &fields.event,
                data: &fields.data,
                id: fields.id.as_deref(),
                last_event_id: fields.last_event_id.as_deref(),
            },
        }
    }

    pub(crate) fn object(py: Python<'_>, event: everstream::Event) -> PyResult<Py<PyAny>> {
        let event = PyClassInitializer::from(Action).add_subclass(Event(Origin::Stream(event)));
        Ok(Bound::new(py, event)?.into_any().unbind())
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl Hash for Event {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fields().hash(state);
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (event="message", data="", id=None, last_event_id=None))]
    fn new(
        event: &str,
        data: &str,
        id: Option<&str>,
        last_event_id: Option<&str>,
    ) -> PyClassInitializer<Self> {
        let fields = Fields {
            event: event.to_owned(),
            data: data.to_owned(),
            id: id.map(String::from),
            last_event_id: last_event_id.map(String::from),
        };
        PyClassInitializer::from(Action).add_subclass(Event(Origin::User(Box::new(fields))))
    }

    /// The event's type: its ``event:`` field, or ``"message"`` if it had none.
    #[getter]
    fn event<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.fields().event {
            "message" => pyo3::intern!(py, "message").clone(),
            event => PyString::new(py, event),
        }
    }

    /// The event's data: its ``data:`` lines, joined with newlines.
    #[getter]
    fn data(&self) -> &str {
        match &self.0 {
            Origin::Stream(event) => event.data(),
            Origin::User(fields) => &fields.data,
        }
    }

    /// This event's own ``id:`` field; ``None`` if it had none.
    #[getter]
    fn id(&self) -> Option<&str> {
        self.fields().id
    }

    /// The last id in the stream up to this event; ``None`` if there was none.
    ///
    /// Save this id to resume later.
    #[getter]
    fn last_event_id(&self) -> Option<&str> {
        self.fields().last_event_id
    }

    /// The data as JSON: ``json.loads(event.data, **options)``.
    ///
    /// Raises ``json.JSONDecodeError``, a ``ValueError``, if it isn't JSON.
    #[pyo3(signature = (**options))]
    fn json<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        LOADS
            .import(py, "json", "loads")?
            .call((self.data(),), options)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = self.fields();
        Ok(format!(
            "Event(event={}, data={}, id={}, last_event_id={})",
            repr(py, Some(fields.event))?,
            repr(py, Some(fields.data))?,
            repr(py, fields.id)?,
            repr(py, fields.last_event_id)?,
        ))
    }

    #[allow(clippy::type_complexity)] // pickle's own
    fn __reduce__<'py>(
        this: &'py Bound<'py, Self>,
    ) -> (
        Bound<'py, PyType>,
        (&'py str, &'py str, Option<&'py str>, Option<&'py str>),
    ) {
        let fields = this.get().fields();
        let arguments = (fields.event, fields.data, fields.id, fields.last_event_id);
        (this.get_type(), arguments)
    }
}

/// A comment that was received: a line that begins with a colon.
///
/// Immutable, hashable and picklable.
#[pyclass(frozen, eq, hash, subclass, extends = Action, module = "everstream.actions")]
#[derive(PartialEq, Hash)]
pub(crate) struct Comment {
    text: String,
}

impl Comment {
    pub(crate) fn object(py: Python<'_>, text: String) -> PyResult<Py<PyAny>> {
        Ok(Bound::new(py, Comment::new(text))?.into_any().unbind())
    }
}

#[pymethods]
impl Comment {
    #[new]
    fn new(comment: String) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Action).add_subclass(Comment { text: comment })
    }

    /// The text after the colon.
    #[getter]
    fn comment(&self) -> &str {
        &self.text
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Comment({})", repr(py, Some(&self.text))?))
    }

    fn __reduce__<'py>(this: &'py Bound<'py, Self>) -> (Bound<'py, PyType>, (&'py str,)) {
        (this.get_type(), (&this.get().text,))
    }
}

fn repr(py: Python<'_>, text: Option<&str>) -> PyResult<String> {
    match text {
        Some(text) => Ok(PyString::new(py, text).repr()?.to_string()),
        None => Ok("None".to_owned()),
    }
}

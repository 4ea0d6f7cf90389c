//! The clock and the timeouts of the browser, on a page and in a worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use js_sys::{Function, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

pub(crate) use web_time::Instant;

use crate::error::OutsideRuntime;

/// Longer timeouts overflow, and fire at once.
const MAX_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Wakes a task at a point in time.
#[derive(Default)]
pub(crate) struct Alarm {
    timeout: Option<SendWrapper<Timeout>>,
}

impl Alarm {
    /// Ready once `due` has passed.
    pub(crate) fn poll_at(
        &mut self,
        due: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutsideRuntime>> {
        let remaining = due.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            self.timeout = None;
            return Poll::Ready(Ok(()));
        }
        match &self.timeout {
            Some(timeout) if timeout.due == due && timeout.waker.borrow().is_some() => {
                *timeout.waker.borrow_mut() = Some(cx.waker().clone());
            }
            // A timeout that has fired early or at its maximum is followed by another one.
            _ => {
                let timeout = Timeout::new(due, remaining, cx.waker().clone());
                self.timeout = Some(SendWrapper::new(timeout));
            }
        }
        Poll::Pending
    }

    /// Wakes the task after the browser has done something else. A task that wakes itself runs again before
    /// that: it could keep the page from ever reacting.
    pub(crate) fn yield_now(&mut self, cx: &mut Context<'_>) {
        let _ = self.poll_at(Instant::now() + Duration::from_millis(1), cx);
    }
}

/// A timeout of `setTimeout`. Dropping it cancels it and wakes nobody: a timer is replaced with each
/// poll of the client, and a wake would cause the next poll.
struct Timeout {
    due: Instant,
    /// `None` once it has fired.
    waker: Rc<RefCell<Option<Waker>>>,
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

impl Timeout {
    fn new(due: Instant, delay: Duration, waker: Waker) -> Self {
        let waker = Rc::new(RefCell::new(Some(waker)));
        let fired = waker.clone();
        let callback: Box<dyn FnMut()> = Box::new(move || {
            // Taken out before the wake, which may poll the client.
            let waker = fired.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let callback = Closure::wrap(callback);
        // Rounded up: a timeout that fires early would have to be repeated.
        let delay = delay.min(MAX_TIMEOUT).as_secs_f64() * 1000.0;
        let id = call(
            "setTimeout",
            &[callback.as_ref(), &JsValue::from_f64(delay.ceil())],
        );
        Timeout {
            due,
            waker,
            id,
            _callback: callback,
        }
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        call("clearTimeout", &[&self.id]);
    }
}

/// Calls a global function, which is the same on a page and in a worker.
fn call(name: &str, arguments: &[&JsValue]) -> JsValue {
    let global = js_sys::global();
    let function = Reflect::get(&global, &name.into()).unwrap_or_default();
    let Some(function) = function.dyn_ref::<Function>() else {
        return JsValue::UNDEFINED;
    };
    let arguments: js_sys::Array = arguments.iter().collect();
    function.apply(&global, &arguments).unwrap_or_default()
}

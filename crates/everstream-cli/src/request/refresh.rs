//! Requests another token, once, when the server refuses one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, ConnectionClient, Error, Fault,
};

/// After status 401, connects again within the same attempt, which requests another token. If that
/// is refused too, the status is the outcome, until there has been a connection.
pub(crate) struct Refreshing<S>(pub(crate) S);

impl<S: ConnectStrategy> ConnectStrategy for Refreshing<S> {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(RefreshingClient {
            inner: Arc::new(Mutex::new(self.0.create_client(context)?)),
            refused: Arc::default(),
        }))
    }
}

type Inner = Arc<Mutex<Box<dyn ConnectionClient>>>;

struct RefreshingClient {
    inner: Inner,
    refused: Arc<AtomicBool>,
}

/// Held only for calls that return at once.
fn lock(inner: &Inner) -> MutexGuard<'_, Box<dyn ConnectionClient>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnectionClient for RefreshingClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let first = lock(&self.inner).connect(request.clone());
        let (inner, refused) = (self.inner.clone(), self.refused.clone());
        Box::pin(async move {
            let mut outcome = first.await;
            let is_refused = |fault: &Fault| fault.status() == Some(401);
            if outcome.as_ref().is_err_and(is_refused) && !refused.swap(true, Ordering::Relaxed) {
                let again = lock(&inner).connect(request);
                outcome = again.await;
            }
            if outcome.is_ok() {
                refused.store(false, Ordering::Relaxed);
            }
            outcome
        })
    }

    fn is_repeatable(&self) -> bool {
        lock(&self.inner).is_repeatable()
    }

    fn can_resume_with_get(&self) -> bool {
        lock(&self.inner).can_resume_with_get()
    }

    fn close(&mut self) {
        lock(&self.inner).close();
    }
}

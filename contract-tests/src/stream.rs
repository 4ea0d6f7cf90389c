//! One stream that a client follows for the harness.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use everstream::error_strategy::{self, Verdict};
use everstream::{Action, Builder, Error, Fault, Http, SseClient, blocking};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::callback::{Callbacks, Seen, chain};
use crate::control::{Control, Delay, Finished};

/// How far the client may be ahead of the callbacks. What a slow harness hasn't taken holds up
/// neither a restart nor the read time-out, until this much waits.
const AHEAD: usize = 16;

/// Which client is put to the test.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Face {
    /// `everstream::SseClient`.
    Async,
    /// `everstream::blocking::SseClient`.
    Blocking,
}

/// What the harness wants of a client.
pub(crate) struct Settings {
    /// URL, method, headers and body.
    pub(crate) http: Http,
    /// The delay before the first reconnection.
    pub(crate) initial_delay: Option<Duration>,
    /// How long silence is accepted.
    pub(crate) read_timeout: Option<Duration>,
    /// The id to resume from.
    pub(crate) last_event_id: Option<String>,
}

/// A stream that is followed until this is dropped.
pub(crate) struct Stream {
    control: Arc<Control>,
    reporting: AbortHandle,
}

/// Why a stream can't be followed.
pub(crate) enum StartError {
    /// The client refuses a setting.
    Client(Error),
    /// The system gives no thread.
    Thread(io::Error),
}

impl Stream {
    /// Follows a stream and reports what the client sees. Belongs into the runtime.
    pub(crate) fn start(
        face: Face,
        settings: Settings,
        callbacks: Callbacks,
    ) -> Result<Stream, StartError> {
        let control = Control::new();
        let (seen, to_report) = mpsc::channel(AHEAD);
        let id = settings.last_event_id.clone();
        let follower = Follower {
            settings,
            control: control.clone(),
            seen,
        };
        match face {
            Face::Async => {
                let client = follower
                    .configure(id.as_deref(), SseClient::builder)
                    .build()?;
                control.attach(client.handle());
                tokio::spawn(follower.follow(client));
            }
            Face::Blocking => {
                let client = follower
                    .configure(id.as_deref(), blocking::SseClient::builder)
                    .build()?;
                control.attach(client.handle());
                // Not one of the runtime's threads: the blocking client refuses those.
                thread::Builder::new()
                    .name("stream".into())
                    .spawn(move || follower.follow_blocking(client))
                    .map_err(StartError::Thread)?;
            }
        }
        let reporting = tokio::spawn(callbacks.report(to_report)).abort_handle();
        Ok(Stream { control, reporting })
    }

    /// Drops the connection and makes a new one at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        self.control.restart()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.control.close();
        // Who closed the stream expects no callback any more.
        self.reporting.abort();
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        StartError::Client(error)
    }
}

/// Reads a client.
struct Follower {
    settings: Settings,
    control: Arc<Control>,
    seen: mpsc::Sender<Seen>,
}

/// What to do after a client has said something.
enum Next {
    Read,
    /// The client waits, and isn't to: a new one goes on in its place.
    Replace,
    Stop,
}

impl Follower {
    async fn follow(self, mut client: SseClient) {
        loop {
            let said = client.next_action().await;
            let (seen, next) = self.judge(said, client.next_retry_delay());
            if let Some(seen) = seen {
                if self.seen.send(seen).await.is_err() {
                    return;
                }
            }
            match next {
                Next::Read => {}
                Next::Replace => match self
                    .configure(client.last_event_id(), SseClient::builder)
                    .build()
                {
                    Ok(fresh) if self.control.attach(fresh.handle()) => client = fresh,
                    _ => return,
                },
                Next::Stop => return,
            }
        }
    }

    /// The same, for the other client.
    fn follow_blocking(self, mut client: blocking::SseClient) {
        loop {
            let said = client.next_action();
            let (seen, next) = self.judge(said, client.next_retry_delay());
            if let Some(seen) = seen {
                if self.seen.blocking_send(seen).is_err() {
                    return;
                }
            }
            match next {
                Next::Read => {}
                Next::Replace => match self
                    .configure(client.last_event_id(), blocking::SseClient::builder)
                    .build()
                {
                    Ok(fresh) if self.control.attach(fresh.handle()) => client = fresh,
                    _ => return,
                },
                Next::Stop => return,
            }
        }
    }

    /// What to tell the harness, and what to do. `delay` is how long the client means to wait.
    fn judge(&self, said: Option<Result<Action, Error>>, delay: Duration) -> (Option<Seen>, Next) {
        match said {
            Some(Ok(Action::Event(event))) => (Some(Seen::Event(event)), Next::Read),
            Some(Ok(Action::Comment(text))) => (Some(Seen::Comment(text)), Next::Read),
            Some(Ok(action @ (Action::Fault(_) | Action::End(_)))) => {
                let seen = match action {
                    Action::Fault(fault) => Some(Seen::Error(chain(&fault))),
                    _ => None,
                };
                // Nothing is left in a client that has told of the end of its connection.
                match self.control.take_restart() && !delay.is_zero() {
                    true => (seen, Next::Replace),
                    false => (seen, Next::Read),
                }
            }
            Some(Ok(_)) => (None, Next::Read),
            Some(Err(error)) => (Some(Seen::Error(chain(&error))), Next::Stop),
            None => (None, Next::Stop),
        }
    }

    fn configure<C>(
        &self,
        last_event_id: Option<&str>,
        builder: impl FnOnce(Http) -> Builder<C>,
    ) -> Builder<C> {
        let Settings {
            http,
            initial_delay,
            read_timeout,
            ..
        } = &self.settings;
        let mut builder = builder(http.clone())
            .read_timeout(*read_timeout)
            .retry_delay_strategy(Delay(self.control.clone()))
            .error_strategy(error_strategy::from_fn(go_on))
            .repeat_unsafe(true);
        if let Some(delay) = initial_delay {
            builder = builder.initial_retry_delay(*delay);
        }
        if let Some(id) = last_event_id {
            builder = builder.last_event_id(id);
        }
        builder
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.control.finish();
    }
}

/// A harness breaks connections in every way and wants to see what comes after; only 204 is a
/// server's word that it wants no more of this client.
fn go_on(fault: Option<&Fault>) -> Verdict {
    match fault.and_then(Fault::status) {
        Some(204) => Verdict::Fail,
        _ => Verdict::Continue,
    }
}

//! A stream that a client follows for the harness.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use everstream::error_strategy::{self, Verdict};
use everstream::{Action, Builder, Error, Fault, Http, SseClient, blocking};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::callback::{Callbacks, Report, chain};
use crate::control::{Control, Delay, Finished};

/// How many reports may be queued. Up to this many, a slow harness delays neither a restart nor the read
/// timeout.
const QUEUE_SIZE: usize = 16;

/// The client under test.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum ClientKind {
    /// `everstream::SseClient`.
    Async,
    /// `everstream::blocking::SseClient`.
    Blocking,
}

/// The settings that the harness requests.
pub(crate) struct Settings {
    /// URL, method, headers and body.
    pub(crate) http: Http,
    /// The delay before the first reconnect.
    pub(crate) initial_delay: Option<Duration>,
    /// The read timeout.
    pub(crate) read_timeout: Option<Duration>,
    /// The id to resume from.
    pub(crate) last_event_id: Option<String>,
}

/// A stream that is followed until the `Stream` is dropped.
pub(crate) struct Stream {
    control: Arc<Control>,
    reporting: AbortHandle,
}

/// Why a stream can't be followed.
pub(crate) enum StartError {
    /// The client rejects a setting.
    Client(Error),
    /// No thread could be started.
    Thread(io::Error),
}

impl Stream {
    /// Follows a stream and reports what the client receives. Must be called within the runtime.
    pub(crate) fn start(
        client_kind: ClientKind,
        settings: Settings,
        callbacks: Callbacks,
    ) -> Result<Stream, StartError> {
        let control = Control::new();
        let (reports, to_report) = mpsc::channel(QUEUE_SIZE);
        let id = settings.last_event_id.clone();
        let follower = Follower {
            settings,
            control: control.clone(),
            reports,
        };
        match client_kind {
            ClientKind::Async => {
                let client = follower
                    .configure(id.as_deref(), SseClient::builder)
                    .build()?;
                control.attach(client.handle());
                tokio::spawn(follower.follow(client));
            }
            ClientKind::Blocking => {
                let client = follower
                    .configure(id.as_deref(), blocking::SseClient::builder)
                    .build()?;
                control.attach(client.handle());
                // Not on one of the runtime's threads, which the blocking client rejects.
                thread::Builder::new()
                    .name("stream".into())
                    .spawn(move || follower.follow_blocking(client))
                    .map_err(StartError::Thread)?;
            }
        }
        let reporting = tokio::spawn(callbacks.report(to_report)).abort_handle();
        Ok(Stream { control, reporting })
    }

    /// Drops the connection and reconnects at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        self.control.restart()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.control.close();
        // After the harness has closed the stream, it expects no more callbacks.
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
    reports: mpsc::Sender<Report>,
}

/// What to do after an action of the client.
enum Next {
    Read,
    /// The client is waiting but should reconnect: replace it by a new one.
    Replace,
    Stop,
}

impl Follower {
    async fn follow(self, mut client: SseClient) {
        loop {
            let action = client.next_action().await;
            let (report, next) = self.judge(action, client.next_retry_delay());
            if let Some(report) = report {
                if self.reports.send(report).await.is_err() {
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

    /// The same for the blocking client.
    fn follow_blocking(self, mut client: blocking::SseClient) {
        loop {
            let action = client.next_action();
            let (report, next) = self.judge(action, client.next_retry_delay());
            if let Some(report) = report {
                if self.reports.blocking_send(report).is_err() {
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

    /// What to report to the harness, and what to do next. `delay` is how long the client will wait.
    fn judge(
        &self,
        action: Option<Result<Action, Error>>,
        delay: Duration,
    ) -> (Option<Report>, Next) {
        match action {
            Some(Ok(Action::Event(event))) => (Some(Report::Event(event)), Next::Read),
            Some(Ok(Action::Comment(text))) => (Some(Report::Comment(text)), Next::Read),
            Some(Ok(end @ (Action::Fault(_) | Action::End(_)))) => {
                let report = match end {
                    Action::Fault(fault) => Some(Report::Error(chain(&fault))),
                    _ => None,
                };
                // A client that has reported the end of its connection has no undelivered events.
                match self.control.take_restart() && !delay.is_zero() {
                    true => (report, Next::Replace),
                    false => (report, Next::Read),
                }
            }
            Some(Ok(_)) => (None, Next::Read),
            Some(Err(error)) => (Some(Report::Error(chain(&error))), Next::Stop),
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
            .error_strategy(error_strategy::from_fn(continue_unless_no_content))
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

/// Always continues, because the harness breaks connections in every way and tests what follows. Only
/// with a 204 does a server ask the client to stop.
fn continue_unless_no_content(fault: Option<&Fault>) -> Verdict {
    match fault.and_then(Fault::status) {
        Some(204) => Verdict::Fail,
        _ => Verdict::Continue,
    }
}

//! A stream that a client follows for the harness.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use everstream::error_strategy::{self, Verdict};
use everstream::{Action, Builder, Error, Fault, Http, SseClient, blocking};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::api::StreamRequest;
use crate::callback::{Callbacks, Report, chain};
use crate::control::{Control, Delay, Finished};
use crate::python;

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
    /// Python's `everstream.SSEClient`.
    Python,
    /// Python's `everstream.AsyncSSEClient`.
    PythonAsync,
}

/// The settings that the harness requests.
struct Settings {
    /// URL, method, headers and body.
    http: Http,
    /// The delay before the first reconnect.
    initial_delay: Option<Duration>,
    /// The read timeout.
    read_timeout: Option<Duration>,
}

impl Settings {
    fn new(http: Http, stream_request: StreamRequest) -> Settings {
        let mut http = http.set_url(stream_request.stream_url);
        if let Some(method) = stream_request.method {
            http = http.method(method);
        }
        for (name, value) in stream_request.headers.unwrap_or_default() {
            http = http.header(name, value);
        }
        if let Some(body) = stream_request.body {
            http = http.body(body);
        }
        Settings {
            http,
            initial_delay: stream_request.initial_delay_ms.map(Duration::from_millis),
            read_timeout: stream_request.read_timeout_ms.map(Duration::from_millis),
        }
    }
}

/// A stream that is followed until the `Stream` is dropped.
pub(crate) struct Stream {
    client: Client,
    reporting: AbortHandle,
}

enum Client {
    Rust(Arc<Control>),
    Python(python::Follower),
}

/// Why a stream can't be followed.
pub(crate) enum StartError {
    /// The client rejects a setting.
    Client(Error),
    /// The same, in words.
    Rejected(String),
    /// No thread or process could be started.
    System(io::Error),
}

impl Stream {
    /// Follows a stream and reports what the client receives.
    pub(crate) async fn start(
        client_kind: ClientKind,
        http: Http,
        stream_request: StreamRequest,
        callbacks: Callbacks,
    ) -> Result<Stream, StartError> {
        let (reports, to_report) = mpsc::channel(QUEUE_SIZE);
        let client = match client_kind {
            ClientKind::Async | ClientKind::Blocking => {
                Client::Rust(follow(client_kind, http, stream_request, reports)?)
            }
            ClientKind::Python | ClientKind::PythonAsync => {
                let name = match client_kind {
                    ClientKind::Python => "python",
                    _ => "python-async",
                };
                let start = move || python::Follower::start(name, &stream_request, reports);
                let started = tokio::task::spawn_blocking(start).await;
                Client::Python(started.map_err(io::Error::other)??)
            }
        };
        let reporting = tokio::spawn(callbacks.report(to_report)).abort_handle();
        Ok(Stream { client, reporting })
    }

    /// Drops the connection and reconnects at once.
    pub(crate) fn restart(&self) -> Result<(), Finished> {
        match &self.client {
            Client::Rust(control) => control.restart(),
            Client::Python(follower) => follower.restart(),
        }
    }
}

/// Follows a stream with a client of this library. Must be called within the runtime.
fn follow(
    client_kind: ClientKind,
    http: Http,
    stream_request: StreamRequest,
    reports: mpsc::Sender<Report>,
) -> Result<Arc<Control>, StartError> {
    let control = Control::new();
    let id = stream_request.last_event_id.clone();
    let follower = Follower {
        settings: Settings::new(http, stream_request),
        control: control.clone(),
        reports,
    };
    if let ClientKind::Async = client_kind {
        let client = follower.configure(id.as_deref(), SseClient::builder);
        let client = client.build()?;
        control.attach(client.handle());
        tokio::spawn(follower.follow(client));
    } else {
        let client = follower.configure(id.as_deref(), blocking::SseClient::builder);
        let client = client.build()?;
        control.attach(client.handle());
        // Not on one of the runtime's threads, which the blocking client rejects.
        thread::Builder::new()
            .name("stream".into())
            .spawn(move || follower.follow_blocking(client))?;
    }
    Ok(control)
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Client::Rust(control) = &self.client {
            control.close();
        }
        // After the harness has closed the stream, it expects no more callbacks.
        self.reporting.abort();
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        StartError::Client(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error)
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

//! `everstream top`: the state of one or many streams, on a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `stream.rs`, `rates.rs` | the state of a stream |
//! | `reason.rs` | why it is disconnected |
//! | `view.rs` | the view, and keys |
//! | `draw/` | the screen |
//! | `screen.rs` | the terminal, and its restoration |
//! | `input.rs` | keys and signals |
//! | `origins.rs` | secrets are sent to one origin only |

mod draw;
mod input;
mod origins;
mod rates;
mod reason;
mod screen;
mod stream;
mod view;

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use everstream::{Action, Error, SseClient};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::client_builder::client_builder;
use crate::duration::sleep_until;
use crate::exit::Exit;
use crate::explain;
use crate::reconnect::ReconnectArgs;
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::stop::{Deadline, MAX_TIME};
use crate::terminal::{colors, dumb_terminal};
use crate::waiting::{Detail, Waiting};
use draw::Look;
use input::Input;
use screen::Screen;
use stream::Stream;
use view::{KeyAction, View};

/// The minimum time between two drawings if the streams have changed.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// The time between two drawings if nothing has changed, for the clock.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of keys; more of them wait in the terminal.
const KEYS: usize = 64;

/// After this many actions in a row, other streams and the keys get their turn.
const ACTIONS_PER_TURN: u32 = 64;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// More streams. The options apply to all of them.
    #[arg(
        value_name = "URL",
        id = "more",
        help_heading = None::<&str>,
        display_order = 1000
    )]
    more: Vec<String>,

    /// Send -H, -b, -u, tokens, --cert and the body to all URLs, even if their origins (scheme,
    /// host and port) differ.
    #[arg(long, help_heading = "Request (options as in curl)")]
    all_origins: bool,

    #[command(flatten)]
    pub(crate) reconnect: ReconnectArgs,
}

pub(crate) fn run(args: &TopArgs) -> Exit {
    match prepare(args) {
        Ok((urls, clients)) => {
            crate::block_on(async { LocalSet::new().run_until(watch(args, urls, clients)).await })
        }
        Err(problem) => problem.tell(),
    }
}

impl TopArgs {
    fn urls(&self) -> Result<Vec<String>, Problem> {
        std::iter::once(&self.request.url)
            .chain(&self.more)
            .map(|url| self.request.full_url(url))
            .collect()
    }
}

/// A client, and the state of its attempts.
type Client = (SseClient, Waiting);

/// Finds everything that can be wrong with the command line.
fn prepare(args: &TopArgs) -> Result<(Vec<String>, Vec<Client>), Problem> {
    if !io::stdout().is_terminal() || dumb_terminal() {
        return Err(Problem::new(
            "top needs a terminal that supports cursor movement, and standard output isn't one",
        )
        .hint("`everstream follow URL` also writes to pipes and files"));
    }
    let urls = args.urls()?;
    if !args.all_origins {
        origins::check(&urls, &args.request.secrets())?;
    }
    let http = args.request.http()?;
    let client = |url: &String| {
        // The screen shows it.
        let waiting = Waiting::new(Detail::Nothing);
        let http = waiting.watch(http.clone().set_url(url));
        client_builder(http, &args.request, &args.reconnect)?
            .build()
            .map(|client| (client, waiting))
            .map_err(|error| bad_setting("followed", url, &error))
    };
    let clients: Result<_, _> = urls.iter().map(client).collect();
    Ok((urls, clients?))
}

/// The state shared by the streams and the display, in one thread.
struct Shared {
    begin: Instant,
    streams: RefCell<Vec<Stream>>,
    changed: Cell<bool>,
    woken: Notify,
}

impl Shared {
    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Stream, Duration)) {
        change(&mut self.streams.borrow_mut()[index], self.now());
        // Notifying once per drawing is enough.
        if !self.changed.replace(true) {
            self.woken.notify_one();
        }
    }
}

async fn watch(args: &TopArgs, urls: Vec<String>, clients: Vec<Client>) -> Exit {
    let (inputs, mut input) = mpsc::channel(KEYS);
    let screen = input::watch_signals(inputs.clone()).and_then(|()| {
        let screen = Screen::take()?;
        input::watch_terminal(inputs.clone())?;
        input::read_keys(inputs)?;
        Ok(screen)
    });
    let mut screen = match screen {
        Ok(screen) => screen,
        Err(error) => {
            report::error("the terminal can't be used", Some(&error));
            return Exit::Failed;
        }
    };
    let shared = Rc::new(Shared {
        begin: Instant::now(),
        streams: RefCell::new(urls.iter().map(|url| Stream::new(url)).collect()),
        changed: Cell::new(false),
        woken: Notify::new(),
    });
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        tasks.spawn_local(follow(client, index, shared.clone()));
    }

    let deadline = Deadline::new(args.request.max_time(), MAX_TIME, Exit::TimedOut);
    let ended = tokio::select! {
        ended = display(&mut screen, &shared, &mut input, &mut tasks) => ended,
        () = sleep_until(deadline.map(|deadline| deadline.at)) => {
            tasks.abort_all();
            drop(screen);
            explain::max_time(shared.streams.borrow().iter().map(|stream| stream.events).sum());
            return Exit::TimedOut;
        }
    };
    tasks.abort_all();
    drop(screen);
    match ended {
        Ok(ends) => sum_up(args, &shared.streams.borrow(), &ends),
        Err(error) => {
            report::error("lost the terminal", Some(&error));
            Exit::Failed
        }
    }
}

/// Why a stream ended by itself.
struct End {
    index: usize,
    error: Option<Error>,
    /// The server has ended it, and the request isn't safe to resend.
    not_repeated: bool,
}

/// Reads a stream to its end.
async fn follow((mut client, mut waiting): Client, index: usize, shared: Rc<Shared>) -> End {
    let mut actions: u32 = 0;
    let mut not_repeated = false;
    let error = loop {
        // Bytes of an incomplete event aren't an action.
        let action = tokio::time::timeout(MAX_INTERVAL, client.next_action()).await;
        let Ok(action) = action else {
            let (silence, no_response) = (client.silence(), waiting.has_no_response());
            shared.streams.borrow_mut()[index].nothing_new(silence, no_response, shared.now());
            continue;
        };
        match action {
            Some(Ok(action)) => {
                waiting.take(&action);
                if let Action::End(end) = &action {
                    not_repeated = end.not_repeated;
                }
                shared.update(index, |stream, now| {
                    let (id, delay) = (client.last_event_id(), client.next_retry_delay());
                    stream.take(&action, id, delay, now);
                });
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
        actions = actions.wrapping_add(1);
        if actions % ACTIONS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    };
    shared.update(index, |stream, now| stream.end(error.as_ref(), now));
    End {
        index,
        error,
        not_repeated,
    }
}

/// Draws until it should stop; returns the streams that have ended.
async fn display(
    screen: &mut Screen,
    shared: &Shared,
    input: &mut mpsc::Receiver<Input>,
    tasks: &mut JoinSet<End>,
) -> io::Result<Vec<End>> {
    let look = Look {
        colors: colors(true),
    };
    let mut view = View::new();
    let mut ends = Vec::new();
    let mut due = Some(Instant::now());
    loop {
        if due.is_some_and(|due| due <= Instant::now()) {
            shared.changed.set(false);
            let streams = shared.streams.borrow();
            screen.draw(|frame| draw::draw(frame, &view, &streams, shared.now(), look))?;
            // A paused display changes only by keys.
            due = (!view.is_paused()).then(|| Instant::now() + MAX_INTERVAL);
        }
        tokio::select! {
            Some(input) = input.recv() => {
                match input {
                    Input::Key(key) => match view.key(key, &shared.streams.borrow(), shared.now()) {
                        KeyAction::Nothing => {}
                        KeyAction::Redraw => screen.forget()?,
                        KeyAction::Suspend => screen.suspend()?,
                        KeyAction::Quit => return Ok(ends),
                    },
                    Input::Resized => {}
                    Input::Continued => screen.reclaim()?,
                    Input::Signal => return Ok(ends),
                    Input::Lost(error) => return Err(error),
                }
                due = Some(Instant::now());
            }
            () = shared.woken.notified(), if !view.is_paused() => {
                let soon = Instant::now() + MIN_INTERVAL;
                due = Some(due.map_or(soon, |due| due.min(soon)));
            }
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => match ended {
                Ok(end) => ends.push(end),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => return Err(io::Error::other(error)),
                },
            },
            () = sleep_until(due) => {}
        }
    }
}

/// What remains on the screen afterwards, and the exit code: that of the first stream if all have
/// ended by themselves.
fn sum_up(args: &TopArgs, streams: &[Stream], ends: &[End]) -> Exit {
    let mut exit = Exit::Done;
    for (index, stream) in streams.iter().enumerate() {
        let plural = if stream.events == 1 { "" } else { "s" };
        let mut text = format!("{}: {} event{plural}", stream.url, stream.events);
        if let Some(id) = &stream.last_id {
            text += &format!("; the last id is {id}");
        }
        report::info(&text);
        if let Some(text) = &stream.withheld {
            report::warning(text);
        }
        let Some(end) = ends.iter().find(|end| end.index == index) else {
            continue;
        };
        let asked = explain::Asked {
            connections: stream.connections,
            last_event_id: stream.last_id.as_deref(),
            // It may be from another stream.
            limit: None,
            ..explain::Asked::new(&args.request, &args.reconnect)
        };
        let code = match &end.error {
            Some(error) => {
                explain::gave_up_after_warning(error, &asked);
                Exit::from(error)
            }
            None if end.not_repeated => explain::not_repeated(stream.events, &asked),
            None => Exit::Done,
        };
        if index == 0 {
            exit = code;
        }
    }
    match ends.len() < streams.len() {
        true => Exit::Done,
        false => exit,
    }
}

//! `everstream top`: the state of one or many streams, on a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `stream.rs`, `rates.rs` | what is known of a stream |
//! | `reason.rs` | why it is away |
//! | `view.rs` | what of it is shown; keys |
//! | `draw/` | the screen |
//! | `screen.rs` | the terminal, and how it is put back |
//! | `input.rs` | keys and signals |
//! | `origins.rs` | secrets are for one origin |

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
use crate::exit::Exit;
use crate::explain;
use crate::reconnect::ReconnectArgs;
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::stop::{Deadline, MAX_TIME};
use crate::terminal::{colours, dumb_terminal};
use draw::Look;
use input::Input;
use screen::Screen;
use stream::Stream;
use view::{Asked, View};

/// The least time from one drawing to the next if the streams have changed.
const SOON: Duration = Duration::from_millis(250);

/// The time from one drawing to the next if nothing has: the clock goes on.
const LATE: Duration = Duration::from_secs(1);

/// Keys that wait to be handled; more of them wait in the terminal.
const KEYS: usize = 64;

/// After so many actions without a wait it is the turn of the other streams and of the keys.
const TURN: u32 = 64;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// More streams. The options hold for all of them.
    #[arg(
        value_name = "URL",
        id = "more",
        help_heading = "Arguments",
        display_order = 1000
    )]
    more: Vec<String>,

    /// Send -H, -b, -u, tokens, --cert and the body to all URLs, although their origins (scheme,
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

/// All that can be wrong with the command line is found here.
fn prepare(args: &TopArgs) -> Result<(Vec<String>, Vec<SseClient>), Problem> {
    if !io::stdout().is_terminal() || dumb_terminal() {
        return Err(Problem::new(
            "top draws on a terminal, and standard output isn't one that can",
        )
        .hint("`everstream follow URL` writes events to pipes and files too"));
    }
    let urls = args.urls()?;
    if !args.all_origins {
        origins::check(&urls, &args.request.secrets())?;
    }
    let http = args.request.http()?;
    let client = |url: &String| {
        client_builder(http.clone().set_url(url), &args.request, &args.reconnect)?
            .build()
            .map_err(|error| bad_setting("followed", url, &error))
    };
    let clients: Result<_, _> = urls.iter().map(client).collect();
    Ok((urls, clients?))
}

/// What the streams and the display share, in one thread.
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
        // Once per drawing is enough.
        if !self.changed.replace(true) {
            self.woken.notify_one();
        }
    }
}

async fn watch(args: &TopArgs, urls: Vec<String>, clients: Vec<SseClient>) -> Exit {
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
            report::error("the terminal can't be used any more", Some(&error));
            Exit::Failed
        }
    }
}

/// Why a stream ended by itself.
struct End {
    index: usize,
    error: Option<Error>,
    /// The server has ended it, and the request isn't safe to send again.
    not_repeated: bool,
}

/// Reads a stream to its end.
async fn follow(mut client: SseClient, index: usize, shared: Rc<Shared>) -> End {
    let mut actions: u32 = 0;
    let mut not_repeated = false;
    let error = loop {
        // Bytes that are no event yet are no action either.
        let action = tokio::time::timeout(LATE, client.next_action()).await;
        let Ok(action) = action else {
            let silence = client.silence();
            shared.streams.borrow_mut()[index].silent_for(silence, shared.now());
            continue;
        };
        match action {
            Some(Ok(action)) => {
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
        if actions % TURN == 0 {
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

/// Draws until it is asked to stop; returns the streams that ended before.
async fn display(
    screen: &mut Screen,
    shared: &Shared,
    input: &mut mpsc::Receiver<Input>,
    tasks: &mut JoinSet<End>,
) -> io::Result<Vec<End>> {
    let look = Look {
        colours: colours(true),
    };
    let mut view = View::new();
    let mut ends = Vec::new();
    let mut due = Some(Instant::now());
    loop {
        if due.is_some_and(|due| due <= Instant::now()) {
            shared.changed.set(false);
            let streams = shared.streams.borrow();
            screen.draw(|frame| draw::draw(frame, &view, &streams, shared.now(), look))?;
            // What is paused changes by keys only.
            due = (!view.is_paused()).then(|| Instant::now() + LATE);
        }
        tokio::select! {
            Some(input) = input.recv() => {
                match input {
                    Input::Key(key) => match view.key(key, &shared.streams.borrow(), shared.now()) {
                        Asked::Nothing => {}
                        Asked::Redraw => screen.forget()?,
                        Asked::Suspend => screen.suspend()?,
                        Asked::Quit => return Ok(ends),
                    },
                    Input::Resized => {}
                    Input::Continued => screen.retake()?,
                    Input::Signal => return Ok(ends),
                    Input::Lost(error) => return Err(error),
                }
                due = Some(Instant::now());
            }
            () = shared.woken.notified(), if !view.is_paused() => {
                let soon = Instant::now() + SOON;
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

/// What stays on the screen afterwards, and the exit code: that of the first stream if all have
/// ended by themselves.
fn sum_up(args: &TopArgs, streams: &[Stream], ends: &[End]) -> Exit {
    let mut exit = Exit::Done;
    for (index, stream) in streams.iter().enumerate() {
        let plural = if stream.events == 1 { "" } else { "s" };
        let mut text = format!("{}: {} event{plural}", stream.url, stream.events);
        if let Some(id) = &stream.last_id {
            text += &format!("; the last id is {id}");
        }
        report::news(&text);
        if let Some(text) = &stream.withheld {
            report::warning(text);
        }
        let Some(end) = ends.iter().find(|end| end.index == index) else {
            continue;
        };
        let asked = explain::Asked {
            connections: stream.connections,
            last_event_id: stream.last_id.as_deref(),
            // It may be that of another stream.
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

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

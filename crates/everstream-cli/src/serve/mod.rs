//! `everstream serve`: an event stream of what comes on standard input.
//!
//! | file | subject |
//! |---|---|
//! | `input.rs` | lines of standard input, as they come |
//! | `entry.rs` | a line to what is sent |
//! | `history.rs` | what was sent, kept for clients that come back, within bounds |

mod entry;
mod history;
mod input;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::body::Bytes;

use crate::duration;
use crate::exit::Exit;
use crate::report::{self, Problem};
use crate::server::{Asked, Gone, Out, Server, ServerArgs, Source, Streaming};
use crate::stop::Signals;
use entry::Entries;
use history::{History, Next, Place};
use input::Lines;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Each line is an object with some of the fields event, data, id, retry (milliseconds) and
    /// comment, as the lines of `everstream URL` are. Data that is no string is sent as JSON.
    #[arg(long, visible_alias = "ndjson", help_heading = "Events")]
    json: bool,

    /// Leave events without an id as they are. Default: their id is their number after a part that
    /// differs from run to run, so that clients resume, and only in the run that they know.
    #[arg(long, help_heading = "Events")]
    no_ids: bool,

    /// Keep so many of the last events for clients that come or come back; all of them together
    /// are at most 16 MiB. A client that is further behind than that is dropped.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Events",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    history: u32,

    /// Send a comment after so long without an event, so that nobody takes the connection for dead;
    /// 0: never.
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Events",
        default_value = "15s",
        value_parser = duration::parse,
    )]
    heartbeat: Duration,

    /// Go on when standard input has ended: the streams stay open, and new clients get what is
    /// kept.
    #[arg(long, help_heading = "Events")]
    keep_open: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// How long clients have to take the rest when standard input has ended.
const LAST_EVENTS: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &ServeArgs) -> Exit {
    if args.server.quiet {
        report::be_quiet();
    }
    crate::block_on(async {
        match serve(args).await {
            Ok(exit) => exit,
            Err(problem) => problem.tell(),
        }
    })
}

async fn serve(args: &ServeArgs) -> Result<Exit, Problem> {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            report::error("signals can't be watched", Some(&error));
            return Ok(Exit::Failed);
        }
    };
    let server = Server::bind(&args.server)?;
    let history = Arc::new(History::new(args.history as usize));
    let mut publisher = Publisher {
        history: history.clone(),
        entries: Entries::new(args.json, (!args.no_ids).then(run_id)),
        failures: 0,
    };
    let input = match input::lines() {
        Ok(lines) => lines,
        Err(error) => {
            report::error("the system refuses a thread", Some(&error));
            return Ok(Exit::Failed);
        }
    };
    let source = Serve {
        history: history.clone(),
        heartbeat: (!args.heartbeat.is_zero()).then_some(args.heartbeat),
    };
    server.announce();
    let asked = async {
        tokio::select! {
            by = signals.next() => Some(by),
            () = publisher.publish(input, args.keep_open) => None,
        }
    };
    let (by, mut clients) = server.run(source, asked).await;
    let by = match by {
        Some(by) => by,
        None => {
            history.close();
            let last = async { while clients.join_next().await.is_some() {} };
            tokio::select! {
                _ = tokio::time::timeout(LAST_EVENTS, last) => {}
                _ = signals.next() => {}
            }
            "the end of standard input"
        }
    };
    let events = publisher.entries.count();
    report::news(&format!(
        "stopped by {by} after {events} event{}",
        if events == 1 { "" } else { "s" }
    ));
    Ok(match publisher.failures {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Differs from run to run: the same number is another line then, and a client that resumed after it
/// would miss those before.
fn run_id() -> String {
    // The standard library's only random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}

/// From standard input to the history.
struct Publisher {
    history: Arc<History>,
    entries: Entries,
    /// How many lines couldn't be used.
    failures: u64,
}

impl Publisher {
    async fn publish(&mut self, mut input: Lines, keep_open: bool) {
        let mut number = 0_u64;
        while let Some(line) = input.recv().await {
            number += 1;
            let entry = line.and_then(|line| self.entries.entry(&line));
            match entry {
                Ok(Some(entry)) => {
                    self.history.push(entry);
                    // Who reads fast enough isn't left behind by many lines at once.
                    tokio::task::yield_now().await;
                }
                Ok(None) => {}
                Err(what) => {
                    self.failures += 1;
                    let what = format!("line {number} of standard input is left out: {what}");
                    report::error(&what, None);
                }
            }
        }
        if keep_open {
            report::news("standard input has ended; the streams stay open");
            std::future::pending::<()>().await;
        }
    }
}

struct Serve {
    history: Arc<History>,
    heartbeat: Option<Duration>,
}

impl Source for Serve {
    fn stream(&self, asked: &Asked) -> Option<Box<dyn FnOnce(Out) -> Streaming>> {
        let client = format!("client {}", asked.number);
        let place = match &asked.last_event_id {
            None => {
                report::news(&format!(
                    "{client} begins with the first event that is kept"
                ));
                self.history.first()
            }
            Some(id) => {
                let shown: String = id.chars().take(100).collect();
                let place = self.history.after_id(id);
                report::news(&match place {
                    Some(_) => format!("{client} resumes after id {shown}"),
                    None => format!(
                        "{client} resumes after id {shown}, which isn't kept: it begins with the \
                         first event that is"
                    ),
                });
                place.unwrap_or_else(|| self.history.first())
            }
        };
        let feed = Feed {
            history: self.history.clone(),
            heartbeat: self.heartbeat,
            client,
        };
        Some(Box::new(move |out| Box::pin(feed.run(place, out))))
    }
}

/// What one client is sent.
struct Feed {
    history: Arc<History>,
    heartbeat: Option<Duration>,
    client: String,
}

impl Feed {
    async fn run(self, mut place: Place, out: Out) {
        loop {
            let bytes = match self.history.next(place) {
                Next::Bytes(bytes) => {
                    place = place.after();
                    bytes
                }
                Next::None => {
                    let changed = self.history.changed(place);
                    tokio::select! {
                        () = changed => continue,
                        () = sleep(self.heartbeat) => Bytes::from_static(b":\n"),
                    }
                }
                Next::Forgotten => return self.drop_client(&out),
                Next::End => return,
            };
            tokio::select! {
                biased;
                sent = out.send(bytes) => if let Err(Gone) = sent {
                    return;
                },
                // It doesn't read, or not fast enough.
                () = self.history.forgotten(place) => return self.drop_client(&out),
            }
        }
    }

    fn drop_client(&self, out: &Out) {
        report::news(&format!(
            "{} reads too slowly: it is dropped, because what it would read next isn't kept",
            self.client
        ));
        out.abort();
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

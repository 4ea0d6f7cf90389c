//! `everstream serve`: streams lines of standard input.
//!
//! | file | subject |
//! |---|---|
//! | `input.rs` | lines of standard input |
//! | `entry.rs` | converts a line to bytes of the stream |
//! | `history.rs` | the kept events, for clients that resume |

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
use crate::server::{ClientGone, ClientRequest, Out, Server, ServerArgs, Source, Streaming};
use crate::stop::Signals;
use entry::Entries;
use history::{History, Next, Place};
use input::Lines;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Each line is an object with some of the fields event, data, id, retry (milliseconds) and
    /// comment, like the output of `everstream URL`. Data that isn't a string is sent as JSON.
    #[arg(long, visible_alias = "ndjson", help_heading = "Events")]
    json: bool,

    /// Don't add ids. By default, an event without an id gets its number, with a prefix that is
    /// different in each run, so that clients can resume within a run.
    #[arg(long, help_heading = "Events")]
    no_ids: bool,

    /// Keep the last N events, at most 16 MiB in total, for clients that connect or resume. A
    /// client that falls further behind is dropped.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Events",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    history: u32,

    /// Send a comment after this long without an event, so that the connection isn't taken for
    /// dead; 0: never.
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Events",
        default_value = "15s",
        value_parser = duration::parse,
    )]
    heartbeat: Duration,

    /// When standard input has ended, keep the streams open. New clients get the kept events.
    #[arg(long, help_heading = "Events")]
    keep_open: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// How long clients have to read the rest when standard input has ended.
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
            report::error("can't handle signals", Some(&error));
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
            report::error("can't start a thread", Some(&error));
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
    report::info(&format!(
        "stopped by {by} after {events} event{}",
        if events == 1 { "" } else { "s" }
    ));
    Ok(match publisher.failures {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Unique to a run: the same number is another line in another run, and a client that resumed after
/// it would miss lines.
fn run_id() -> String {
    // The only source of random numbers in the standard library.
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}

/// Moves lines from standard input to the history.
struct Publisher {
    history: Arc<History>,
    entries: Entries,
    /// The number of invalid lines.
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
                    // Lets clients read between lines, so that a burst doesn't leave fast ones
                    // behind.
                    tokio::task::yield_now().await;
                }
                Ok(None) => {}
                Err(what) => {
                    self.failures += 1;
                    let what = format!("skipped line {number} of standard input: {what}");
                    report::error(&what, None);
                }
            }
        }
        if keep_open {
            report::info("standard input has ended; the streams stay open");
            std::future::pending::<()>().await;
        }
    }
}

struct Serve {
    history: Arc<History>,
    heartbeat: Option<Duration>,
}

impl Source for Serve {
    fn stream(&self, asked: &ClientRequest) -> Option<Box<dyn FnOnce(Out) -> Streaming>> {
        let client = format!("client {}", asked.number);
        let place = match &asked.last_event_id {
            None => {
                report::info(&format!("{client} starts at the oldest kept event"));
                self.history.first()
            }
            Some(id) => {
                let shown: String = id.chars().take(100).collect();
                let place = self.history.after_id(id);
                report::info(&match place {
                    Some(_) => format!("{client} resumes after id {shown}"),
                    None => format!(
                        "{client} asks for events after id {shown}, which isn't kept: it starts at \
                         the oldest kept event"
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

/// The stream of one client.
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
                sent = out.send(bytes) => if let Err(ClientGone) = sent {
                    return;
                },
                // It doesn't read, or reads too slowly.
                () = self.history.forgotten(place) => return self.drop_client(&out),
            }
        }
    }

    fn drop_client(&self, out: &Out) {
        report::info(&format!(
            "{} reads too slowly: dropped, because its next events are no longer kept",
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

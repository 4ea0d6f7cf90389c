//! `everstream replay`: plays a recording back.
//!
//! | file | subject |
//! |---|---|
//! | `joined.rs` | joins the connections of a recording into one stream |
//! | `timeline.rs` | that stream: its bytes and their times, its events, its ids |
//! | `spool.rs` | its temporary files |
//! | `play.rs` | sends it to a client |

mod joined;
mod play;
mod spool;
mod timeline;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::exit::Exit;
use crate::explain::seconds;
use crate::report::{self, Problem};
use crate::server::{ClientRequest, Out, Server, ServerArgs, Source, Streaming};
use crate::stop::Signals;
use play::Pace;
use timeline::Timeline;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recording; `-` is standard input. It is copied to a temporary file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Play N times as fast as recorded; max (or 0): without delays.
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Replaying",
        default_value = "1",
        value_parser = play::parse_speed,
    )]
    speed: play::Speed,

    /// After the last event, start again from the beginning, indefinitely.
    #[arg(long = "loop", help_heading = "Replaying")]
    repeat: bool,

    /// Drop each connection after N events.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Replaying",
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    drop_every: Option<u32>,

    /// With --drop-every: drop in the middle of the next event.
    #[arg(long, help_heading = "Replaying", requires = "drop_every")]
    drop_inside: bool,

    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: &ReplayArgs) -> Exit {
    if args.server.quiet {
        report::be_quiet();
    }
    crate::block_on(async {
        match replay(args).await {
            Ok(exit) => exit,
            Err(problem) => problem.tell(),
        }
    })
}

async fn replay(args: &ReplayArgs) -> Result<Exit, Problem> {
    let timeline = read(args)?;
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            report::error("can't handle signals", Some(&error));
            return Ok(Exit::Failed);
        }
    };
    let server = Server::bind(&args.server)?;
    report::info(&begun(
        timeline.event_count(),
        args.speed.apply(timeline.duration()),
    ));
    if timeline.repeats_ids() {
        report::info(
            "some ids occur more than once: clients resume after the last event with an id",
        );
    }
    let source = Replay {
        timeline: Arc::new(timeline),
        pace: Pace {
            speed: args.speed,
            repeat: args.repeat,
            drop_every: args.drop_every.map(u64::from),
            drop_inside: args.drop_inside,
        },
    };
    server.announce();
    let (by, _clients) = server.run(source, signals.next()).await;
    report::info(&format!("stopped by {by}"));
    Ok(Exit::Done)
}

fn begun(events: u64, time: Duration) -> String {
    let plural = if events == 1 { "" } else { "s" };
    let time = match time.is_zero() {
        true => "without delays".to_owned(),
        false => format!("in {}", seconds(time)),
    };
    format!("replaying {events} event{plural} {time}")
}

fn read(args: &ReplayArgs) -> Result<Timeline, Problem> {
    let name = args.file.display().to_string();
    let timeline = if name == "-" {
        Timeline::read(io::stdin().lock(), "standard input")?
    } else {
        let file = File::open(&args.file)
            .map_err(|error| Problem::because(&format!("{name} can't be read"), &error))?;
        Timeline::read(BufReader::new(file), &name)?
    };
    if args.repeat && timeline.end(true) == timeline.front() {
        let what = format!("{name} has no complete event or comment for --loop to repeat");
        return Err(Problem::new(what));
    }
    Ok(timeline)
}

struct Replay {
    timeline: Arc<Timeline>,
    pace: Pace,
}

impl Replay {
    /// Where the stream of a client starts; `None` if it has already received everything.
    fn begin(&self, asked: &ClientRequest) -> io::Result<Option<u64>> {
        let client = format!("client {}", asked.number);
        let Some(id) = &asked.last_event_id else {
            report::info(&format!("{client} starts at the beginning"));
            return Ok(Some(0));
        };
        let place = self.timeline.after_id(id)?;
        let shown: String = id.chars().take(100).collect();
        Ok(match place {
            None => {
                report::info(&format!(
                    "{client} asks for events after id {shown}, which isn't in the recording: \
                     it starts at the beginning"
                ));
                Some(0)
            }
            Some(place) if self.pace.repeat || self.timeline.has_event_after(place)? => {
                report::info(&format!("{client} resumes after id {shown}"));
                Some(place)
            }
            Some(_) => {
                report::info(&format!(
                    "{client} has received the last event (id {shown}): it gets status 204, \
                     which tells it not to reconnect"
                ));
                None
            }
        })
    }
}

impl Source for Replay {
    fn stream(&self, asked: &ClientRequest) -> Option<Box<dyn FnOnce(Out) -> Streaming>> {
        let place = self.begin(asked).unwrap_or_else(|error| {
            report::error("the recording's temporary file can't be read", Some(&error));
            None
        })?;
        let (timeline, pace) = (self.timeline.clone(), self.pace);
        Some(Box::new(move |out| {
            Box::pin(play::play(timeline, place, pace, out))
        }))
    }
}

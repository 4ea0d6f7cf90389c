//! `everstream replay`: serves a recording again, as it came.
//!
//! | file | subject |
//! |---|---|
//! | `joint.rs` | the connections of a recording, made one stream |
//! | `timeline.rs` | that stream: when its bytes came, its events, its ids |
//! | `spool.rs` | the files in which it is |
//! | `play.rs` | sends it to a client |

mod joint;
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
use crate::server::{Asked, Out, Server, ServerArgs, Source, Streaming};
use crate::stop::Signals;
use play::Pace;
use timeline::Timeline;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recording; `-` is standard input. It is copied to a temporary file.
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    file: PathBuf,

    /// So many times as fast as it was; 0 or max: at once.
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Replaying",
        default_value = "1",
        value_parser = play::parse_speed,
    )]
    speed: play::Speed,

    /// Begin again at the end, without an end.
    #[arg(long = "loop", help_heading = "Replaying")]
    repeat: bool,

    /// Drop each connection after so many events.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Replaying",
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    drop_every: Option<u32>,

    /// With --drop-every: in the middle of the event that comes next.
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
            report::error("signals can't be watched", Some(&error));
            return Ok(Exit::Failed);
        }
    };
    let server = Server::bind(&args.server)?;
    report::news(&begun(
        timeline.event_count(),
        args.speed.apply(timeline.duration()),
    ));
    if timeline.repeats_ids() {
        report::news("some ids are there more than once: who resumes goes on after the last event");
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
    report::news(&format!("stopped by {by}"));
    Ok(Exit::Done)
}

fn begun(events: u64, time: Duration) -> String {
    let plural = if events == 1 { "" } else { "s" };
    let time = match time.is_zero() {
        true => "at once".to_owned(),
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
        let what = format!("{name} has no whole event or comment that --loop could repeat");
        return Err(Problem::new(what));
    }
    Ok(timeline)
}

struct Replay {
    timeline: Arc<Timeline>,
    pace: Pace,
}

impl Replay {
    /// Where a client's stream begins; `None`, if it has had all of it.
    fn begin(&self, asked: &Asked) -> io::Result<Option<u64>> {
        let client = format!("client {}", asked.number);
        let Some(id) = &asked.last_event_id else {
            report::news(&format!("{client} begins at the start"));
            return Ok(Some(0));
        };
        let place = self.timeline.after_id(id)?;
        let shown: String = id.chars().take(100).collect();
        Ok(match place {
            None => {
                report::news(&format!(
                    "{client} resumes after id {shown}, which isn't in the recording: it begins \
                     at the start"
                ));
                Some(0)
            }
            Some(place) if self.pace.repeat || self.timeline.has_event_after(place)? => {
                report::news(&format!("{client} resumes after id {shown}"));
                Some(place)
            }
            Some(_) => {
                report::news(&format!(
                    "{client} resumes after id {shown}, that of the last event: it gets status \
                     204, which says that there is no more"
                ));
                None
            }
        })
    }
}

impl Source for Replay {
    fn stream(&self, asked: &Asked) -> Option<Box<dyn FnOnce(Out) -> Streaming>> {
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

//! Follows a feed of changes, such as Wikimedia's, and goes on after a restart or a crash where it
//! stopped.
//!
//! `change-feed CURSOR-FILE [URL]`
//!
//! The id of a change is saved after the change was handled: a crash between the two makes the next
//! run repeat that change, and none is ever left out. Handlers should bear that; who can write both
//! in one transaction has neither (see redis-sink).

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Action, Event, Http, SseClient};
use serde::Deserialize;

const WIKIMEDIA: &str = "https://stream.wikimedia.org/v2/stream/recentchange";

/// Fields that nobody reads here are left out.
#[derive(Deserialize)]
struct Change {
    meta: Meta,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    user: String,
}

#[derive(Deserialize)]
struct Meta {
    domain: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = follow().await else {
        return ExitCode::SUCCESS;
    };
    eprint!("change-feed: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn follow() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let Some(file) = args.next().map(PathBuf::from) else {
        return Err("usage: change-feed CURSOR-FILE [URL]".into());
    };
    let url = match args.next() {
        Some(url) => url.into_string().map_err(|_| "the URL isn't UTF-8")?,
        None => WIKIMEDIA.to_owned(),
    };

    // Who runs the server wants to know who follows it.
    let http = Http::new(url).header("user-agent", "change-feed/1.0 (example of everstream)");
    let mut builder = SseClient::builder(http)
        // It is to run for months: a server that is being restarted isn't the end.
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
        // This feed is never silent for long.
        .read_timeout(Duration::from_secs(60));
    if let Some(id) = load(&file)? {
        builder = builder.last_event_id(id);
    }
    let mut client = builder.build()?;

    // At Ctrl-C the loop ends between two changes, so that nothing is repeated.
    let handle = client.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            handle.close();
        }
    });

    while let Some(action) = client.next_action().await {
        match action? {
            Action::Event(event) => {
                handle_change(&event)?;
                if let Some(id) = event.last_event_id() {
                    // It blocks for a few milliseconds; nothing else runs on this thread. Where
                    // there are thousands of changes a second, save after many.
                    save(&file, id)?;
                }
            }
            Action::Fault(fault) => eprintln!("again after {fault}"),
            _ => {}
        }
    }
    Ok(())
}

fn handle_change(event: &Event) -> io::Result<()> {
    let change: Change = match event.json() {
        Ok(change) => change,
        // One change that can't be read is no reason to read no others, in every run anew.
        Err(error) => {
            eprintln!("left out: {error}");
            return Ok(());
        }
    };
    // Sent by Wikimedia to see whether the feed is alive.
    if change.meta.domain == "canary" {
        return Ok(());
    }
    let (domain, kind) = (change.meta.domain, change.kind);
    // Standard output is flushed at each line end.
    writeln!(
        io::stdout(),
        "{domain}\t{kind}\t{}\t{}",
        change.title,
        change.user
    )
}

fn load(file: &Path) -> Result<Option<String>, Box<dyn Error>> {
    match fs::read_to_string(file) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
    }
}

/// In one step: whatever happens, the file holds the old id or the new one.
fn save(file: &Path, id: &str) -> Result<(), Box<dyn Error>> {
    let at = |error| format!("{}: {error}", file.display());
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut writing = File::create(&new).map_err(at)?;
    writing.write_all(id.as_bytes()).map_err(at)?;
    // Before the rename, or else a power failure could leave an empty file in its place.
    writing.sync_all().map_err(at)?;
    fs::rename(&new, file).map_err(at)?;
    // The rename itself lies in the folder.
    match file.parent() {
        Some(folder) if folder != Path::new("") => sync(folder).map_err(at)?,
        _ => sync(Path::new(".")).map_err(at)?,
    }
    Ok(())
}

#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}

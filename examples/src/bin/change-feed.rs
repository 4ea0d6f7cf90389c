//! Follows a feed of changes, such as Wikimedia's, and resumes where it stopped after a restart or a
//! crash.
//!
//! `change-feed CURSOR-FILE [URL]`
//!
//! The id of a change is saved after the change was handled. A crash between the two makes the next run
//! repeat that change, but no change is ever lost, so handlers should be idempotent. If you can write both
//! in one transaction, nothing is repeated either.

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

/// The fields that this program needs.
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

    // Wikimedia asks clients to identify themselves.
    let http = Http::new(url).header("user-agent", "change-feed/1.0 (example of everstream)");
    let mut builder = SseClient::builder(http)
        // Retry statuses such as 503, which a restarting server sends, because this program runs for
        // months.
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
        // This feed is never idle for long.
        .read_timeout(Duration::from_secs(60));
    if let Some(id) = load(&file)? {
        builder = builder.last_event_id(id);
    }
    let mut client = builder.build()?;

    // After Ctrl-C or SIGTERM, the loop ends between two changes, so nothing is repeated.
    let handle = client.handle();
    let stop = stop_signal()?;
    tokio::spawn(async move {
        stop.await;
        handle.close();
    });

    while let Some(action) = client.next_action().await {
        match action? {
            Action::Event(event) => {
                handle_change(&event)?;
                if let Some(id) = event.last_event_id() {
                    // Blocks for a few milliseconds, but nothing else runs on this thread. With thousands
                    // of changes per second, save less often.
                    save(&file, id)?;
                }
            }
            Action::Fault(fault) => eprintln!("retrying after: {fault}"),
            _ => {}
        }
    }
    Ok(())
}

/// Ready after Ctrl-C, or after SIGTERM, which systemd and containers send.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut ctrl_c, mut term) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = ctrl_c.recv() => {}
            _ = term.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        _ = tokio::signal::ctrl_c().await;
    })
}

fn handle_change(event: &Event) -> io::Result<()> {
    let change: Change = match event.json() {
        Ok(change) => change,
        // Skip a malformed change: failing would stop every later run at the same change.
        Err(error) => {
            eprintln!("skipped: {error}");
            return Ok(());
        }
    };
    // Wikimedia sends these to check that the feed works.
    if change.meta.domain == "canary" {
        return Ok(());
    }
    let (domain, kind) = (change.meta.domain, change.kind);
    // Standard output is flushed after each line.
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

/// Replaces the file atomically: whatever happens, it holds either the old id or the new one.
fn save(file: &Path, id: &str) -> Result<(), Box<dyn Error>> {
    let at = |error| format!("{}: {error}", file.display());
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut writing = File::create(&new).map_err(at)?;
    writing.write_all(id.as_bytes()).map_err(at)?;
    // Sync before the rename, or a power failure could leave an empty file.
    writing.sync_all().map_err(at)?;
    fs::rename(&new, file).map_err(at)?;
    // Sync the folder, too, because it stores the rename.
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

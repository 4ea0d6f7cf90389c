//! Goes on where an earlier run stopped: the id is kept in a file. It is written after an event was
//! handled, so that an event may be seen twice after a crash, but none is lost.
//!
//! `cargo run -p everstream --example resume -- FILE URL`; run it again to see it go on. Without arguments it
//! runs twice against a small server of its own.

use std::path::{Path, PathBuf};
use std::{error::Error, fs, io};

use everstream::{Http, blocking::SseClient};
use everstream_testing::{Feed, Reply, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    if let (Some(file), Some(url)) = (args.next(), args.next()) {
        return follow(&PathBuf::from(file), &url, usize::MAX);
    }
    let feed = Feed::new();
    for number in 1..=6 {
        feed.push(format!("event {number}"));
    }
    let server = Server::start();
    server.otherwise(Reply::stream().resume(&feed));
    let file = std::env::temp_dir().join(format!("everstream-resume-{}", std::process::id()));
    for run in ["first run", "second run"] {
        println!("{run}");
        follow(&file, &server.url("/"), 3)?;
    }
    Ok(fs::remove_file(file)?)
}

fn follow(file: &Path, url: &str, limit: usize) -> Result<(), Box<dyn Error>> {
    let mut builder = SseClient::builder(Http::new(url));
    match fs::read_to_string(file) {
        Ok(id) => builder = builder.last_event_id(id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    for event in builder.build_blocking()?.events().take(limit) {
        let event = event?;
        println!("{}", event.data()); // handle it first
        save(file, event.last_event_id().unwrap_or_default())?;
    }
    Ok(())
}

/// In one step: a crash leaves the old id or the new one, and never half of one.
fn save(file: &Path, id: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, id)?;
    fs::rename(new, file)
}

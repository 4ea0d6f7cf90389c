//! Tests of `change-feed`.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use everstream_testing::{Feed, Reply, Server};
use serde_json::json;

use crate::program::{LIMIT, Program, command};

fn change(domain: &str, title: usize) -> String {
    json!({
        "meta": {"domain": domain, "id": "x", "stream": "mediawiki.recentchange"},
        "type": "edit", "title": title.to_string(), "user": "Ada", "bot": false,
    })
    .to_string()
}

fn follow(cursor: &Path, url: &str) -> Program {
    let path = env!("CARGO_BIN_EXE_change-feed");
    Program::start(command(path, [cursor.as_os_str(), url.as_ref()]))
}

/// Returns the number in a line.
fn number(line: &str) -> usize {
    let number = line
        .strip_prefix("en.wikipedia.org\tedit\t")
        .and_then(|rest| rest.strip_suffix("\tAda\n"));
    number
        .unwrap_or_else(|| panic!("{line:?}"))
        .parse()
        .unwrap()
}

#[test]
fn killed_runs_lose_no_change() {
    const CHANGES: usize = 200;
    let (server, feed) = (Server::start(), Feed::new());
    for id in 1..=CHANGES {
        feed.push(change("en.wikipedia.org", id));
    }
    server.otherwise(Reply::stream().resume(&feed));
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor");

    let mut next = 1;
    for run in 0.. {
        let program = follow(&cursor, &server.url("/"));
        let mut seen = vec![number(&program.line())];
        // Kill each run at a different place.
        for _ in 0..run * 7 {
            if seen.last() < Some(&CHANGES) {
                seen.push(number(&program.line()));
            }
        }
        let ended = program.kill();
        seen.extend(ended.stdout.split_inclusive('\n').map(number));
        // The run continues with the next change, or repeats the one that wasn't saved.
        assert!(
            seen[0] == next || seen[0] + 1 == next,
            "{} in run {run}",
            seen[0]
        );
        assert!(seen.is_sorted_by(|a, b| a + 1 == *b), "{seen:?}");
        next = seen[seen.len() - 1] + 1;
        // The file must be complete at any moment.
        let saved: usize = match fs::read_to_string(&cursor) {
            Ok(saved) => saved.parse().unwrap(),
            // Killed before the first id was saved.
            Err(_) => 0,
        };
        assert!(
            saved + 1 == next || saved + 2 == next,
            "{saved} before {next}"
        );
        if next > CHANGES {
            break;
        }
    }
    assert!(server.request_count() > 2, "the runs were killed too late");
}

#[test]
fn a_run_ended_by_a_signal_repeats_nothing() {
    let (server, feed) = (Server::start(), Feed::new());
    server.otherwise(Reply::stream().resume(&feed));
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor");
    for (id, signal) in [(1, "-INT"), (2, "-TERM"), (3, "-INT")] {
        let program = follow(&cursor, &server.url("/"));
        assert!(server.wait_for_requests(id, LIMIT));
        feed.push(change("en.wikipedia.org", id));
        assert_eq!(number(&program.line()), id);
        program.signal(signal);
        let ended = program.end();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "3");
}

#[test]
fn drops_transient_statuses_and_malformed_changes_do_not_stop_it() {
    let server = Server::start();
    let retry = Reply::stream().retry(1);
    server
        .enqueue(
            retry
                .event_with_id("1", change("en.wikipedia.org", 1))
                .event_with_id("2", change("canary", 2))
                .event_with_id("3", "not JSON")
                .drop_connection(),
        )
        .enqueue(Reply::status(503))
        .otherwise(
            Reply::stream()
                .event_with_id("4", change("en.wikipedia.org", 4))
                .stall(),
        );
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor");
    let program = follow(&cursor, &server.url("/"));
    assert_eq!(number(&program.line()), 1);
    assert_eq!(number(&program.line()), 4);
    program.interrupt();
    let ended = program.end();
    assert!(ended.status.success());
    assert!(ended.stderr.contains("skipped: "), "{}", ended.stderr);
    for request in &server.requests()[1..] {
        assert_eq!(request.header("last-event-id"), Some("3"));
    }
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "4");
}

#[test]
fn cursor_file_errors_name_the_file() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", change("x", 1)).stall());
    let folder = tempfile::tempdir().unwrap();
    for cursor in [folder.path().to_path_buf(), folder.path().join("no/cursor")] {
        let ended = follow(&cursor, &server.url("/")).end();
        assert_eq!(ended.status.code(), Some(1));
        let name = cursor.display().to_string();
        assert!(ended.stderr.contains(&name), "{}", ended.stderr);
    }
}

#[test]
fn a_change_that_was_not_handled_is_not_saved() {
    let server = Server::start();
    let one = change("en.wikipedia.org", 1);
    server.otherwise(Reply::stream().event_with_id("1", one).stall());
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor");
    let path = env!("CARGO_BIN_EXE_change-feed");
    let mut command = command(path, [cursor.as_os_str(), server.url("/").as_ref()]);
    // Nobody reads the output.
    let (stdout, reader) = UnixStream::pair().unwrap();
    drop(reader);
    let status = command.stdout(OwnedFd::from(stdout)).status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(!cursor.exists());
}

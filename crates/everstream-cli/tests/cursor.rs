//! What a run saves for the next one: nothing is lost between them, however they end.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use everstream_testing::{Feed, Gate, Reply, Server};

use crate::common::{Folder, PATIENCE, Running, everstream};

fn kept(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn with_cursor<'a>(url: &'a str, path: &'a Path, more: &[&'a str]) -> Running {
    let path = path.to_str().unwrap();
    Running::follow(
        [url, "--cursor", path]
            .into_iter()
            .chain(more.iter().copied()),
    )
}

#[test]
fn the_next_run_resumes_after_the_last_event() {
    let (server, folder) = (Server::start(), Folder::new("next"));
    let (path, feed) = (folder.path("cursor"), Feed::new());
    for data in ["a", "b", "c"] {
        feed.push(data);
    }
    server.otherwise(Reply::stream().resume(&feed));
    let url = server.url("/");
    for count in ["1", "2"] {
        let (code, stderr) = with_cursor(&url, &path, &["--count", count]).end();
        assert_eq!(code, 0, "{stderr}");
    }
    assert_eq!(kept(&path), "3\n");
    let ids: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("last-event-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, [None, Some("1".to_owned())]);
}

/// Each run overwrote the events of the one before.
#[test]
fn an_output_file_keeps_the_events_of_earlier_runs() {
    let (server, folder) = (Server::start(), Folder::new("append"));
    let (path, out, feed) = (folder.path("cursor"), folder.path("out"), Feed::new());
    for data in ["a", "b", "c"] {
        feed.push(data);
    }
    server.otherwise(Reply::stream().resume(&feed));
    let url = server.url("/");
    let out = out.to_str().unwrap();
    let written = ["1", "2"].map(|count| {
        let options = ["--count", count, "--format", "data", "-o", out];
        let (code, stderr) = with_cursor(&url, &path, &options).end();
        assert_eq!(code, 0, "{stderr}");
        fs::read_to_string(out).unwrap()
    });
    assert_eq!(written, ["a\n", "a\nb\nc\n"]);
    // Without a cursor, the stream starts again, and so does the file.
    let options = [&*url, "--count", "1", "--format", "data", "-o", out];
    let (code, stderr) = Running::follow(options).end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read_to_string(out).unwrap(), "a\n");
}

#[test]
fn the_cursor_takes_precedence_over_last_event_id() {
    let (server, folder) = (Server::start(), Folder::new("before"));
    server.otherwise(Reply::status(204));
    let url = server.url("/");
    let path = folder.path("cursor");
    with_cursor(&url, &path, &["--last-event-id", "7"]).end();
    fs::write(&path, "41\n").unwrap();
    with_cursor(&url, &path, &["--last-event-id", "7"]).end();
    let ids = [0, 1].map(|n| {
        server.requests()[n]
            .header("last-event-id")
            .map(str::to_owned)
    });
    assert_eq!(ids, [Some("7".to_owned()), Some("41".to_owned())]);
}

#[test]
fn the_cursor_passes_filtered_events_and_ids_without_an_event() {
    let (server, folder) = (Server::start(), Folder::new("left-out"));
    let (path, more) = (folder.path("cursor"), Gate::new());
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "wanted")
            .event_with_id("2", "other")
            .wait_for(&more)
            .send("id: 3\n\n")
            .comment("x")
            .stall(),
    );
    let url = server.url("/");
    let follower = with_cursor(&url, &path, &["--grep", "^wanted$", "--comments"]);
    follower.out.wait_for(1);
    wait_until(|| kept(&path) == "2\n");
    more.open();
    wait_until(|| kept(&path) == "3\n");
}

fn wait_until(is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "it was never created");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_last_event_of_a_run_moves_the_cursor() {
    let (server, folder) = (Server::start(), Folder::new("until"));
    let path = folder.path("cursor");
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "x")
            .event_with_id("2", "[DONE]")
            .stall(),
    );
    let url = server.url("/");
    let (code, stderr) = with_cursor(&url, &path, &["--until", "[DONE]"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(kept(&path), "2\n");
}

/// Even a cursor that is rarely written is saved before the stream pauses and at the end.
#[test]
fn cursor_every_batches_writes_and_loses_none() {
    let (server, folder) = (Server::start(), Folder::new("joined"));
    let (path, feed) = (folder.path("cursor"), Feed::new());
    (0..2000).for_each(|n| _ = feed.push(n.to_string()));
    server.otherwise(Reply::stream().resume(&feed));
    let url = server.url("/");
    let follower = with_cursor(&url, &path, &["--cursor-every", "1h"]);
    follower.out.wait_for(2000);
    wait_until(|| kept(&path) == "2000\n");
    feed.push("one more");
    wait_until(|| kept(&path) == "2001\n");
    follower.signal("KILL");
}

#[test]
fn the_cursor_stays_before_an_event_that_could_not_be_written() {
    let (server, folder) = (Server::start(), Folder::new("unread"));
    let path = folder.path("cursor");
    server.otherwise(Reply::stream().event_with_id("1", "x").stall());
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = everstream([&*server.url("/"), "--cursor", path.to_str().unwrap()])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(kept(&path), "");
}

#[test]
fn an_unusable_cursor_is_an_error() {
    let folder = Folder::new("bad");
    let end = |path: &Path| with_cursor("http://localhost/", path, &[]).end();
    let (code, stderr) = end(&folder.file("two", "1\n2\n"));
    assert_eq!(code, 2);
    assert!(stderr.contains("more than one line"), "{stderr}");
    for name in ["no/such", "it's no/$such"] {
        let missing = folder.path(name);
        let (code, stderr) = end(&missing.join("cursor"));
        assert_eq!(code, 2);
        let (_, hint) = stderr.split_once("hint: create it first: ").unwrap();
        assert!(hint.starts_with("mkdir -p "), "{stderr}");
        let created = Command::new("sh").args(["-c", hint]).status().unwrap();
        assert!(created.success() && missing.is_dir(), "{stderr}");
    }

    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "x").stall());
    // A folder instead of the temporary file.
    fs::create_dir(folder.path("c.tmp")).unwrap();
    let file = folder.path("c");
    let (code, stderr) = with_cursor(&server.url("/"), &file, &[]).end();
    assert_eq!(code, 1);
    let expected = format!("error: the cursor {} can't be written: ", file.display());
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(stderr.contains("hint: check the free space"), "{stderr}");
}

#[test]
fn a_cursor_whose_files_vanish_may_be_used_by_another_process() {
    let (server, folder, gone) = (Server::start(), Folder::new("vanish"), Gate::new());
    let cursors = folder.path("cursors");
    fs::create_dir(&cursors).unwrap();
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "x")
            .wait_for(&gone)
            .event_with_id("2", "y")
            .stall(),
    );
    let (url, path) = (server.url("/"), cursors.join("c"));
    let follower = with_cursor(&url, &path, &[]);
    wait_until(|| kept(&path) == "1\n");
    fs::remove_dir_all(&cursors).unwrap();
    gone.open();
    let (code, stderr) = follower.end();
    assert_eq!(code, 1, "{stderr}");
    let expected = "hint: its folder was deleted, or another process uses this cursor: each \
                    process needs its own";
    assert!(stderr.contains(expected), "{stderr}");
    assert!(!stderr.contains("free space"), "{stderr}");
}

/// The guarantee of `--cursor`: no event is lost, and a kill repeats at most one.
#[test]
fn an_id_that_can_not_be_sent_leaves_the_previous_one_in_the_cursor() {
    let (server, folder) = (Server::start(), Folder::new("unusable"));
    let path = folder.path("cursor");
    let long = "x".repeat(200_000);
    for id in ["a\x1b[31mb", &long] {
        let stream = format!("id: 1\ndata: a\n\nid: {id}\ndata: b\n\n");
        server.otherwise(Reply::stream().send(stream).stall());
        let url = server.url("/");
        let (code, stderr) = with_cursor(&url, &path, &["--count", "2"]).end();
        assert_eq!((code, &*kept(&path)), (0, "1\n"), "{stderr}");
    }
}

#[test]
fn a_symlink_is_followed_and_other_file_types_are_refused() {
    let (server, folder) = (Server::start(), Folder::new("link"));
    let (path, link) = (folder.path("cursor"), folder.path("link"));
    server.otherwise(Reply::stream().event_with_id("7", "a").stall());
    let url = server.url("/");
    fs::write(&path, "1\n").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (code, stderr) = with_cursor(&url, &link, &["--count", "1"]).end();
    assert_eq!((code, &*kept(&path)), (0, "7\n"), "{stderr}");
    assert!(link.is_symlink());

    let socket = folder.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let (code, stderr) = with_cursor(&url, &socket, &["--count", "1"]).end();
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("not a regular file"), "{stderr}");
}

#[test]
fn kills_at_any_moment_lose_nothing_and_repeat_at_most_one_event_each() {
    const KILLS: usize = 40;
    let (server, folder) = (Server::start(), Folder::new("kill"));
    let (cursor, out) = (folder.path("cursor"), folder.path("out"));
    let feed = Feed::new();
    server.keep_requests(1);
    server.otherwise(Reply::stream().resume(&feed));
    let over = Arc::new(AtomicBool::new(false));
    let publisher = std::thread::spawn({
        let (feed, over, cursor) = (feed.clone(), over.clone(), cursor.clone());
        move || {
            // In bursts, and not far ahead, because each event costs a write to the disk.
            while !over.load(Ordering::Relaxed) {
                let done: usize = kept(&cursor).trim().parse().unwrap_or(0);
                if feed.len() < done + 100 {
                    (0..20).for_each(|_| _ = feed.push("x"));
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    });
    let run = |more: &[&str]| {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&out)
            .unwrap();
        let url = server.url("/");
        let args = [&*url, "--cursor", cursor.to_str().unwrap(), "--quiet"];
        let mut command = everstream(args.into_iter().chain(more.iter().copied()));
        command
            .stdout(file)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    };
    let length = || fs::metadata(&out).map_or(0, |about| about.len());

    let mut seed = 0x9e37_79b9_u64;
    for _ in 0..KILLS {
        let before = length();
        let mut child = run(&[]);
        wait_until(|| length() > before);
        // At some point within the next milliseconds.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    over.store(true, Ordering::Relaxed);
    publisher.join().unwrap();
    let sent = feed.push("the last one");
    let mut last = run(&["--until", "the last one"]);
    assert!(last.wait().unwrap().success());

    let mut written = String::new();
    fs::File::open(&out)
        .unwrap()
        .read_to_string(&mut written)
        .unwrap();
    let mut newest = 0;
    let mut repeated = 0;
    for line in written.lines() {
        // A kill in the middle of a write would leave half a line, which the next run continues.
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id: usize = event["id"].as_str().unwrap().parse().unwrap();
        if id == newest {
            repeated += 1;
        } else {
            assert_eq!(id, newest + 1, "lost, or repeated from further back");
            newest = id;
        }
    }
    assert_eq!(
        newest,
        sent - 1,
        "the last one ends the run and isn't written"
    );
    assert!(repeated <= KILLS, "{repeated}");
    assert_eq!(kept(&cursor), format!("{sent}\n"));
    println!("{newest} events, {repeated} repeated by {KILLS} kills");
}

/// Anyone who could write to the folder could have any file of the user overwritten.
#[test]
fn a_symlink_instead_of_the_temporary_file_is_not_followed() {
    let (server, folder) = (Server::start(), Folder::new("trap"));
    let (path, precious) = (folder.path("c"), folder.file("precious", "mine"));
    std::os::unix::fs::symlink(&precious, folder.path("c.tmp")).unwrap();
    server.otherwise(Reply::stream().event_with_id("7", "a").stall());
    let (code, stderr) = with_cursor(&server.url("/"), &path, &["--count", "1"]).end();
    assert_eq!((code, &*kept(&path)), (0, "7\n"), "{stderr}");
    assert_eq!(kept(&precious), "mine");
    assert!(!path.is_symlink());
}

#[test]
fn a_cursor_keeps_its_permissions_and_only_the_owner_can_read_a_new_one() {
    use std::os::unix::fs::PermissionsExt;

    let (server, folder) = (Server::start(), Folder::new("mode"));
    let path = folder.path("cursor");
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "a")
            .event_with_id("2", "b")
            .stall(),
    );
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let url = server.url("/");
    for (before, after) in [(None, 0o600), (Some(0o644), 0o644), (Some(0o600), 0o600)] {
        if let Some(before) = before {
            fs::set_permissions(&path, PermissionsExt::from_mode(before)).unwrap();
        }
        let (code, stderr) = with_cursor(&url, &path, &["--count", "2"]).end();
        assert_eq!((code, &*kept(&path)), (0, "2\n"), "{stderr}");
        assert_eq!(mode(), after);
        fs::write(&path, "").unwrap();
    }
}

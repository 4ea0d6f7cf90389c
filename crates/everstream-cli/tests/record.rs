//! `everstream record`, and the replay of its recordings.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use everstream_testing::{Gate, Reply, Server};

use crate::common::recorded::{self, bytes, lines};
use crate::common::{self, Folder, Running, everstream, wait_for};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A recorder, killed when dropped.
fn record(url: &str, file: &Path, options: &[&str]) -> Running {
    let args = ["record", url, text(file)];
    Running::follow(args.into_iter().chain(options.iter().copied()))
}

/// A replay, and its URL.
fn replay(file: &Path, options: &[&str]) -> (Running, String) {
    let args = ["replay", text(file)];
    let server = Running::follow(args.into_iter().chain(options.iter().copied()));
    let url = server.out.wait_for(1)[0].clone();
    (server, url)
}

/// The events of a stream that ends, without their times.
fn events(url: &str) -> Vec<String> {
    let follower = Running::follow([url, "--no-reconnect", "--quiet"]);
    let lines = follower.out.all().into_iter();
    lines
        .map(|line| line.split(",\"time\"").next().unwrap().to_owned())
        .collect()
}

/// Records the replay of a recording; the bytes and events must be the same.
fn assert_comes_again(file: &Path, folder: &Folder, expected: &[u8]) -> Vec<String> {
    assert_eq!(
        bytes(file).escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    let (_server, url) = replay(file, &["--speed", "max"]);
    let again = folder.path("again");
    let (code, stderr) = record(&url, &again, &["--no-reconnect"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bytes(&again), bytes(file));
    events(&url)
}

#[test]
fn a_recording_replays_byte_for_byte() {
    let parts: [&[u8]; 4] = [
        b"\xef\xbb\xbf: welcome\r\nid: 1\r\ndata: one\r\n\r\nid: 2\rdata: caf\xc3",
        b"\xa9\r\r",
        b"data: not \xff\xfe text\n\ndata: \x1b[31m \x7f \xc2\x9b \xf0\x9f\x8c\x8a\n\n:\n",
        b"data: half an ev",
    ];
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let server = Server::start();
    let mut reply = Reply::stream().send(parts[0]);
    for (part, gate) in parts[1..].iter().zip(&gates) {
        reply = reply.wait_for(gate).send(*part);
    }
    server.enqueue(reply.end());
    server.enqueue(Reply::stream().send(parts.concat()).end());

    let folder = Folder::new("record-bytes");
    let file = folder.path("a.rec");
    let recorder = record(&server.url("/"), &file, &["--no-reconnect"]);
    // Each part is a separate chunk, so that a character is split.
    for (index, gate) in gates.iter().enumerate() {
        let whole: usize = parts[..=index].iter().map(|part| part.len()).sum();
        wait_for("chunk", || (bytes(&file).len() == whole).then_some(()));
        gate.open();
    }
    let (code, stderr) = recorder.end();
    assert_eq!(code, 0, "{stderr}");
    let lines = lines(&file);
    assert_eq!(lines.len(), 7, "{lines:#?}");
    assert_eq!(lines[6]["ended"], "server");
    assert!(
        stderr.contains("warning: discarded an unfinished event of 16 bytes"),
        "{stderr}"
    );

    let replayed = assert_comes_again(&file, &folder, &parts.concat());
    assert_eq!(replayed, events(&server.url("/")));
    assert_eq!(replayed.len(), 4, "{replayed:#?}");
    assert!(replayed[1].contains("\"café\""), "{replayed:#?}");
}

#[test]
fn bytes_are_recorded_without_content_coding() {
    let body = "id: 1\ndata: pressed\n\n".repeat(1000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .header("Content-Encoding", "gzip")
            .send(gzip.finish().unwrap())
            .end(),
    );
    let folder = Folder::new("record-gzip");
    let file = folder.path("a.rec");
    let (code, stderr) = record(&server.url("/"), &file, &["--no-reconnect"]).end();
    assert_eq!(code, 0, "{stderr}");
    let events = assert_comes_again(&file, &folder, body.as_bytes());
    assert_eq!(events.len(), 1000);
}

#[test]
fn a_killed_recorder_leaves_everything_received() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .event_with_id("1", "one")
            .event_with_id("2", "two")
            .stall(),
    );
    let folder = Folder::new("record-kill");
    let file = folder.path("a.rec");
    let mut recorder = record(&server.url("/"), &file, &[]);
    let all = "id: 1\ndata: one\n\nid: 2\ndata: two\n\n";
    wait_for("events", || (bytes(&file) == all.as_bytes()).then_some(()));
    recorder.signal("KILL");
    recorder.wait();

    let (_server, url) = replay(&file, &[]);
    assert_eq!(events(&url).len(), 2);

    // Within a line.
    let line = std::fs::read_to_string(&file).unwrap() + "{\"time\":1.5,\"text\":\"data: th";
    let file = folder.file("cut.rec", &line);
    let (server, url) = replay(&file, &[]);
    assert_eq!(events(&url).len(), 2);
    let stderr = server.err.wait_for_text("is cut off").join("\n");
    let number = line.lines().count();
    assert!(stderr.contains(&format!("line {number} of ")), "{stderr}");
}

#[test]
fn a_directory_is_refused() {
    let server = Server::start();
    let folder = Folder::new("record-directory");
    let directory = folder.path("");
    for options in [&[][..], &["--force"], &["--append"]] {
        let (code, stderr) = record(&server.url("/"), &directory, options).end();
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("is a directory\n"), "{stderr}");
        assert!(stderr.contains("hint: name a file in it: "), "{stderr}");
        assert!(!stderr.contains("--append continues"), "{stderr}");
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn an_existing_file_needs_append_or_force() {
    let server = Server::start();
    for name in ["first", "second", "third"] {
        server.enqueue(Reply::stream().event(name).end());
    }
    let folder = Folder::new("record-force");
    // Half a line is left by a recorder that was killed.
    let file = folder.file("a.rec", &(recorded::of_events(1) + "{\"time\":"));
    let before = std::fs::read(&file).unwrap();
    let url = server.url("/");

    let (code, stderr) = record(&url, &file, &["--no-reconnect"]).end();
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("a.rec exists"), "{stderr}");
    assert!(
        stderr.contains("--append") && stderr.contains("--force"),
        "{stderr}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // A mistake elsewhere doesn't overwrite the file.
    let (code, _) = record("ftp://localhost:80/", &file, &["--force"]).end();
    assert_eq!(code, 2);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(server.request_count(), 0);

    let (code, stderr) = record(&url, &file, &["--no-reconnect", "--append"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert!(std::fs::read(&file).unwrap().starts_with(&before));
    let (_server, replayed) = replay(&file, &[]);
    let both = events(&replayed);
    assert!(both.len() == 2 && both[1].contains("first"), "{both:?}");

    let (code, stderr) = record(&url, &file, &["--no-reconnect", "--force"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bytes(&file), b"data: second\n\n");
    // --append creates a missing file.
    let file = folder.path("new.rec");
    let (code, stderr) = record(&url, &file, &["--no-reconnect", "--append"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bytes(&file), b"data: third\n\n");
}

#[test]
fn secrets_are_not_recorded() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .header("Set-Cookie", "session=hidden")
            .header("X-Csrf-Token", "hidden")
            .header("X-Kind", "shown")
            .event("x")
            .end(),
    );
    let folder = Folder::new("record-secrets");
    let file = folder.path("a.rec");
    let url = server.url("/feed?token=hidden");
    let url = url.replace("http://", "http://user:hidden@");
    let options = ["--no-reconnect", "-H", "X-Key: hidden", "-d", "hidden"];
    let (code, stderr) = record(&url, &file, &options).end();
    assert_eq!(code, 0, "{stderr}");
    let request = &server.requests()[0];
    assert!(request.header("authorization").is_some() && request.body == b"hidden");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hidden"), "{text}");
    assert!(text.contains("[\"x-kind\",\"shown\"]"), "{text}");
    assert!(text.contains(&server.url("/feed")), "{text}");
}

#[test]
fn reconnects_and_failures_are_recorded() {
    let server = Server::start();
    server
        .enqueue(
            Reply::stream()
                .retry(1)
                .event_with_id("1", "one")
                .send("id: 2\ndata: t")
                .drop_connection(),
        )
        .enqueue(Reply::status(503))
        .enqueue(Reply::stream().event_with_id("2", "two").stall());
    let folder = Folder::new("record-reconnect");
    let file = folder.path("a.rec");
    let (code, stderr) = record(&server.url("/"), &file, &["--count", "2"]).end();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("resuming after id 1"), "{stderr}");
    assert!(
        stderr.contains("stopped by --count after 2 events"),
        "{stderr}"
    );

    let lines = lines(&file);
    assert_eq!(lines[0]["format"], "everstream-recording");
    assert_eq!(lines[0]["version"], 1);
    assert_eq!(lines[1]["connected"]["status"], 200);
    assert!(lines[1]["connected"]["last_event_id"].is_null());
    let ended = lines
        .iter()
        .find(|line| line.get("ended").is_some())
        .unwrap();
    assert_eq!(ended["ended"], "fault");
    assert_eq!(
        ended["error"],
        "the server closed the connection mid-response"
    );
    let has = |name: &str| lines.iter().filter(|line| line.get(name).is_some()).count();
    assert_eq!((has("connected"), has("failed"), has("ended")), (2, 1, 2));
    let again = lines.iter().rfind(|line| line.get("connected").is_some());
    assert_eq!(again.unwrap()["connected"]["last_event_id"], "1");
    assert_eq!(lines.last().unwrap()["ended"], "client");
    let times: Vec<_> = lines[1..]
        .iter()
        .map(|line| line["time"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    // Clients of a replay don't get half an event either.
    let (_server, url) = replay(&file, &["--speed", "max"]);
    let events = events(&url);
    assert!(
        events.len() == 2 && events[1].contains("\"two\""),
        "{events:?}"
    );
}

#[test]
fn a_dash_records_to_standard_output() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("one").stall());
    server.enqueue(Reply::stream().event("one").stall());
    let (mut recorder, stdout) =
        Running::start_unread(everstream(["record", &*server.url("/"), "-"]));
    let mut out = std::io::BufReader::new(stdout);
    let mut text = String::new();
    while !text.contains("data: one") {
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut text).unwrap(), 0);
    }
    // The output is closed, as by `| head`.
    drop(out);
    assert_eq!(recorder.wait().code(), Some(0), "{:?}", recorder.err.all());

    let file = Folder::new("record-stdout");
    let line = format!(
        "{0} record {1} - --count 1 | {0} replay - --listen 0 > url",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line} & echo $!; wait")]);
    shell.current_dir(file.path(""));
    let shell = Running::start(shell);
    let pid = shell.out.wait_for(1)[0].clone();
    let url = wait_for("URL", || {
        let url = std::fs::read_to_string(file.path("url")).unwrap_or_default();
        url.ends_with('\n').then(|| url.trim().to_owned())
    });
    assert_eq!(events(&url).len(), 1);
    let killed = Command::new("kill").arg(pid).status();
    assert!(killed.unwrap().success());
}

#[test]
fn signals_end_a_recording_cleanly() {
    for signal in ["INT", "TERM"] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id("1", "one").stall());
        let folder = Folder::new(&format!("record-{signal}"));
        let file = folder.path("a.rec");
        let recorder = record(&server.url("/"), &file, &[]);
        wait_for("event", || (!bytes(&file).is_empty()).then_some(()));
        recorder.signal(signal);
        let (code, stderr) = recorder.end();
        assert_eq!(code, 0, "{stderr}");
        assert!(
            stderr.contains("after 1 event; the last id is 1"),
            "{stderr}"
        );
        assert_eq!(lines(&file).last().unwrap()["ended"], "client");
    }
}

#[test]
fn the_exit_code_says_how_it_ended() {
    let server = Server::start();
    let folder = Folder::new("record-exit");
    let url = server.url("/");
    let mut number = 0;
    let mut code = |options: &[&str]| {
        number += 1;
        let file = folder.path(&number.to_string());
        let (code, stderr) = record(&url, &file, options).end();
        (code, stderr, lines(&file))
    };
    server.enqueue(Reply::status(204));
    let (exit, stderr, lines) = code(&[]);
    assert_eq!(exit, 4, "{stderr}");
    assert!(lines[1]["failed"].as_str().unwrap().contains("204"));
    server.enqueue(Reply::status(404));
    assert_eq!(code(&[]).0, 6);
    server.enqueue(Reply::stream().event("x").end());
    let (exit, stderr, _) = code(&["--no-reconnect", "--count", "2"]);
    assert_eq!(exit, 8, "{stderr}");
    assert!(stderr.contains("after 1 of 2 events"), "{stderr}");
    server.enqueue(Reply::stream().stall());
    assert_eq!(code(&["--duration", "50ms"]).0, 0);
    server.enqueue(Reply::stream().stall());
    assert_eq!(code(&["--duration", "50ms", "--count", "1"]).0, 7);
    server.enqueue(Reply::stream().event("x").stall());
    assert_eq!(code(&["--no-reconnect", "--read-timeout", "50ms"]).0, 7);
    for bad in [
        &["--count", "0"][..],
        &["--append", "--force"],
        &["--exec", "x"],
        &["--last-event-id", "\u{1b}"],
    ] {
        assert_eq!(code(bad).0, 2, "{bad:?}");
    }
    server.stop();
    assert_eq!(code(&["--no-reconnect"]).0, 5);

    let (code, stderr) = record(&url, &folder.path("no/such/folder"), &[]).end();
    assert_eq!(code, 2);
    assert!(stderr.contains("can't be written"), "{stderr}");
}

/// Neither the old content nor the new recording could be replayed.
#[test]
fn append_refuses_a_file_that_is_not_a_recording() {
    let server = Server::start();
    let folder = Folder::new("record-other");
    for text in ["my notes\n", "{\"format\":\"har\"}\n", "x"] {
        let file = folder.file("notes", text);
        let (code, stderr) = record(&server.url("/"), &file, &["--append"]).end();
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("notes isn't a recording"), "{stderr}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn a_url_without_a_scheme_is_http_in_every_command() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let folder = Folder::new("record-scheme");
    let file = folder.path("a.rec");
    let url = server.url("/x");
    let url = url.strip_prefix("http://").unwrap();
    for (args, code) in [
        (&["record", url, file.to_str().unwrap()][..], 4),
        (&["check", url], 10),
        (&["follow", url], 4),
        (&[url], 4),
        (&["--url", url], 4),
        (&["--url", &server.url("/x")], 4),
    ] {
        let (ended, stderr) = Running::follow(args.iter().copied()).end();
        assert_eq!(ended, code, "{args:?}: {stderr}");
        assert_eq!(server.requests().last().unwrap().target, "/x");
    }
}

#[test]
fn a_full_disk_ends_the_recording() {
    let server = Server::start();
    // More than the size limit of the file (1 MiB), in small chunks: a read is at most 64 KiB.
    let event = format!("data: {}\n\n", "x".repeat(100));
    server.otherwise(Reply::stream().send_forever(event));
    let folder = Folder::new("record-full");
    let mut shell = Command::new("sh");
    common::clean(&mut shell);
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_everstream")]);
    shell.args(["record", &server.url("/"), "full.rec"]);
    shell.current_dir(folder.path(""));
    let (code, stderr) = Running::start(shell).end();
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("the recording can't be written: "),
        "{stderr}"
    );
    assert_eq!(server.request_count(), 1, "{stderr}");
    // The partial recording can be replayed.
    let (_server, url) = replay(&folder.path("full.rec"), &["--speed", "max"]);
    assert!(!events(&url).is_empty());
}

//! `everstream replay`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Folder, Running, exchange, recorded};

/// A replay of this recording, and its URL.
fn replay(folder: &Folder, recording: &str, options: &[&str]) -> (Running, String) {
    let file = folder.file("a.rec", recording);
    let args = ["replay", file.to_str().unwrap()];
    let server = Running::follow(args.into_iter().chain(options.iter().copied()));
    let url = server.out.wait_for(1)[0].clone();
    (server, url)
}

fn refused(recording: &str, options: &[&str]) -> String {
    let folder = Folder::new("replay-refused");
    let file = folder.file("a.rec", recording);
    let args = ["replay", file.to_str().unwrap()];
    let (code, stderr) = Running::follow(args.into_iter().chain(options.iter().copied())).end();
    assert_eq!(code, 2, "{stderr}");
    stderr
}

/// The data of all events until the follower ends, and its code.
fn follow(url: &str, options: &[&str]) -> (Vec<String>, i32) {
    let options = options.iter().copied();
    let patient = ["--retry-delay", "5ms", "--retry-max", "20ms"];
    let args = [url].into_iter().chain(patient);
    let follower = Running::follow(args.chain(options));
    let data = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["data"].as_str().unwrap().to_owned()
    };
    let data = follower.out.all().iter().map(data).collect();
    (data, follower.end().0)
}

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|n| n.to_string()).collect()
}

#[test]
fn every_event_arrives_once_over_dropped_connections() {
    let folder = Folder::new("replay-drop");
    for options in [
        &["--drop-every", "3"][..],
        &["--drop-every", "3", "--drop-inside"],
        &["--drop-every", "1", "--drop-inside", "--speed", "max"],
    ] {
        let (server, url) = replay(&folder, &recorded::of_events(10), options);
        let (data, code) = follow(&url, &[]);
        assert_eq!(data, numbers(10), "{options:?}");
        // Status 204 for a client that has received all events.
        assert_eq!(code, 4);
        let clients = match options[1] {
            "3" => 5,
            _ => 11,
        };
        let stderr = server.err.wait_for_text("204");
        let last = stderr.last().unwrap();
        assert!(
            last.contains(&format!(
                "client {clients} has received the last event (id 10)"
            )),
            "{stderr:#?}"
        );
    }
}

#[test]
fn a_connection_is_dropped_after_the_event_or_within_the_next() {
    let folder = Folder::new("replay-inside");
    let body = |options: &[&str]| {
        let (_server, url) = replay(&folder, &recorded::of_events(3), options);
        let answer = String::from_utf8(exchange(&url, "GET", "")).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    assert_eq!(
        body(&["--drop-every", "2"]),
        "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n"
    );
    assert_eq!(
        body(&["--drop-every", "1", "--drop-inside"]),
        "id: 1\ndata: 1\n\nid: 2\nd"
    );
    // A truncated response ends without the last chunk of HTTP/1.1.
    let (_server, url) = replay(&folder, &recorded::of_events(3), &["--drop-every", "2"]);
    let follower = Running::follow([&*url, "--no-reconnect"]);
    let (code, stderr) = follower.end();
    assert_eq!(code, 8, "{stderr}");
    assert!(
        stderr.contains("the server closed the connection mid-response\n"),
        "{stderr}"
    );
}

#[test]
fn events_arrive_with_their_timing_or_faster() {
    let folder = Folder::new("replay-speed");
    let events = |last: f64| recorded::of(&[(0.0, "data: 1\n\n"), (last, "data: 2\n\n")]);
    // An event never arrives too early.
    for (speed, at_least) in [("1", 400), ("2", 200), ("0.5", 800)] {
        let (_server, url) = replay(&folder, &events(0.4), &["--speed", speed]);
        let begin = Instant::now();
        let (data, _) = follow(&url, &["--count", "2"]);
        assert!(
            begin.elapsed() >= Duration::from_millis(at_least),
            "{speed}"
        );
        assert_eq!(data, numbers(2));
    }
    // A recording of an hour ends at once.
    for speed in ["max", "0", "36000"] {
        let (_server, url) = replay(&folder, &events(3600.0), &["--speed", speed]);
        assert_eq!(follow(&url, &["--count", "2"]).0, numbers(2), "{speed}");
    }
    // The first event doesn't wait for the second.
    let (_server, url) = replay(&folder, &events(3600.0), &[]);
    assert_eq!(follow(&url, &["--count", "1"]).0, numbers(1));
}

#[test]
fn loop_repeats_the_recording_forever() {
    let folder = Folder::new("replay-loop");
    let text = "\u{feff}id: 1\ndata: 1\n\nid: 2\ndata: 2\n\ndata: half";
    let recording = recorded::of(&[(0.0, text)]);
    let (_server, url) = replay(&folder, &recording, &["--loop"]);
    let expected = ["1", "2", "1", "2", "1"];
    assert_eq!(follow(&url, &["--count", "5"]).0, expected);
    // It also continues after the last id, and drops are counted across the repetition.
    let (server, url) = replay(&folder, &recording, &["--loop", "--drop-every", "3"]);
    assert_eq!(follow(&url, &["--count", "5"]).0, expected);
    server.err.wait_for_text("client 2 resumes after id 1");
    assert_eq!(
        follow(&url, &["--last-event-id", "2", "--count", "1"]).0,
        ["1"]
    );

    for nothing in ["", "data: half", "\u{feff}"] {
        let stderr = refused(&recorded::of(&[(0.0, nothing)]), &["--loop"]);
        assert!(stderr.contains("no complete event"), "{stderr}");
    }
}

#[test]
fn an_unknown_id_replays_from_the_start_with_a_message() {
    let folder = Folder::new("replay-unknown");
    let (server, url) = replay(&folder, &recorded::of_events(2), &[]);
    let options = ["--last-event-id", "7\u{9b}", "--count", "2"];
    assert_eq!(follow(&url, &options).0, numbers(2));
    let stderr = server
        .err
        .wait_for_text("isn't in the recording")
        .join("\n");
    assert!(stderr.contains("id 7\\u{9b}, which"), "{stderr}");
    // Ids that aren't numbers, and those of blocks without an event, are known too.
    let recording = recorded::of(&[(0.0, "id: é\ndata: 1\n\nid: b\n\ndata: 2\n\n")]);
    let (_server, url) = replay(&folder, &recording, &[]);
    let after = |id| follow(&url, &["--no-reconnect", "--last-event-id", id]).0;
    assert_eq!(
        (after("é"), after("b")),
        (vec!["2".into()], vec!["2".into()])
    );
}

#[test]
fn heartbeats_and_retry_are_replayed() {
    let folder = Folder::new("replay-heartbeat");
    let body = ": beat\n\nretry: 250\n\ndata: 1\n\n:\n";
    let (_server, url) = replay(&folder, &recorded::of(&[(0.0, body)]), &[]);
    let answer = String::from_utf8(exchange(&url, "GET", "")).unwrap();
    let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert_eq!(sent, body);
}

#[test]
fn every_client_gets_the_whole_recording() {
    let folder = Folder::new("replay-clients");
    let (_server, url) = replay(&folder, &recorded::of_events(1000), &["--speed", "max"]);
    let clients: Vec<_> = (0..8)
        .map(|_| Running::follow([&*url, "--no-reconnect"]))
        .collect();
    for client in clients {
        assert_eq!(client.out.all().len(), 1000);
    }
}

/// It used to be held in memory, with an index.
#[cfg(target_os = "linux")]
#[test]
fn a_recording_larger_than_its_memory_is_replayed_from_disk() {
    let folder = Folder::new("replay-large");
    let (events, data) = (60_000, "x".repeat(1000));
    let mut recording = recorded::of(&[]);
    for id in 1..=events {
        recording += &format!("{{\"time\":0,\"text\":\"id: {id}\\ndata: {data}\\n\\n\"}}\n");
    }
    assert!(recording.len() > 60_000_000);
    let (server, url) = replay(&folder, &recording, &["--speed", "max"]);
    let body = exchange(&url, "GET", "");
    let last = format!("\n\nid: {events}\ndata: {data}\n\n");
    assert!(body.ends_with(last.as_bytes()) && body.len() > 60_000_000);
    let peak = server.peak();
    assert!(peak < 30_000, "{peak} KiB");
    // Resuming doesn't read the whole recording.
    let after = |id: u32| {
        let answer = exchange(&url, "GET", &format!("Last-Event-ID: {id}\r\n"));
        String::from_utf8(answer).unwrap()
    };
    let (_, rest) = after(events - 1)
        .split_once("\r\n\r\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(rest, last[2..]);
    assert!(after(events).contains(" 204 "));
}

#[test]
fn local_pages_and_allowed_origins_may_read_it() {
    let folder = Folder::new("replay-cors");
    let allow = ["--allow-origin", "https://app.example"];
    let (_server, url) = replay(&folder, &recorded::of_events(1), &allow);
    let allowed = |origin: &str| {
        let answer = exchange(&url, "GET", &format!("Origin: {origin}\r\n"));
        let answer = String::from_utf8(answer).unwrap();
        let expected = format!("access-control-allow-origin: {origin}\r\n");
        let credentials = "access-control-allow-credentials: true\r\n";
        for part in ["access-control", credentials] {
            assert_eq!(answer.contains(part), answer.contains(&expected), "{part}");
        }
        answer.contains(&expected)
    };
    assert!(allowed("http://localhost:3000") && allowed("https://app.example"));
    assert!(!allowed("https://other.example") && !allowed("null"));
    let asks = "Origin: http://localhost:3000\r\nAccess-Control-Request-Headers: last-event-id\r\n";
    let answer = String::from_utf8(exchange(&url, "OPTIONS", asks)).unwrap();
    assert!(
        answer.contains(" 204 ") && answer.contains("access-control-allow-headers: last-event-id")
    );
    let (_server, url) = replay(&folder, &recorded::of_events(1), &["--allow-origin", "*"]);
    let answer = String::from_utf8(exchange(&url, "GET", "Origin: null\r\n")).unwrap();
    assert!(
        answer.contains("access-control-allow-origin: null\r\n"),
        "{answer}"
    );
    let answer = String::from_utf8(exchange(&url, "DELETE", "")).unwrap();
    assert!(answer.contains(" 405 "), "{answer}");
}

#[cfg(unix)]
#[test]
fn signals_end_it_cleanly_and_drop_its_clients() {
    let folder = Folder::new("replay-signal");
    for signal in ["INT", "TERM"] {
        let recording = recorded::of(&[(0.0, "data: 1\n\n"), (3600.0, "data: 2\n\n")]);
        let (server, url) = replay(&folder, &recording, &[]);
        let follower = Running::follow([&*url, "--no-reconnect"]);
        follower.out.wait_for(1);
        server.signal(signal);
        let (code, stderr) = server.end();
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains("stopped by"), "{stderr}");
        assert_eq!(follower.end().0, 8);
    }
}

#[test]
fn invalid_recordings_and_options_have_hints() {
    let good = recorded::of_events(1);
    let more = "{\"time\":9,\"text\":\"x\"}\n";
    let stderr = refused(&format!("{good}nonsense\n{more}"), &[]);
    assert!(
        stderr.contains("line 4 of ") && stderr.contains("a.rec"),
        "{stderr}"
    );
    assert!(
        stderr.contains("isn't valid JSON: expected ident at column 2"),
        "{stderr}"
    );
    // Following the hint.
    assert_eq!(good.lines().count(), 3);
    assert!(stderr.contains("hint: the lines before it are intact: head -n 3 keeps them"));
    let folder = Folder::new("replay-intact");
    let (_server, url) = replay(&folder, &good, &[]);
    assert_eq!(follow(&url, &["--no-reconnect"]).0, numbers(1));
    let stderr = refused("data: x\n\n", &[]);
    assert!(stderr.contains("everstream record URL FILE"), "{stderr}");
    assert!(refused("", &[]).contains("is empty"));
    let newer = good.replace("\"version\":1", "\"version\":2");
    assert!(refused(&newer, &[]).contains("supports version 1"));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let stderr = refused(&good, &["--listen", &address]);
    assert!(
        stderr.contains(&format!("can't listen on {address}")),
        "{stderr}"
    );
    assert!(
        stderr.contains("another program uses this port"),
        "{stderr}"
    );
    assert!(refused(&good, &["--listen", "here"]).contains("use a port, or an address"));

    for options in [
        &["--drop-inside"][..],
        &["--drop-every", "0"],
        &["--speed", "-1"],
        &["--speed", "fast"],
    ] {
        refused(&good, options);
    }
    let (code, stderr) = Running::follow(["replay", "no/such/file"]).end();
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("no/such/file can't be read"), "{stderr}");
}

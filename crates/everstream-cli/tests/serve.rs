//! `everstream serve`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, Stdio};

use serde_json::Value;

use crate::common::{Running, everstream, exchange, open};

/// A server, its standard input, and its URL.
fn serve(options: &[&str]) -> (Running, ChildStdin, String) {
    let mut command = everstream(["serve"].into_iter().chain(options.iter().copied()));
    command.stdin(Stdio::piped());
    let mut server = Running::start(command);
    let stdin = server.stdin();
    let url = server.out.wait_for(1)[0].clone();
    (server, stdin, url)
}

fn follow(url: &str, options: &[&str]) -> Running {
    Running::follow([url].into_iter().chain(options.iter().copied()))
}

/// The field `data` of JSON lines.
fn data(lines: &[String]) -> Vec<String> {
    let data = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["data"].as_str().unwrap().to_owned()
    };
    lines.iter().map(data).collect()
}

/// The body of a response.
fn body(url: &str, headers: &str) -> String {
    let answer = String::from_utf8(exchange(url, "GET", headers)).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The id prefix of a run, from the beginning of a client's output.
fn run_of(text: &str) -> String {
    let id = text.lines().find_map(|line| line.strip_prefix("id: "));
    let (run, _) = id.unwrap().rsplit_once('-').unwrap();
    run.to_owned()
}

#[test]
fn each_line_arrives_when_it_is_written() {
    let (server, mut stdin, url) = serve(&[]);
    let follower = follow(&url, &["--no-reconnect"]);
    for count in 1..=5 {
        writeln!(stdin, "line {count}").unwrap();
        // The next line is written only after this one has arrived.
        let lines = follower.out.wait_for(count);
        assert_eq!(data(&lines)[count - 1], format!("line {count}"));
    }
    // The last line needs no newline.
    write!(stdin, "é\u{7}").unwrap();
    drop(stdin);
    assert_eq!(data(&follower.out.all())[5], "é\u{7}");
    assert_eq!(follower.end().0, 0);
    let (code, stderr) = server.end();
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("stopped by the end of standard input after 6 events"),
        "{stderr}"
    );
}

#[test]
fn every_client_gets_kept_and_new_events() {
    let (_server, mut stdin, url) = serve(&[]);
    let first = follow(&url, &["--no-reconnect"]);
    stdin.write_all(b"one\ntwo\n").unwrap();
    first.out.wait_for(2);
    let second = follow(&url, &["--no-reconnect"]);
    second.out.wait_for(2);
    stdin.write_all(b"three\n").unwrap();
    drop(stdin);
    for client in [first, second] {
        assert_eq!(data(&client.out.all()), ["one", "two", "three"]);
    }
}

#[test]
fn clients_resume_after_their_last_id() {
    let (server, mut stdin, url) = serve(&["--history", "2"]);
    let follower = follow(&url, &["--format", "raw"]);
    for (line, count) in [("one", 3), ("two", 6), ("three", 9)] {
        writeln!(stdin, "{line}").unwrap();
        follower.out.wait_for(count);
    }
    let lines = follower.out.wait_for(9);
    let run = run_of(&lines[0]);
    assert_eq!(lines[..3], [&format!("id: {run}-1"), "data: one", ""]);
    let resume = |number: u32| {
        let id = format!("{run}-{number}");
        let options = ["--last-event-id", &id, "--count", "1"];
        data(&follow(&url, &options).out.all())
    };
    assert_eq!(resume(2), ["three"]);
    // The first event is no longer kept.
    assert_eq!(resume(1), ["two"]);
    let stderr = server.err.wait_for_text("isn't kept").join("\n");
    assert!(
        stderr.contains(&format!(
            "asks for events after id {run}-1, which isn't kept"
        )),
        "{stderr}"
    );
}

/// Ids were line numbers: a client of one run silently missed that many lines of the next one.
#[test]
fn a_client_of_another_run_gets_all_lines_of_this_one() {
    let lines = |run: &str, count: usize| -> Vec<String> {
        (1..=count).map(|line| format!("{run} {line}")).collect()
    };
    let (first, second) = (lines("first", 50), lines("second", 100));
    let (server, mut stdin, url) = serve(&[]);
    stdin
        .write_all((first.join("\n") + "\n").as_bytes())
        .unwrap();
    let follower = follow(&url, &["--retry-delay", "5ms", "--retry-max", "20ms"]);
    assert_eq!(data(&follower.out.wait_for(50)), first);
    drop(server);

    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    let (server, mut stdin, _) = serve(&["--listen", port]);
    stdin
        .write_all((second.join("\n") + "\n").as_bytes())
        .unwrap();
    let received = data(&follower.out.wait_for(150));
    assert_eq!(received[50..], second);
    let stderr = server.err.wait_for_text("isn't kept").join("\n");
    assert!(stderr.contains("-50, which isn't kept"), "{stderr}");
}

#[test]
fn json_lines_are_events_comments_and_retry() {
    let (server, mut stdin, url) = serve(&["--json"]);
    let lines = [
        r#"{"event": "price", "data": {"p": 7.50}, "id": "a"}"#,
        r#"{"data": "two\nlines"}"#,
        "",
        r#"{"data": "x", "idd": "1"}"#,
        r#"{"comment": "beat", "retry": 100}"#,
        "nonsense",
        r#"{"data": "y", "id": null}"#,
    ];
    // Invalid lines are reported, and valid ones continue.
    stdin.write_all(lines.join("\n").as_bytes()).unwrap();
    let client = std::thread::spawn({
        let url = url.clone();
        move || body(&url, "")
    });
    server.err.wait_for_text("client 1 starts");
    drop(stdin);
    let sent = client.join().unwrap();
    let run = run_of(&sent[sent.find("id: a\n").unwrap() + 6..]);
    assert_eq!(
        sent,
        format!(
            "event: price\nid: a\ndata: {{\"p\": 7.50}}\n\n\
             id: {run}-2\ndata: two\ndata: lines\n\n\
             : beat\nretry: 100\n\n\
             data: y\n\n"
        )
    );
    let (code, stderr) = server.end();
    assert_eq!(code, 1, "{stderr}");
    let expected =
        "skipped line 4 of standard input: unknown field \"idd\"; the fields are event, data,";
    assert!(stderr.contains(expected), "{stderr}");
    assert!(
        stderr.contains("skipped line 6 of standard input: not a JSON"),
        "{stderr}"
    );
}

#[test]
fn the_output_of_everstream_can_be_served() {
    let (_server, mut stdin, url) = serve(&[]);
    stdin.write_all(b"one\n{\"two\": 2}\n").unwrap();
    let json = follow(&url, &["--count", "2", "--json-data"]).out.all();
    let (_server, mut stdin, url) = serve(&["--json"]);
    stdin.write_all(json.join("\n").as_bytes()).unwrap();
    stdin.write_all(b"\n").unwrap();
    let again = follow(&url, &["--count", "2", "--json-data"]).out.all();
    let timeless = |line: &String| line.split(",\"time\"").next().unwrap().to_owned();
    assert_eq!(
        json.iter().map(timeless).collect::<Vec<_>>(),
        again.iter().map(timeless).collect::<Vec<_>>()
    );
}

#[test]
fn heartbeats_are_sent_during_silence() {
    let (_server, mut stdin, url) = serve(&["--heartbeat", "20ms", "--no-ids"]);
    let mut client = open(&url, "GET", "");
    let mut text = String::new();
    let mut read_until = |end: &str| {
        while !text.ends_with(end) {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            text.push(byte[0].into());
        }
    };
    read_until("\r\n\r\n:\n:\n:\n");
    stdin.write_all(b"x\n").unwrap();
    read_until("\n:\ndata: x\n\n:\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_slow_client_is_dropped_without_affecting_others() {
    let (server, mut stdin, url) = serve(&["--history", "100", "--heartbeat", "0"]);
    let mut stuck = open(&url, "GET", "");
    server.err.wait_for_text("client 1 starts");
    let mut reader = BufReader::new(open(&url, "GET", ""));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let data = "x".repeat(20_000);
    let lines = format!("{data}\n").repeat(50);
    let mut run = String::new();
    let mut events = 0;
    // 30 MB in steps of half the history, each read before the next one is written.
    for _ in 0..30 {
        stdin.write_all(lines.as_bytes()).unwrap();
        for _ in 0..50 {
            events += 1;
            let size = format!("id: {}-{events}\ndata: {data}\n\n", "x".repeat(8)).len();
            let mut event = vec![0; size];
            reader.read_exact(&mut event).unwrap();
            if run.is_empty() {
                run = run_of(&String::from_utf8_lossy(&event));
            }
            let expected = format!("id: {run}-{events}\ndata: {data}\n\n");
            assert!(event == expected.as_bytes(), "event {events}");
        }
    }
    server.err.wait_for_text("client 1 reads too slowly");
    let peak = server.peak();
    assert!(peak < 30_000, "{peak} KiB");
    // It gets what was already sent, and then the end.
    let mut rest = Vec::new();
    _ = stuck.read_to_end(&mut rest);
    assert!(rest.len() < 50_000_000, "{}", rest.len());
    drop(stdin);
    assert_eq!(server.end().0, 0);
}

/// By default nginx buffers a response, and proxies may compress it.
#[test]
fn proxies_are_asked_not_to_buffer_or_transform_the_stream() {
    let (_server, _stdin, url) = serve(&[]);
    for method in ["GET", "HEAD"] {
        let mut reader = BufReader::new(open(&url, method, ""));
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut answer).unwrap(), 0, "{answer}");
        }
        for header in [
            "x-accel-buffering: no\r\n",
            "cache-control: no-cache, no-transform\r\n",
        ] {
            assert!(answer.contains(header), "{method}: {answer}");
        }
    }
}

#[test]
fn keep_open_keeps_streams_open_after_the_input_ended() {
    let (server, mut stdin, url) = serve(&["--keep-open"]);
    stdin.write_all(b"one\n").unwrap();
    drop(stdin);
    server.err.wait_for_text("standard input has ended");
    let follower = follow(&url, &["--no-reconnect"]);
    assert_eq!(data(&follower.out.wait_for(1)), ["one"]);
    server.signal("TERM");
    let (code, stderr) = server.end();
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("stopped by SIGTERM after 1 event"),
        "{stderr}"
    );
    assert_eq!(follower.end().0, 8);
}

#[test]
fn signals_end_it_while_the_input_is_silent() {
    for signal in ["INT", "TERM"] {
        let (server, _stdin, url) = serve(&[]);
        let follower = follow(&url, &["--no-reconnect"]);
        server.err.wait_for_text("client 1");
        server.signal(signal);
        let (code, stderr) = server.end();
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(follower.end().0, 8);
    }
}

/// DNS rebinding: a page can point its own host name to this machine; for the browser the stream
/// then has the page's origin.
#[test]
fn dns_rebinding_is_refused() {
    let ask = |url: &str, host: &str| {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        write!(socket, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    };
    let (server, _stdin, url) = serve(&["--allow-origin", "http://app.example:3000"]);
    for host in [
        "localhost:1",
        "127.0.0.1",
        "[::1]:80",
        "a.localhost",
        "app.example",
    ] {
        assert_eq!(ask(&url, host), "200", "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example:80",
        "10.0.0.1",
        "",
        "127.0.0.1.evil.example",
    ] {
        assert_eq!(ask(&url, host), "403", "{host}");
    }
    // They don't count as clients.
    server.signal("TERM");
    let (_, stderr) = server.end();
    assert_eq!(stderr.matches("client ").count(), 5, "{stderr}");
    for options in [&["--allow-origin", "*"], &["--listen", "0.0.0.0:0"]] {
        let (_server, _stdin, url) = serve(options);
        assert_eq!(ask(&url, "evil.example"), "200");
    }
}

#[test]
fn favicon_requests_are_not_clients() {
    let (server, mut stdin, url) = serve(&[]);
    let icon = follow(&format!("{url}favicon.ico"), &[]);
    let (code, stderr) = icon.end();
    assert_eq!(code, 6, "{stderr}");
    stdin.write_all(b"one\n").unwrap();
    follow(&format!("{url}any/path"), &["--count", "1"]).end();
    assert!(server.err.wait_for_text("client 1").len() == 1);
}

#[test]
fn invalid_options_have_hints() {
    for (options, expected) in [
        (&["--history", "0"][..], "history"),
        (&["--heartbeat", "often"], "heartbeat"),
        (&["--listen", "example.com:80"], "use a port, or an address"),
        (
            &["--listen", "192.0.2.1:0"],
            "use an address of this machine",
        ),
        (&["data.txt"], "unexpected argument"),
        (&["--allow-origin", "http://a.example/"], "without a path"),
        (&["--allow-origin", "a.example"], "without a path"),
    ] {
        let server = Running::follow(["serve"].into_iter().chain(options.iter().copied()));
        let (code, stderr) = server.end();
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

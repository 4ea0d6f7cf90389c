//! The report, and how the check ends.

#[cfg(unix)]
use std::{io::Write, os::fd::OwnedFd, os::unix::net::UnixStream, process::Command};

use everstream_testing::{Reply, Server};

#[cfg(unix)]
use crate::common::{Folder, pty::Pty};
use crate::common::{Running, everstream};

use super::{good, head, run, serve, with};

#[test]
fn an_unreachable_server_and_invalid_options_have_their_exit_codes() {
    let server = Server::start();
    server.stop();
    let outcome = run(&server.url("/"), &[]);
    assert_eq!(outcome.code, 5);
    assert_eq!(outcome.with_level("fail"), ["reachable"]);
    assert!(outcome.observed("reachable").contains("refused"));
    for options in [
        &["ftp://localhost:80/"][..],
        &["http://localhost/", "--origin", "app.example"],
        &["http://localhost/", "--origin", "https://app.example/path"],
        &["http://localhost/", "--count", "0"],
        &["http://localhost/", "-H", "nonsense"],
    ] {
        let args = ["check"].into_iter().chain(options.iter().copied());
        let (code, news) = Running::follow(args).end();
        assert_eq!(code, 2, "{news}");
    }
}

#[test]
fn problems_come_before_warnings() {
    let server = serve(|request| {
        let head = head().header("Cache-Control", "no-transform");
        with(head, request, "{\"n\": 0}\n\n")
    });
    let args = ["check", &*server.url("/"), "--count", "5"];
    let output = everstream(args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let first = text.lines().next().unwrap();
    let expected = "1 problem: lines that clients ignore; 1 warning: may be cached";
    assert_eq!(first, expected);
    let place = |what| text.find(what).unwrap();
    assert!(
        place("FAIL  fields") < place("warn  cache-control"),
        "{text}"
    );
    assert!(place("warn  cache-control") < place("passed    "), "{text}");
}

#[test]
fn a_stream_without_events_is_in_the_verdict_and_at_the_end() {
    let server = serve(|_| head().send(": hi\n\n").stall());
    let args = ["check", &*server.url("/"), "--duration", "1s"];
    let output = everstream(args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, last) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    for line in [first, last] {
        assert!(line.contains("; no event arrived in 1.0"), "{text}");
        assert!(line.ends_with(", only comments"), "{text}");
    }
    assert!(text.contains("\nskip  first-event"), "{text}");
}

#[test]
fn the_last_line_names_the_silences_that_were_not_examined() {
    let server = serve(good);
    let url = server.url("/");
    let last = |options: &[&str]| {
        let args = ["check", &*url].into_iter();
        let output = everstream(args.chain(options.iter().copied()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    let line = last(&["--duration", "1s"]);
    let (_, rest) = line
        .split_once(" not seen; silences longer than ")
        .expect(&line);
    let (seconds, rest) = rest.split_once(" s ").expect(&line);
    assert!(seconds.parse::<f64>().is_ok_and(|it| it > 0.0), "{line}");
    assert_eq!(rest, "weren't examined: use --duration 70s", "{line}");
    // A longer duration wouldn't show more.
    let line = last(&["--count", "5"]);
    assert!(line.ends_with(" not seen"), "{line}");
}

#[test]
fn options_that_would_show_more_have_a_line_of_their_own() {
    let server = serve(|request| {
        with(
            head().without_header("Access-Control-Allow-Origin"),
            request,
            "",
        )
    });
    let options = ["--count", "5"];
    let report = run(&server.url("/"), &options).report;
    assert_eq!(report["verdict"], "no problems");
    let cors = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == "cors");
    let option = cors.unwrap()["try"].as_str().unwrap();
    assert!(option.starts_with("--origin "), "{option}");
    let output = everstream(["check", &*server.url("/"), "--count", "5", "-v"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\n      try  --origin "), "{text}");
}

#[test]
fn no_secret_is_in_a_report() {
    let server = serve(|request| {
        let head = head().header("Set-Cookie", "session=secret");
        match request.path() {
            "/" => Reply::redirect(302, "/feed?key=secret").header("Set-Cookie", "a=secret"),
            _ => with(head, request, ""),
        }
    });
    let url = server
        .url("/?token=secret")
        .replace("http://", "http://me:secret@");
    for form in ["json", "text"] {
        let args = [
            "check",
            &url,
            "--count",
            "5",
            "-v",
            "--format",
            form,
            "-H",
            "X-Key: secret",
        ];
        let output = everstream(args).output().unwrap();
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(all.contains("resume"), "{all}");
        assert!(!all.contains("secret"), "{all}");
    }
    assert_eq!(server.requests()[1].header("x-key"), Some("secret"));
}

#[test]
fn a_server_can_not_control_the_terminal() {
    let server = serve(|request| {
        with(
            head(),
            request,
            "event: \x1b[2J\u{9b}2J\ndata: x\n\n\x1b]0;x\x07: y\nid: \u{202e}\n\n",
        )
    });
    for form in ["json", "text"] {
        let args = ["check", &*server.url("/"), "--count", "5", "--format", form];
        let output = everstream(args).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("event-types"), "{shown}");
        let controls = shown.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(controls.count(), 0, "{shown:?}");
    }
}

#[test]
fn the_verdict_comes_first_and_passes_take_a_line() {
    let server = serve(|request| with(head(), request, "retry: 0\n\n"));
    let url = server.url("/");
    let text = |option| {
        let output = everstream(["check", &*url, "--count", "5", option])
            .output()
            .unwrap();
        let both = (output.stdout, output.stderr);
        (
            String::from_utf8(both.0).unwrap(),
            String::from_utf8(both.1).unwrap(),
        )
    };
    let (quiet, news) = text("--quiet");
    assert_eq!(news, "");
    let lines: Vec<&str> = quiet
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(
        lines[..2],
        ["no problems; 1 warning: unsuitable retry", "warn"]
    );
    assert!(
        !quiet.contains("passed  ") && !quiet.contains("not seen  "),
        "{quiet}"
    );
    let (plain, _) = text("--duration=20s");
    assert!(
        plain.contains("\npassed    reachable, redirects, status"),
        "{plain}"
    );
    assert!(plain.contains("\nnot seen  tls, "), "{plain}");
    assert!(!plain.contains("\npass  "), "{plain}");
    let (verbose, news) = text("--verbose");
    assert!(news.contains("watching the stream"), "{news}");
    assert!(verbose.contains("\nskip  heartbeat"), "{verbose}");
    assert!(verbose.contains("\npass  ids"), "{verbose}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_check_with_a_report() {
    let server = serve(good);
    let args = [
        "check",
        &*server.url("/"),
        "--duration",
        "1h",
        "--format",
        "json",
    ];
    let mut running = Running::follow(args);
    running.err.wait_for_text("watching the stream");
    running.signal("INT");
    assert_eq!(running.wait().code(), Some(0));
    let report = running.out.all().join("\n");
    assert!(report.contains(r#""fail":0"#), "{report}");
    assert!(report.contains(r#""requests":1,"#), "{report}");
    assert_eq!(server.request_count(), 1, "no further request is sent");
}

/// Without a limit, each of its requests would be waited for.
#[test]
fn a_server_that_stalls_does_not_exceed_max_time() {
    let server = serve(|request| match request.header("accept-encoding") {
        Some("identity") if request.header("last-event-id").is_none() => good(request),
        _ => Reply::raw("").stall(),
    });
    let options = ["--duration", "1s", "--count", "5", "--max-time", "2s"];
    let outcome = run(&server.url("/"), &options);
    assert_eq!(outcome.code, 0, "{:#}", outcome.report);
    for id in ["compression", "reconnect", "resume", "unknown-id"] {
        let expected = "not checked within the time limit of 2.00 s";
        assert_eq!(outcome.observed(id), expected, "{id}");
        assert!(outcome.with_level("skip").contains(&id), "{id}");
    }
    assert!(
        outcome
            .news
            .contains("not everything was checked within 2.00 s (raise --max-time)"),
        "{}",
        outcome.news
    );
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_server_that_does_not_answer_in_time_is_silent() {
    let server = serve(|_| Reply::raw("").stall());
    let outcome = run(&server.url("/"), &["--max-time", "1s"]);
    assert_eq!(outcome.code, 10, "{:#}", outcome.report);
    assert_eq!(outcome.with_level("fail"), ["reachable"]);
    let said = outcome.observed("reachable");
    assert_eq!(said, "no response within the time limit of 1.00 s");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_a_report_of_what_was_seen() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "Ctrl-C")] {
        let (server, folder) = (serve(good), Folder::new("check-signal"));
        let file = folder.path("report");
        let line = format!(
            "echo pid $$.; exec '{}' check '{}' --duration 1h -v > '{}'",
            env!("CARGO_BIN_EXE_everstream"),
            server.url("/"),
            file.display()
        );
        let mut terminal = Pty::run(24, 100, &line, &[]);
        // Everything that the report needs has arrived.
        let shown = terminal.wait_for("5 events");
        let (_, pid) = shown.split_once("pid ").unwrap();
        let (pid, _) = pid.split_once('.').unwrap();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", signal, pid]).status().unwrap().success());
        assert_eq!(terminal.end(), 0, "{signal}");
        let report = std::fs::read_to_string(&file).unwrap();
        let words: Vec<&str> = report.split_whitespace().collect();
        let report = words.join(" ");
        let expected = format!("resume not checked: stopped by {name}");
        assert!(report.contains(&expected), "{report}");
        let written = terminal.written();
        assert!(!written.contains("reconnecting"), "{written:?}");
    }
}

/// Bug: neither a signal nor `--max-time` ended it while its report couldn't be written.
#[cfg(unix)]
#[test]
fn it_ends_while_the_reader_of_its_report_is_stuck() {
    let server = serve(good);
    let url = server.url("/");
    for (options, signal) in [
        (["--duration", "1h", "--max-time", "2h"], Some("TERM")),
        (["--duration", "1h", "--max-time", "1s"], None),
    ] {
        let mut command = everstream(["check", &*url].into_iter().chain(options));
        let (stdout, _reader) = stuck();
        command.stdout(stdout);
        let mut running = Running::spawn(command);
        running.err.wait_for_text("watching the stream");
        if let Some(signal) = signal {
            running.signal(signal);
        }
        assert_eq!(running.wait().code(), Some(1), "{options:?}");
    }
}

/// A pipe that accepts no more bytes.
#[cfg(unix)]
fn stuck() -> (OwnedFd, UnixStream) {
    let (mut stuck, reader) = UnixStream::pair().unwrap();
    stuck.set_nonblocking(true).unwrap();
    while stuck.write(&[b'x'; 4096]).is_ok() {}
    while stuck.write(b"x").is_ok() {}
    stuck.set_nonblocking(false).unwrap();
    (stuck.into(), reader)
}

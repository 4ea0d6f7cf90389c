//! Exit codes and last messages.

use std::io::Read;
use std::process::Stdio;

use everstream_testing::{Reply, Server};

use crate::common::{self, Running, everstream};

/// The exit code and standard error of a command that ends by itself.
fn end<'a>(args: impl IntoIterator<Item = &'a str>) -> (i32, String) {
    Running::follow(args).end()
}

fn end_after(reply: Reply) -> (i32, String) {
    let server = Server::start();
    server.otherwise(reply);
    end([&*server.url("/feed?token=secret"), "-H", "X-Key: secret"])
}

#[cfg(unix)]
#[test]
fn signals_end_it_cleanly() {
    for (signal, name) in [("INT", "Ctrl-C"), ("TERM", "SIGTERM")] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id("41", "x").stall());
        let mut follower = Running::follow([&*server.url("/")]);
        follower.out.wait_for(1);
        follower.signal(signal);
        assert_eq!(follower.wait().code(), Some(0));
        let stderr = follower.err.all().join("\n");
        let expected = format!("stopped by {name} after 1 event; the last id is 41");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_for_a_retry() {
    let server = Server::start();
    server.otherwise(Reply::status(503).header("Retry-After", "3600"));
    let mut follower = Running::follow([&*server.url("/")]);
    follower.err.wait_for_text("retrying in 3600 s");
    follower.signal("INT");
    assert_eq!(follower.wait().code(), Some(0));
    // Not killed after the grace period, which leaves no message.
    follower.err.wait_for_text("stopped by Ctrl-C");
}

/// It hung writing to a reader that had stopped reading.
#[cfg(unix)]
#[test]
fn a_signal_ends_it_while_its_output_is_blocked() {
    let server = Server::start();
    // Larger than the capacity of a pipe.
    server.otherwise(Reply::stream().event("x".repeat(1 << 20)).stall());
    let (mut follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    follower.signal("TERM");
    assert_eq!(follower.wait().code(), Some(0));
}

#[test]
fn it_ends_quietly_when_its_output_is_closed() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").send_forever("data: y\n\n"));
    let (follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let (code, stderr) = follower.end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "more than 'connected': {stderr}");
}

/// `everstream URL | head -1` hung until the next event.
#[cfg(unix)]
#[test]
fn it_ends_when_its_output_is_closed_during_a_silent_stream() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let (mut follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(follower.wait().code(), Some(0));
    assert!(server.wait_for_open_connections(0, common::PATIENCE));
    // Also before any output.
    server.stop();
    let (follower, stdout) = Running::start_unread(everstream([&*server.url("/")]));
    follower.err.wait_for_text("retrying");
    drop(stdout);
    assert_eq!(follower.end().0, 0);
}

#[test]
fn an_unreachable_host_has_a_hint() {
    let (code, stderr) = end(["http://feed.invalid/", "-x", "", "--max-attempts", "1"]);
    assert_eq!(code, 5);
    assert!(stderr.contains("hint: check the host name"), "{stderr}");
    let server = Server::start();
    server.otherwise(
        Reply::on_accept()
            .send("HTTP/1.1 400 Bad Request\r\n\r\n")
            .drop_connection(),
    );
    let https = server.url("/").replace("http:", "https:");
    let (code, stderr) = end([&*https, "--max-attempts", "1"]);
    assert_eq!(code, 5);
    assert!(
        stderr.contains("hint: the port may speak plain HTTP"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_can_not_be_written_is_an_error() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = everstream([&*server.url("/")])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("the output can't be written: No space left"),
        "{stderr}"
    );
}

#[test]
fn a_response_that_is_not_a_stream_has_a_hint() {
    let (code, stderr) = end_after(Reply::status(404).send("\n<h1>Nope</h1>\x1b[2J\n"));
    assert_eq!(code, 6);
    assert!(
        stderr.contains("/feed answered with status 404"),
        "{stderr}"
    );
    assert!(
        stderr.contains(r"the server said: <h1>Nope</h1>\u{1b}[2J"),
        "{stderr}"
    );
    assert!(
        stderr.contains("hint: there is no stream at this URL"),
        "{stderr}"
    );

    let (code, stderr) = end_after(Reply::status(401));
    assert_eq!(code, 6);
    assert!(stderr.contains("hint: send credentials"), "{stderr}");
    assert!(!stderr.contains("secret"), "{stderr}");

    let (code, stderr) = end_after(Reply::status(200).header("Content-Type", "text/html"));
    assert_eq!(code, 3);
    assert!(
        stderr.contains("\"text/html\" instead of text/event-stream"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: "), "{stderr}");

    let (code, stderr) = end_after(Reply::redirect(302, "/feed?token=secret"));
    assert_eq!(code, 3);
    assert!(
        stderr.contains("exceeded the limit of 10 redirects"),
        "{stderr}"
    );
    assert!(!stderr.contains("secret"), "{stderr}");
}

#[test]
fn status_204_ends_the_stream() {
    let (code, stderr) = end_after(Reply::status(204));
    assert_eq!(code, 4);
    assert!(stderr.contains("ended the stream permanently"), "{stderr}");
}

#[test]
fn an_invalid_url_has_a_hint() {
    let (code, stderr) = end(["ftp.example.com/feed?token=secret"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("means ftp://, as in curl"), "{stderr}");
    assert!(stderr.contains("hint: add http:// or https://"), "{stderr}");
    assert!(
        !stderr.contains("secret") && !stderr.contains("pw"),
        "{stderr}"
    );

    let (code, stderr) = end(["ftp://example.com/feed"]);
    assert_eq!(code, 2);
    let error = "error: invalid URL \"ftp://example.com/feed\": the scheme ftp isn't http or https";
    assert!(stderr.contains(error), "{stderr}");
    assert!(
        stderr.contains("hint: a URL begins with http:// or https://"),
        "{stderr}"
    );

    let (code, stderr) = end(["http://localhost/", "--resolve", "127.0.0.1:1:127.0.0.1"]);
    assert_eq!(code, 2);
    let error = "error: invalid --resolve: \"127.0.0.1\" is an IP address, which isn't looked up";
    assert!(stderr.contains(error), "{stderr}");
}

#[test]
fn an_invalid_header_has_a_hint_and_is_not_shown() {
    let bad = |header: &str| end(["http://localhost/", "-H", "A: b", "-H", header]);
    let (code, stderr) = bad("Authorization Bearer secret");
    assert_eq!(code, 2);
    assert!(stderr.contains("header 2 has no colon"), "{stderr}");
    assert!(
        stderr.contains("-H 'Authorization: Bearer TOKEN'"),
        "{stderr}"
    );
    assert!(!stderr.contains("secret"), "{stderr}");

    // A token that contains a colon, after a name without one.
    for header in ["X Y: secret", "Authorization Bearer secret:x", ": secret"] {
        let (code, stderr) = bad(header);
        assert_eq!(code, 2);
        assert!(stderr.contains("header 2 has an invalid name"), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }

    let (code, stderr) = bad("X: secret\nY: z");
    assert_eq!(code, 2);
    assert!(stderr.contains("control characters"), "{stderr}");
    assert!(!stderr.contains("secret"), "{stderr}");
}

/// The shell splits a header without quotes into several arguments.
#[test]
fn usage_errors_show_no_secrets() {
    for args in [
        &["http://localhost/", "-H", "Authorization: Bearer", "secret"][..],
        &["http://localhost/", "--bearer-env", "secret"],
        &["http://localhost/", "-x", "ftp://me:secret@localhost/"],
        &["http://localhost/", "-x", "http://me:secret@local host/"],
        &["http://localhost/", "-x", "me:secret"],
        &["http://me:secret@local host/"],
        &[
            "http://me:se/cret-secret@localhost/?secret",
            "--json",
            "{}",
            "-d",
            "x",
        ],
        &["ftp://me:secret@localhost/?secret"],
        &["http://localhost/", "-u", "me:secret", "--bearer-env", "X"],
        &[
            "http://localhost/",
            "-H",
            "Authorization: secret",
            "--no-such",
        ],
    ] {
        let (code, stderr) = end(args.iter().copied());
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{args:?}: {stderr}");
    }
}

#[test]
fn an_id_that_can_not_be_sent_is_refused() {
    let (code, stderr) = end(["http://localhost/", "--last-event-id", "4\n1"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("control character"), "{stderr}");
}

#[test]
fn usage_errors_exit_with_2() {
    assert_eq!(end([]).0, 2);
    assert_eq!(end(["--no-such-option", "http://localhost/"]).0, 2);
    assert_eq!(end(["demo", "--events", "0"]).0, 2);
}

#[test]
fn a_discarded_unfinished_event_is_reported() {
    let (code, said) = end_once(Reply::stream().event("a").send("data: unfinished\n"), &[]);
    assert_eq!(code, 0, "{said}");
    let warning = "warning: discarded an unfinished event of 17 bytes: no blank line followed it";
    assert!(said.contains(warning), "{said}");
    let hint = "hint: if this server ends its streams this way, --dispatch-unfinished delivers";
    assert!(said.contains(hint), "{said}");
    let reply = Reply::stream().send("data: unfinished\n").end();
    let (_, said) = end_once(reply, &["--dispatch-unfinished"]);
    assert!(said.contains("after 1 event"), "{said}");
    assert!(
        !said.contains("warning") && !said.contains("hint"),
        "{said}"
    );
    // The hint doesn't help with a response that may have been cut off. It isn't repeated.
    let (_, said) = end_once(
        Reply::stream().close_delimited().send("data: unfinished\n"),
        &["--dispatch-unfinished"],
    );
    assert!(said.contains(&warning[..30]), "{said}");
    assert!(!said.contains("hint"), "{said}");
    let (_, said) = end_once(Reply::stream().event("a"), &[]);
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn a_response_without_events_is_shown_with_control_characters_escaped() {
    let reply = || Reply::stream().send("{\n  \"error\": \"\u{1b}[31moverloaded\"\n}");
    let shown = r#"warning: the response has no events; it begins with: { "error": "\u{1b}[31moverloaded" }"#;
    let (_, said) = end_once(reply(), &[]);
    assert!(said.contains(shown), "{said}");
    // A stream that should end with a sentinel is an error.
    let (code, said) = end_once(reply(), &["--until", "[DONE]", "-d", "prompt"]);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains(shown), "{said}");
}

/// The messages about one response, which isn't requested again.
fn end_once(reply: Reply, options: &[&str]) -> (i32, String) {
    let server = Server::start();
    server.enqueue(reply);
    let url = server.url("/");
    end([&*url, "--no-reconnect"]
        .into_iter()
        .chain(options.iter().copied()))
}

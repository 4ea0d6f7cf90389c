//! How the command ends, and what it says then.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

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
        assert_eq!(follower.wait_within(Duration::from_secs(5)).code(), Some(0));
        let news = follower.err.all().join("\n");
        let expected = format!("stopped by {name} after 1 event; the last id is 41");
        assert!(news.contains(&expected), "{news}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_before_another_attempt() {
    let server = Server::start();
    server.otherwise(Reply::status(503).header("Retry-After", "3600"));
    let mut follower = Running::follow([&*server.url("/")]);
    follower.err.wait_for_text("retrying in 3600 s");
    follower.signal("INT");
    assert_eq!(follower.wait_within(Duration::from_secs(5)).code(), Some(0));
}

/// It hung in writing to a reader that had stopped reading.
#[cfg(unix)]
#[test]
fn a_signal_ends_it_while_its_reader_is_stuck() {
    let server = Server::start();
    // Larger than what a pipe holds.
    server.otherwise(Reply::stream().event("x".repeat(1 << 20)).stall());
    let (mut follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    follower.signal("TERM");
    assert_eq!(follower.wait().code(), Some(0));
}

#[test]
fn it_ends_quietly_when_its_reader_has_enough() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").send_forever("data: y\n\n"));
    let (follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let (code, news) = follower.end();
    assert_eq!(code, 0, "{news}");
    assert_eq!(news.lines().count(), 1, "more than 'connected': {news}");
}

/// `everstream URL | head -1` hung until the next event.
#[cfg(unix)]
#[test]
fn it_ends_when_its_reader_has_enough_also_while_the_stream_is_silent() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let (mut follower, mut stdout) = Running::start_unread(everstream([&*server.url("/")]));
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(follower.wait().code(), Some(0));
    assert!(server.wait_for_open_connections(0, common::PATIENCE));
    // And before there was anything.
    server.stop();
    let (follower, stdout) = Running::start_unread(everstream([&*server.url("/")]));
    follower.err.wait_for_text("retrying");
    drop(stdout);
    assert_eq!(follower.end().0, 0);
}

#[test]
fn a_host_that_can_not_be_reached_is_explained() {
    let (code, news) = end(["http://feed.invalid/", "-x", "", "--max-attempts", "1"]);
    assert_eq!(code, 5);
    assert!(news.contains("hint: check the name of the host"), "{news}");
    let server = Server::start();
    server.otherwise(
        Reply::on_accept()
            .send("HTTP/1.1 400 Bad Request\r\n\r\n")
            .drop_connection(),
    );
    let https = server.url("/").replace("http:", "https:");
    let (code, news) = end([&*https, "--max-attempts", "1"]);
    assert_eq!(code, 5);
    assert!(
        news.contains("hint: the port may speak plain HTTP"),
        "{news}"
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
    let news = String::from_utf8(output.stderr).unwrap();
    assert!(
        news.contains("the output can't be written: No space left"),
        "{news}"
    );
}

#[test]
fn an_answer_that_is_no_stream_is_explained() {
    let (code, news) = end_after(Reply::status(404).send("\n<h1>Nope</h1>\x1b[2J\n"));
    assert_eq!(code, 6);
    assert!(news.contains("/feed answered with status 404"), "{news}");
    assert!(
        news.contains(r"the server said: <h1>Nope</h1>\u{1b}[2J"),
        "{news}"
    );
    assert!(news.contains("hint: check the path"), "{news}");

    let (code, news) = end_after(Reply::status(401));
    assert_eq!(code, 6);
    assert!(news.contains("hint: send credentials"), "{news}");
    assert!(!news.contains("secret"), "{news}");

    let (code, news) = end_after(Reply::status(200).header("Content-Type", "text/html"));
    assert_eq!(code, 3);
    assert!(
        news.contains("\"text/html\" instead of text/event-stream"),
        "{news}"
    );
    assert!(news.contains("hint: "), "{news}");

    let (code, news) = end_after(Reply::redirect(302, "/feed?token=secret"));
    assert_eq!(code, 3);
    assert!(news.contains("after 10 redirects"), "{news}");
    assert!(!news.contains("secret"), "{news}");
}

#[test]
fn a_server_can_end_the_stream_for_good() {
    let (code, news) = end_after(Reply::status(204));
    assert_eq!(code, 4);
    assert!(news.contains("ended the stream for good"), "{news}");
}

#[test]
fn a_url_that_can_not_be_followed_is_explained() {
    let (code, news) = end(["ftp.example.com/feed?token=secret"]);
    assert_eq!(code, 2);
    assert!(news.contains("means ftp://, as in curl"), "{news}");
    assert!(news.contains("hint: write http:// or https://"), "{news}");
    assert!(!news.contains("secret") && !news.contains("pw"), "{news}");

    let (code, news) = end(["ftp://example.com/feed"]);
    assert_eq!(code, 2);
    let error = "error: invalid URL \"ftp://example.com/feed\": the scheme ftp isn't http or https";
    assert!(news.contains(error), "{news}");
    assert!(
        news.contains("hint: a URL begins with http:// or https://"),
        "{news}"
    );

    let (code, news) = end(["http://localhost/", "--resolve", "127.0.0.1:1:127.0.0.1"]);
    assert_eq!(code, 2);
    let error =
        "error: --resolve can't be used: \"127.0.0.1\" is an IP address, which isn't looked up";
    assert!(news.contains(error), "{news}");
}

#[test]
fn a_header_that_can_not_be_sent_is_explained_and_not_shown() {
    let bad = |header: &str| end(["http://localhost/", "-H", "A: b", "-H", header]);
    let (code, news) = bad("Authorization Bearer secret");
    assert_eq!(code, 2);
    assert!(news.contains("header 2 has no colon"), "{news}");
    assert!(news.contains("-H 'Authorization: Bearer TOKEN'"), "{news}");
    assert!(!news.contains("secret"), "{news}");

    // A token with a colon in it, after a name without one.
    for header in ["X Y: secret", "Authorization Bearer secret:x", ": secret"] {
        let (code, news) = bad(header);
        assert_eq!(code, 2);
        assert!(news.contains("header 2 has something before"), "{news}");
        assert!(!news.contains("secret"), "{news}");
    }

    let (code, news) = bad("X: secret\nY: z");
    assert_eq!(code, 2);
    assert!(news.contains("control characters"), "{news}");
    assert!(!news.contains("secret"), "{news}");
}

/// The shell makes several arguments of a header without quotes.
#[test]
fn no_complaint_about_the_command_line_shows_a_secret() {
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
        let (code, news) = end(args.iter().copied());
        assert_eq!(code, 2, "{args:?}: {news}");
        assert!(!news.contains("secret"), "{args:?}: {news}");
    }
}

#[test]
fn an_id_that_can_not_be_sent_is_refused() {
    let (code, news) = end(["http://localhost/", "--last-event-id", "4\n1"]);
    assert_eq!(code, 2);
    assert!(news.contains("control character"), "{news}");
}

#[test]
fn bad_usage_has_a_code_of_its_own() {
    assert_eq!(end([]).0, 2);
    assert_eq!(end(["--no-such-option", "http://localhost/"]).0, 2);
    assert_eq!(end(["demo", "--events", "0"]).0, 2);
}

#[test]
fn an_unfinished_event_is_not_discarded_in_silence() {
    let (code, said) = end_once(Reply::stream().event("a").send("data: unfinished\n"), &[]);
    assert_eq!(code, 0, "{said}");
    let warning = "warning: discarded an unfinished event of 17 bytes: no blank line followed it";
    assert!(said.contains(warning), "{said}");
    let hint = "hint: if the stream should end like this: --dispatch-unfinished delivers";
    assert!(said.contains(hint), "{said}");
    let reply = Reply::stream().send("data: unfinished\n").end();
    let (_, said) = end_once(reply, &["--dispatch-unfinished"]);
    assert!(said.contains("after 1 event"), "{said}");
    assert!(
        !said.contains("warning") && !said.contains("hint"),
        "{said}"
    );
    // A response that may have been cut off isn't helped by the hint, which isn't repeated.
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
fn a_response_without_events_is_shown_and_can_not_write_to_the_terminal() {
    let reply = || Reply::stream().send("{\n  \"error\": \"\u{1b}[31moverloaded\"\n}");
    let shown = r#"warning: the response has no events; it begins with: { "error": "\u{1b}[31moverloaded" }"#;
    let (_, said) = end_once(reply(), &[]);
    assert!(said.contains(shown), "{said}");
    // One that should end with a sentinel is an error.
    let (code, said) = end_once(reply(), &["--until", "[DONE]", "-d", "prompt"]);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains(shown), "{said}");
}

/// What is said of one response, which isn't asked for again.
fn end_once(reply: Reply, options: &[&str]) -> (i32, String) {
    let server = Server::start();
    server.enqueue(reply);
    let url = server.url("/");
    end([&*url, "--no-reconnect"]
        .into_iter()
        .chain(options.iter().copied()))
}

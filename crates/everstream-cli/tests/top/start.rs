//! What is refused before anything is drawn, secrets, and the exit code.

use everstream_testing::{Reply, Request, Server};

use super::{ENTER_SCREEN, Top, server};
use crate::common::everstream;
use crate::common::pty::Pty;

#[test]
fn without_a_terminal_it_suggests_follow() {
    let server = server();
    let url = server.url("/prices");
    let output = everstream(["top", &url])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("error: top needs a terminal"), "{told}");
    assert!(told.contains("everstream follow URL"), "{told}");
    assert_eq!(server.request_count(), 0);

    let line = format!("'{}' top {url}", env!("CARGO_BIN_EXE_everstream"));
    let mut pty = Pty::run(24, 80, &line, &[("TERM", "dumb")]);
    assert_eq!(pty.end(), 2);
    assert!(!pty.written().contains('\x1b'), "{:?}", pty.written());
}

#[test]
fn secrets_are_sent_to_a_second_origin_only_with_all_origins() {
    let (ours, theirs) = (server(), server());
    let token = [("TOKEN", "hush")];
    let same = format!(
        "{} {} --bearer-env TOKEN",
        ours.url("/prices"),
        ours.url("/over")
    );
    let mut top = Top::start_with("same", &same, &token);
    top.pty.wait_for("price 12");
    top.pty.press("q");
    assert_eq!(top.end(), 0);
    assert_eq!(
        ours.requests()[0].header("authorization"),
        Some("Bearer hush")
    );

    let urls = format!("{} {}", ours.url("/prices"), theirs.url("/prices"));
    for secret in [
        "--bearer-env TOKEN",
        "-H 'X-Key: hush'",
        "-u me:hush",
        "-d hush",
        "--json hush",
    ] {
        let line = format!("'{}' top {urls} {secret}", env!("CARGO_BIN_EXE_everstream"));
        let mut pty = Pty::run(24, 150, &line, &token);
        assert_eq!(pty.end(), 2, "{secret}");
        let told = pty.written();
        assert!(
            told.contains("would be sent to different origins: http://127.0.0.1:"),
            "{told}"
        );
        assert!(told.contains("--all-origins"), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
    assert_eq!(theirs.request_count(), 0);

    let all = format!("{urls} --bearer-env TOKEN --all-origins");
    let mut top = Top::start_with("all", &all, &token);
    top.pty.wait_for("2 connected");
    top.pty.press("q");
    assert_eq!(top.end(), 0);
    assert_eq!(
        theirs.requests()[0].header("authorization"),
        Some("Bearer hush")
    );
}

#[test]
fn withheld_headers_are_reported_once_for_each_url() {
    let (home, elsewhere) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(307, elsewhere.url("/c")));
    elsewhere
        .enqueue(Reply::stream().retry(1).event("a").end())
        .otherwise(Reply::status(401));
    let mut top = Top::start("withheld", &format!("{} -H 'X-Key: hush'", home.url("/a")));
    top.pty.wait_for("1 ended");
    top.pty.press("q");
    assert_eq!(top.end(), 6);
    let warning = format!(
        "everstream: warning: X-Key was not sent to {}: it was set for another origin",
        elsewhere.url("/c")
    );
    assert_eq!(top.pty.written().matches(&warning).count(), 1);
}

#[test]
fn the_exit_code_is_that_of_the_first_stream_once_all_have_ended() {
    let server = Server::with_handler(|request: &Request| match request.path() {
        "/missing" => Reply::status(404),
        _ => Reply::status(204),
    });
    for (first, second, code) in [("/missing", "/over", 6), ("/over", "/missing", 4)] {
        let mut top = Top::start(
            "codes",
            &format!("{} {}", server.url(first), server.url(second)),
        );
        top.pty.wait_for("2 ended");
        top.pty.press("q");
        assert_eq!(top.end(), code);
        let left = top.pty.with_screen(|screen| screen.contents());
        assert!(
            left.contains("hint: there is no stream at this URL"),
            "{left}"
        );
    }
}

#[test]
fn an_invalid_url_is_reported_before_anything_is_drawn() {
    let line = format!(
        "'{}' top http://a.test/ ftp://b.test",
        env!("CARGO_BIN_EXE_everstream")
    );
    let mut pty = Pty::run(24, 100, &line, &[]);
    assert_eq!(pty.end(), 2);
    let told = pty.written();
    assert!(
        told.contains("a URL begins with http:// or https://"),
        "{told}"
    );
    assert!(!told.contains(ENTER_SCREEN), "{told}");
}

//! `everstream check`: a finding for each kind of badness, and none for the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

// The authority and the server that the library is tested with.
#[allow(dead_code)]
#[path = "../../everstream/tests/transport/certs.rs"]
mod certs;
mod common;
#[allow(dead_code)]
#[path = "../../everstream/tests/transport/tls_server.rs"]
mod tls_server;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use certs::{Authority, Validity};
use common::{Folder, Running, everstream};
use everstream_testing::{Reply, Request, Server};
use serde_json::Value;
use tls_server::TlsServer;

const LIMIT: Duration = Duration::from_secs(20);

/// What a server on this machine can't show in a moment.
const NOT_SEEN: &[&str] = &["tls", "http-version", "delivery", "heartbeat", "preflight"];

/// Until the events that are there have come.
const FIVE: &[&str] = &["--count", "5"];

/// A response with nothing to object to.
fn head() -> Reply {
    Reply::stream()
        .header("Cache-Control", "no-store, no-transform")
        .header("X-Accel-Buffering", "no")
        .header("Access-Control-Allow-Origin", "*")
}

/// The events after this one, of five.
fn events(after: u64) -> String {
    (after + 1..=5).fold(String::new(), |mut all, n| {
        _ = write!(all, "id: {n}\ndata: {{\"n\": {n}}}\n\n");
        all
    })
}

/// The id that the client has, if it is one of ours.
fn resumed(request: &Request) -> Option<u64> {
    request.header("last-event-id")?.parse().ok()
}

fn rest(request: &Request) -> String {
    events(resumed(request).unwrap_or(0))
}

fn good(request: &Request) -> Reply {
    with(head(), request, "retry: 3000\n\n")
}

/// This head, then this, then events that go on after the last one.
fn with(head: Reply, request: &Request, first: &str) -> Reply {
    head.send(format!("{first}{}", rest(request))).stall()
}

struct Outcome {
    code: i32,
    report: Value,
    news: String,
}

fn run(url: &str, options: &[&str]) -> Outcome {
    let args = ["check", url, "-o", "json"];
    let output = everstream(args.into_iter().chain(options.iter().copied()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        report: serde_json::from_str(&text).unwrap_or_default(),
        news: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    fn with_level(&self, level: &str) -> Vec<&str> {
        let findings = self.report["findings"].as_array().expect("findings");
        let of_level = findings.iter().filter(|it| it["level"] == level);
        of_level.map(|it| it["id"].as_str().unwrap()).collect()
    }

    fn observed(&self, id: &str) -> &str {
        let findings = self.report["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["id"] == id);
        found.unwrap()["observed"].as_str().unwrap()
    }
}

/// Exactly this is found, and the exit code is due to it.
#[track_caller]
fn found(url: &str, options: &[&str], warn: &[&str], fail: &[&str]) -> Outcome {
    let outcome = run(url, options);
    let report = format!("{:#}\n{}", outcome.report, outcome.news);
    assert_eq!(outcome.with_level("warn"), warn, "{report}");
    assert_eq!(outcome.with_level("fail"), fail, "{report}");
    assert_eq!(
        outcome.code,
        if fail.is_empty() { 0 } else { 10 },
        "{report}"
    );
    let findings = outcome.report["findings"].as_array().unwrap();
    for finding in findings {
        let bad = finding["level"] == "warn" || finding["level"] == "fail";
        for advice in ["why", "fix", "source"] {
            assert_eq!(finding[advice].is_string(), bad, "{finding:#}");
        }
    }
    outcome
}

/// A server that answers like this.
fn serve(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::with_handler(handler)
}

#[track_caller]
fn warns(warn: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Outcome {
    found(&serve(handler).url("/feed"), FIVE, &[warn], &[])
}

#[track_caller]
fn fails(fail: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Outcome {
    found(&serve(handler).url("/feed"), FIVE, &[], &[fail])
}

#[test]
fn a_good_server_passes_and_is_asked_four_times() {
    let server = serve(good);
    let outcome = found(&server.url("/feed"), FIVE, &[], &[]);
    assert_eq!(outcome.with_level("skip"), NOT_SEEN);
    assert_eq!(outcome.report["summary"]["fail"], 0);
    assert_eq!(outcome.report["observations"]["events_with_id"], 5);
    assert_eq!(outcome.report["observations"]["requests"], 4);
    assert_eq!(outcome.observed("resume"), r#"after "3" came "4""#);
    let asked = server.requests();
    let ids: Vec<_> = asked.iter().map(|it| it.header("last-event-id")).collect();
    assert_eq!(ids[..3], [None, None, Some("3")]);
    assert_eq!(ids.len(), 4);
    let codings: Vec<_> = asked
        .iter()
        .map(|it| it.header("accept-encoding"))
        .collect();
    assert_eq!(codings[..2], [Some("identity"), Some("gzip")]);
    assert_eq!(asked[0].header("origin"), Some("https://origin.example"));
}

#[test]
fn redirects_are_told_of() {
    let other = serve(good);
    let elsewhere = other.url("/feed?token=secret");
    let server = serve(move |request| match request.path() {
        "/moved" => Reply::redirect(308, "/feed"),
        "/away" => Reply::redirect(307, elsewhere.clone()),
        "/near" => Reply::redirect(302, "/feed"),
        "/loop" => Reply::redirect(302, "/loop"),
        "/ftp" => Reply::redirect(302, "ftp://localhost/"),
        _ => good(request),
    });
    found(&server.url("/near"), FIVE, &[], &[]);
    found(&server.url("/moved"), FIVE, &["redirects"], &[]);
    let options = ["--count", "5", "-H", "X-Key: secret"];
    let outcome = found(&server.url("/away"), &options, &["redirects"], &[]);
    assert!(!format!("{:?}", outcome.report).contains("secret"));
    assert!(
        other
            .requests()
            .iter()
            .all(|it| it.header("x-key").is_none())
    );
    for path in ["/loop", "/ftp"] {
        let outcome = found(&server.url(path), FIVE, &[], &["redirects"]);
        assert_eq!(outcome.with_level("pass"), ["reachable"]);
    }
}

#[test]
fn statuses_by_which_browsers_give_up() {
    for status in [204, 206, 401, 404, 503] {
        let server = serve(move |_| Reply::status(status));
        let outcome = found(&server.url("/feed"), FIVE, &[], &["status"]);
        assert_eq!(outcome.observed("status"), status.to_string());
        assert_eq!(server.request_count(), 1, "nothing more to ask");
    }
}

#[test]
fn headers_that_browsers_and_caches_object_to() {
    fails("content-type", |_| {
        head().header("Content-Type", "text/html").end()
    });
    fails("content-type", |_| {
        head().without_header("Content-Type").end()
    });
    warns("charset", |request| {
        with(
            head().header("Content-Type", "text/event-stream; charset=latin1"),
            request,
            "",
        )
    });
    warns("cache-control", |request| {
        with(
            head().header("Cache-Control", "max-age=60, no-transform"),
            request,
            "",
        )
    });
    warns("no-transform", |request| {
        let head = head()
            .header("Cache-Control", "no-cache")
            .header("Via", "1.1 proxy");
        with(head, request, "")
    });
    warns("proxy-buffering", |request| {
        with(head().header("X-Accel-Buffering", "yes"), request, "")
    });
    fails("proxies", |request| {
        with(head().header("Age", "30"), request, "")
    });
    fails("proxies", |request| {
        with(head().header("X-Cache", "HIT from edge"), request, "")
    });
    warns("framing", |request| {
        with(head().content_length(9999), request, "")
    });
    warns("framing", |request| {
        with(head().close_delimited(), request, "")
    });
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

#[test]
fn compression_is_looked_at() {
    // Made here: a compressor takes more stack than a connection's thread has.
    let bodies: Vec<Vec<u8>> = (0..=5).map(|after| gzip(&events(after))).collect();
    let compressed = move |request: &Request| {
        let after = resumed(request).unwrap_or(0) as usize;
        let head = head().header("Content-Encoding", "gzip");
        head.send(bodies[after].clone()).stall()
    };
    warns("compression", compressed.clone());
    let server = serve(move |request| match request.header("accept-encoding") {
        Some("gzip") => compressed(request),
        _ => good(request),
    });
    let outcome = found(&server.url("/feed"), FIVE, &[], &[]);
    assert!(outcome.observed("compression").contains("with gzip"));
    // In a coding that nobody offered and nobody knows there is nothing more to see.
    warns("compression", |_| {
        head()
            .header("Content-Encoding", "compress")
            .send("x")
            .end()
    });
}

#[test]
fn a_retry_that_is_not_sane() {
    for bad in [
        "retry: 0\n\n",
        "retry: 3600000\n\n",
        "retry: 1000\n\nretry: 2000\n\n",
    ] {
        warns("retry", move |request| with(head(), request, bad));
    }
    fails("retry", |request| with(head(), request, "retry: 5s\n\n"));
}

#[test]
fn ids_that_do_not_do() {
    let server = serve(|_| head().send("data: x\n\n".repeat(5)).stall());
    let outcome = found(&server.url("/feed"), FIVE, &["ids"], &[]);
    assert!(outcome.with_level("skip").contains(&"resume"));
    assert_eq!(server.request_count(), 2, "nothing to resume from");
    warns("ids", |request| match resumed(request) {
        None => head().send(format!("data: x\n\n{}", events(1))).stall(),
        Some(_) => good(request),
    });
    fails("unique-ids", |_| {
        head().send("id: 7\ndata: x\n\n".repeat(5)).stall()
    });
    fails("usable-ids", |request| {
        with(head(), request, "id: a\0\ndata: x\n\n")
    });
    fails("usable-ids", |request| {
        with(head(), request, "id: a\x07\ndata: x\n\n")
    });
}

#[test]
fn what_events_say() {
    warns("event-types", |request| match resumed(request) {
        None => with(head(), request, "event: error\n"),
        Some(_) => good(request),
    });
    let long = format!(":\n\ndata: {}\nid: 0\n\n", "x".repeat(70_000));
    warns("sizes", move |request| match resumed(request) {
        None => with(head(), request, &long),
        Some(_) => good(request),
    });
    let pretty = "id: 0\ndata: {\n  \"n\": 0\n}\n\n";
    let server = serve(move |request| match resumed(request) {
        None => with(head(), request, pretty),
        Some(_) => good(request),
    });
    found(
        &server.url("/feed"),
        &["--count", "6"],
        &["data"],
        &["fields"],
    );
}

#[test]
fn how_a_stream_is_written() {
    warns("bom", |request| with(head(), request, "\u{feff}"));
    fails("bom", |request| {
        with(head(), request, ": hi\n\u{feff}data: x\n\n")
    });
    warns("line-ends", |request| {
        head()
            .send(rest(request).replace('\n', "\r"))
            .send("\r")
            .stall()
    });
    warns("line-ends", |request| with(head(), request, ": hi\r\n\r\n"));
    let server = serve(|request| head().send(rest(request).replace('\n', "\r\n")).stall());
    found(&server.url("/feed"), FIVE, &[], &[]);
    fails("utf-8", |request| {
        head()
            .send(b": \xFF\n".to_vec())
            .send(rest(request))
            .stall()
    });
    fails("fields", |request| with(head(), request, "{\"n\": 0}\n\n"));
    warns("fields", |request| with(head(), request, "time: 12\n\n"));
}

#[test]
fn how_a_stream_ends() {
    let end = |handler: fn(&Request) -> Reply, warn: &[&str], fail: &[&str]| {
        found(&serve(handler).url("/feed"), &[], warn, fail);
    };
    end(|request| head().send(rest(request)).end(), &["end"], &[]);
    end(
        |request| head().send(rest(request)).send("id: 6\ndata: x\n").end(),
        &[],
        &["end"],
    );
    end(
        |request| head().send(rest(request)).drop_connection(),
        &[],
        &["end"],
    );
}

#[test]
fn a_second_connection_that_gets_something_else() {
    fails("reconnect", |request| {
        match request.header("accept-encoding") {
            Some("gzip") => Reply::status(429),
            _ => good(request),
        }
    });
    warns("reconnect", |request| {
        match request.header("accept-encoding") {
            Some("gzip") => with(head(), request, "retry: 9000\n\n"),
            _ => good(request),
        }
    });
}

#[test]
fn ways_of_not_resuming() {
    let resume = |reply: fn(u64) -> Reply| {
        move |request: &Request| match resumed(request) {
            None => good(request),
            Some(id) => reply(id),
        }
    };
    fails("resume", resume(|_| Reply::status(410)));
    fails("resume", resume(|_| head().send(events(0)).end()));
    let repeats = warns("resume", resume(|id| head().send(events(id - 1)).end()));
    assert!(repeats.observed("resume").contains("repeats"));
    let jumps = warns(
        "resume",
        resume(|_| head().send("id: 9\ndata: x\n\n").end()),
    );
    assert_eq!(
        jumps.observed("resume"),
        r#"after "3" came "9" instead of "4""#
    );
    let nothing = warns("resume", resume(|_| head().send(": hi\n\n").end()));
    assert!(nothing.observed("resume").contains("nothing came"));
    fails("unknown-id", |request| {
        match request.header("last-event-id") {
            Some(id) if id.parse::<u64>().is_err() => Reply::status(400),
            _ => good(request),
        }
    });
}

#[test]
fn what_pages_of_other_origins_may() {
    let allow = |value: &'static str, credentials: bool| {
        move |request: &Request| {
            let mut head = head().header("Access-Control-Allow-Origin", value);
            if credentials {
                head = head.header("Access-Control-Allow-Credentials", "true");
            }
            with(head, request, "")
        }
    };
    warns("cors", allow("*", true));
    warns("cors", allow("https://origin.example", true));
    fails("cors", allow("https://a.example, https://b.example", false));
    let server = serve(allow("https://app.example", true));
    let options = |origin| ["--count", "5", "--origin", origin];
    found(&server.url("/"), &options("https://app.example"), &[], &[]);
    assert_eq!(
        server.requests()[0].header("origin"),
        Some("https://app.example")
    );
    found(
        &server.url("/"),
        &options("https://b.example"),
        &[],
        &["cors"],
    );
    let silent = serve(|request| {
        with(
            head().without_header("Access-Control-Allow-Origin"),
            request,
            "",
        )
    });
    found(
        &silent.url("/"),
        &options("https://b.example"),
        &[],
        &["cors"],
    );
    let outcome = found(&silent.url("/"), FIVE, &[], &[]);
    assert!(outcome.with_level("skip").contains(&"cors"));
}

#[test]
fn a_preflight_is_asked_without_credentials() {
    let options = [
        "--count",
        "5",
        "--origin",
        "https://app.example",
        "-H",
        "X-Key: secret",
        "-u",
        "me:secret",
    ];
    let allows = |names: &'static str| {
        serve(move |request| match &*request.method {
            "OPTIONS" => Reply::status(204)
                .header("Access-Control-Allow-Origin", "*")
                .header("Access-Control-Allow-Headers", names),
            _ => good(request),
        })
    };
    let server = allows("authorization, x-key");
    let outcome = found(&server.url("/"), &options, &[], &[]);
    assert!(outcome.with_level("pass").contains(&"preflight"));
    let asked = server.requests().pop().unwrap();
    assert_eq!(asked.method, "OPTIONS");
    assert_eq!(asked.header("access-control-request-method"), Some("GET"));
    assert_eq!(
        asked.header("access-control-request-headers"),
        Some("authorization,x-key")
    );
    assert_eq!(
        (asked.header("x-key"), asked.header("authorization")),
        (None, None)
    );
    assert_eq!(server.request_count(), 5);
    // A star doesn't stand for Authorization.
    found(&allows("*").url("/"), &options, &[], &["preflight"]);
    let refuses = serve(|request| match &*request.method {
        "OPTIONS" => Reply::status(401),
        _ => good(request),
    });
    found(&refuses.url("/"), &options, &[], &["preflight"]);
}

#[test]
fn a_post_is_sent_once() {
    let server = serve(good);
    let outcome = found(&server.url("/"), &["--count", "5", "-d", "x"], &[], &[]);
    assert_eq!(server.request_count(), 1);
    assert!(
        outcome
            .observed("resume")
            .contains("a POST isn't sent twice")
    );
}

#[test]
fn tls_and_what_it_changes() {
    let (server, authority, folder) = (serve(good), Authority::new(), Folder::new("check"));
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let ca = folder.file("ca.pem", &authority.pem());
    let options = ["--count", "5", "--cacert", ca.to_str().unwrap()];
    let outcome = found(&tls.url("/"), &options, &["http-version"], &[]);
    assert!(outcome.with_level("pass").contains(&"tls"));
    let insecure = found(
        &tls.url("/"),
        &["--count", "5", "-k"],
        &["http-version"],
        &[],
    );
    assert!(insecure.with_level("skip").contains(&"tls"));

    let stranger = run(&tls.url("/"), &[]);
    assert_eq!(
        (stranger.code, &*stranger.with_level("fail")),
        (5, &["reachable"][..])
    );

    let plain = server.url("/plain");
    server.enqueue(Reply::redirect(302, plain));
    let outcome = run(&tls.url("/"), &options);
    assert_eq!(
        outcome.with_level("fail"),
        ["redirects"],
        "{:#}",
        outcome.report
    );
}

#[test]
fn what_can_not_be_reached_or_used() {
    let server = Server::start();
    server.stop();
    let outcome = run(&server.url("/"), &[]);
    assert_eq!(outcome.code, 5);
    assert_eq!(outcome.with_level("fail"), ["reachable"]);
    assert!(outcome.observed("reachable").contains("refused"));
    for options in [
        &["localhost:80/"][..],
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
            "-o",
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
        let args = ["check", &*server.url("/"), "--count", "5", "-o", form];
        let output = everstream(args).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("event-types"), "{shown}");
        let controls = shown.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(controls.count(), 0, "{shown:?}");
    }
}

#[test]
fn quiet_leaves_out_what_is_fine_and_verbose_adds_what_was_not_seen() {
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
    assert_eq!(lines[0], "warn", "{quiet}");
    assert!(
        !quiet.contains("pass  ") && !quiet.contains("skip  "),
        "{quiet}"
    );
    let (verbose, news) = text("--verbose");
    assert!(news.contains("watches the stream"), "{news}");
    assert!(verbose.contains("\nskip  heartbeat"), "{verbose}");
    assert!(verbose.contains("\npass  ids"), "{verbose}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_observation_and_the_report_comes() {
    let server = serve(good);
    let args = ["check", &*server.url("/"), "--duration", "1h"];
    let mut running = Running::follow(args);
    running.err.wait_for_text("watches the stream");
    running.signal("INT");
    assert_eq!(running.wait_within(LIMIT).code(), Some(0));
    let report = running.out.all().join("\n");
    assert!(report.contains("0 failed"), "{report}");
    assert_eq!(server.request_count(), 1, "nothing is asked any more");
}

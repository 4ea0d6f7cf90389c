//! Reaching the server, what it allows, and how it resumes.

use everstream_testing::{Reply, Request};

use crate::certs::{Authority, Validity};
use crate::common::Folder;
use crate::tls_server::TlsServer;

use super::{
    FIVE, NOT_SEEN, RETRY, events, fails, found, good, head, resumed, run, serve, warns, with,
};

#[test]
fn a_good_server_passes_and_is_asked_four_times() {
    let server = serve(good);
    let outcome = found(&server.url("/feed"), FIVE, &[], &[]);
    assert_eq!(outcome.with_level("skip"), NOT_SEEN);
    assert_eq!(outcome.report["summary"]["fail"], 0);
    assert_eq!(outcome.report["observations"]["events_with_id"], 5);
    assert_eq!(outcome.report["observations"]["requests"], 4);
    assert_eq!(
        outcome.observed("resume"),
        r#"after "3" the server sent "4""#
    );
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
fn tokens_header_files_and_the_id_in_the_query_are_sent_with_each_request() {
    let folder = Folder::new("check-headers");
    let file = folder.path("headers");
    std::fs::write(&file, "X-From-File: 1\n").unwrap();
    let server = serve(|request: &Request| {
        let is_known = request.header("authorization") == Some("Bearer secret")
            && request.header("x-from-file") == Some("1");
        if !is_known {
            return Reply::status(401);
        }
        let id = request.target.split_once("since=").map(|(_, id)| id);
        let after = id.and_then(|id| id.parse().ok()).unwrap_or(0);
        let body = format!("{RETRY}{}", events(after));
        head().send(body).stall()
    });
    let at_file = format!("@{}", file.display());
    let options = ["-H", &at_file, "--resume-param", "since"];
    let command = ["--bearer-command", "echo", "secret", ";"];
    let more: Vec<&str> = [FIVE, &options, &command].concat();
    let outcome = run(&server.url("/feed"), &more);
    assert_eq!(outcome.report["summary"]["fail"], 0, "{}", outcome.report);
    assert_eq!(
        outcome.observed("resume"),
        r#"after "3" the server sent "4""#
    );
}

#[test]
fn redirects_are_reported() {
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
    let warning = format!(
        "everstream: warning: X-Key was not sent to {}: it was set for another origin\n",
        other.url("/feed")
    );
    assert_eq!(outcome.news.matches(&warning).count(), 1);
    assert_eq!(outcome.news.matches("warning").count(), 1);
    assert!(
        other
            .requests()
            .iter()
            .all(|it| it.header("x-key").is_none())
    );
    // The user did not set Origin, so it needs no warning.
    let outcome = found(&server.url("/away"), FIVE, &["redirects"], &[]);
    assert!(!outcome.news.contains("warning"), "{}", outcome.news);
    for path in ["/loop", "/ftp"] {
        let outcome = found(&server.url(path), FIVE, &[], &["redirects"]);
        assert_eq!(outcome.with_level("pass"), ["reachable"]);
    }
}

#[test]
fn any_status_except_200_fails() {
    for status in [204, 206, 401, 404, 503] {
        let server = serve(move |_| Reply::status(status));
        let outcome = found(&server.url("/feed"), FIVE, &[], &["status"]);
        assert_eq!(outcome.observed("status"), status.to_string());
        assert_eq!(server.request_count(), 1, "nothing more to ask");
    }
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
fn each_way_of_not_resuming_is_found() {
    let resume = |reply: fn(u64) -> Reply| {
        move |request: &Request| match resumed(request) {
            None => good(request),
            Some(id) => reply(id),
        }
    };
    fails("resume", resume(|_| Reply::status(410)));
    fails("resume", resume(|_| head().send(events(0)).end()));
    let repeats = warns("resume", resume(|id| head().send(events(id - 1)).end()));
    assert!(repeats.observed("resume").contains("already has it"));
    let jumps = warns(
        "resume",
        resume(|_| head().send("id: 9\ndata: x\n\n").end()),
    );
    assert_eq!(
        jumps.observed("resume"),
        r#"after "3" the server sent "9" instead of "4""#
    );
    let nothing = warns("resume", resume(|_| head().send(": hi\n\n").end()));
    assert!(nothing.observed("resume").contains("nothing arrived"));
    fails("unknown-id", |request| {
        match request.header("last-event-id") {
            Some(id) if id.parse::<u64>().is_err() => Reply::status(400),
            _ => good(request),
        }
    });
}

#[test]
fn cors_headers_are_judged_for_the_origin() {
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
    // * doesn't include Authorization.
    found(&allows("*").url("/"), &options, &[], &["preflight"]);
    // Browsers don't follow redirects of a preflight.
    for refusal in [Reply::status(401), Reply::redirect(307, "/elsewhere")] {
        let refuses = serve(move |request| match &*request.method {
            "OPTIONS" if request.path() == "/" => refusal.clone(),
            "OPTIONS" => Reply::status(204)
                .header("Access-Control-Allow-Origin", "*")
                .header("Access-Control-Allow-Headers", "authorization, x-key"),
            _ => good(request),
        });
        found(&refuses.url("/"), &options, &[], &["preflight"]);
    }
}

#[test]
fn a_post_is_sent_once() {
    let server = serve(good);
    let outcome = found(&server.url("/"), &["--count", "5", "-d", "x"], &[], &[]);
    assert_eq!(server.request_count(), 1);
    assert!(outcome.observed("resume").contains("a POST isn't repeated"));
}

#[test]
fn https_is_checked_with_its_certificate() {
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
fn a_response_that_is_not_http_is_not_called_slow() {
    for reply in [
        "data: x\n\n",
        "HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Ty",
    ] {
        let server = serve(move |_| Reply::raw(reply).drop_connection());
        let outcome = found(&server.url("/feed"), FIVE, &[], &["reachable"]);
        let findings = outcome.report["findings"].as_array().unwrap();
        let fix = findings[0]["fix"].as_str().unwrap();
        assert!(!fix.contains("flush") && fix.contains("curl"), "{fix}");
    }
}

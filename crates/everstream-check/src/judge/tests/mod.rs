//! Each check, by changing one thing about a server without problems.

mod again;
mod buffering;
mod stream;

use std::time::Duration;

use everstream::Headers;

use super::Level::{self, Fail, Skip, Warn};
use super::{Check, Setting, judge};
use crate::anatomy::Anatomy;
use crate::observed::{
    Answer, End, Observed, Preflight, Redirect, Repeat, Response, Resume, Stream, Trouble,
    TroubleKind,
};

fn millis(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// The stream of these reads, at these milliseconds, watched for this time.
fn watched(reads: &[(u64, &str)], time: u64, end: End) -> Stream {
    let mut anatomy = Anatomy::new();
    for (at, text) in reads {
        anatomy.take(text.as_bytes(), millis(*at));
    }
    anatomy.end(end, millis(time))
}

fn event(n: u64) -> String {
    format!("id: {n}\ndata: {n}\n\n")
}

/// An event and a comment every 10 s, for 70 s.
fn steady() -> Stream {
    let texts: Vec<String> = (1..=7).map(|n| event(n) + ":\n").collect();
    let reads: Vec<(u64, &str)> = (0..)
        .step_by(10_000)
        .zip(texts.iter().map(|it| &**it))
        .collect();
    let mut stream = watched(&reads, 70_000, End::Open);
    stream.retries.push(3000);
    stream
}

/// The result of a further connection.
fn answer(ids: &[&str]) -> Answer {
    Answer {
        status: 200,
        content_types: vec!["text/event-stream".into()],
        first_event: Some(millis(10)),
        waited: millis(10),
        ids: ids.iter().map(|id| Some((*id).to_owned())).collect(),
        ..Answer::default()
    }
}

const HEADERS: &[(&str, &str)] = &[
    ("content-type", "text/event-stream; charset=UTF-8"),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("access-control-allow-origin", "https://app.example"),
];

fn headers(change: &[(&str, &str)]) -> Headers {
    let kept = HEADERS
        .iter()
        .filter(|(name, _)| change.iter().all(|(own, _)| own != name));
    let all = kept.chain(change).filter(|(_, value)| !value.is_empty());
    all.copied().collect()
}

fn good() -> Observed {
    Observed {
        origin: "https://app.example".into(),
        origin_chosen: true,
        requests: 5,
        response: Some(Response {
            status: 200,
            version: "HTTP/2.0".into(),
            headers: headers(&[]),
            url: "https://example.com/feed".into(),
            method: "GET".into(),
            repeatable: true,
            readable: true,
            after: millis(20),
            ..Response::default()
        }),
        stream: Some(steady()),
        second: Some(answer(&["1"])),
        resume: Some(Resume {
            after: 3,
            answer: answer(&["5"]),
        }),
        unknown_id: Some(answer(&[])),
        preflight: Some(Preflight {
            status: 204,
            headers: [
                ("access-control-allow-origin", "https://app.example"),
                ("access-control-allow-headers", "x-key, Authorization"),
            ]
            .into_iter()
            .collect(),
            method: "GET".into(),
            wanted: vec!["authorization".into(), "x-key".into()],
            ..Preflight::default()
        }),
        ..Observed::default()
    }
}

/// The findings that didn't pass.
fn objections(observed: &Observed) -> Vec<(&'static str, Level)> {
    let findings = judge(observed);
    assert_eq!(findings.len(), Check::ALL.len());
    for finding in &findings {
        let bad = matches!(finding.level, Level::Warn | Level::Fail);
        assert_eq!(finding.advice.is_some(), bad, "{finding:?}");
        assert!(!finding.observed.is_empty(), "{finding:?}");
        // Programs that use the library have other options than the command.
        let advice = finding.advice.map_or("", |it| it.fix);
        for text in [&*finding.observed, advice] {
            assert!(!text.contains("--"), "{finding:?}");
        }
    }
    let other = findings.iter().filter(|it| it.level != Level::Pass);
    other.map(|it| (it.id, it.level)).collect()
}

#[track_caller]
fn objects(change: impl FnOnce(&mut Observed), id: &str, level: Level) {
    let mut observed = good();
    change(&mut observed);
    assert_eq!(
        objections(&observed),
        [(id, level)],
        "{:#?}",
        judge(&observed)
    );
}

fn with_headers(change: &[(&str, &str)], id: &str, level: Level) {
    let respond = |o: &mut Observed| o.response.as_mut().unwrap().headers = headers(change);
    objects(respond, id, level);
}

fn with_stream(change: impl FnOnce(&mut Stream), id: &str, level: Level) {
    objects(|o| change(o.stream.as_mut().unwrap()), id, level);
}

fn with_resume(ids: &[&str], level: Level) {
    let mut answer = answer(ids);
    answer.waited = Duration::from_secs(5);
    objects(
        |o| o.resume = Some(Resume { after: 3, answer }),
        "resume",
        level,
    );
}

#[test]
fn a_good_server_passes_everything() {
    assert_eq!(objections(&good()), []);
}

#[test]
fn ids_are_unique_and_plain() {
    let mut ids: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
    let plain = |c: char| c.is_ascii_lowercase() || c == '-' || c == '8';
    assert!(ids.iter().all(|id| id.chars().all(plain)));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Check::ALL.len());
}

#[test]
fn without_a_response_there_is_one_finding() {
    for (kind, expected) in [
        (TroubleKind::Connect, Some(("reachable", Fail))),
        (TroubleKind::Other, Some(("reachable", Fail))),
        (TroubleKind::Redirect, Some(("redirects", Fail))),
        (TroubleKind::Stopped, None),
    ] {
        let observed = Observed {
            trouble: Some(Trouble {
                what: "it can't".into(),
                hint: None,
                kind,
            }),
            ..Observed::default()
        };
        let bad = objections(&observed)
            .into_iter()
            .find(|(_, level)| *level != Skip);
        assert_eq!(bad, expected);
    }
}

#[test]
fn redirects_encryption_and_version() {
    let hop = |status, from: &str, to: &str, leaves_origin| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |o: &mut Observed| {
            o.hops.push(Redirect {
                status,
                from,
                to,
                leaves_origin,
            })
        }
    };
    objects(
        hop(301, "https://a/", "https://a/b", false),
        "redirects",
        Warn,
    );
    objects(
        hop(302, "https://a/", "https://b/", true),
        "redirects",
        Warn,
    );
    objects(hop(302, "https://a/", "http://a/", true), "redirects", Fail);
    let respond =
        |change: fn(&mut Response)| move |o: &mut Observed| change(o.response.as_mut().unwrap());
    objects(
        respond(|it| it.url = "http://example.com/".into()),
        "tls",
        Warn,
    );
    let http1 = respond(|it| {
        it.version = "HTTP/1.1".into();
        it.headers = headers(&[("transfer-encoding", "chunked")]);
    });
    objects(http1, "http-version", Warn);
    objects(|o| o.unverified = true, "tls", Skip);
    // HTTP/1.1 on this machine has no result.
    let mut local = good();
    local.local = true;
    respond(|it| {
        it.url = "http://localhost/".into();
        it.version = "HTTP/1.1".into();
        it.headers = headers(&[("transfer-encoding", "chunked")]);
    })(&mut local);
    assert_eq!(objections(&local), [("tls", Skip), ("http-version", Skip)]);
}

#[test]
fn headers_for_caches_and_proxies() {
    with_headers(
        &[("cache-control", "public, no-transform")],
        "cache-control",
        Warn,
    );
    with_headers(&[("cache-control", "no-store")], "no-transform", Skip);
    with_headers(
        &[("cache-control", "no-store"), ("server", "nginx/1.2")],
        "no-transform",
        Warn,
    );
    let mut proxied = good();
    proxied.response.as_mut().unwrap().headers =
        headers(&[("cache-control", "no-store"), ("server", "nginx/1.2")]);
    let mut findings = judge(&proxied).into_iter();
    let said = findings.find(|it| it.id == "no-transform").unwrap();
    assert_eq!(
        said.observed,
        "Cache-Control lacks no-transform, behind a proxy (server: nginx/1.2)"
    );
    with_headers(&[("x-accel-buffering", "")], "proxy-buffering", Skip);
    with_headers(&[("x-accel-buffering", "yes")], "proxy-buffering", Warn);
    with_headers(&[("age", "7")], "proxies", Fail);
    with_headers(&[("content-length", "7")], "framing", Warn);
    with_headers(&[("content-encoding", "gzip")], "compression", Warn);
    with_headers(
        &[("content-type", "text/event-stream;charset=\"latin1\"")],
        "charset",
        Fail,
    );
}

#[test]
fn a_request_that_is_not_safe_is_judged_by_its_one_response() {
    let mut observed = good();
    let response = observed.response.as_mut().unwrap();
    (response.repeatable, response.method) = (false, "POST".into());
    (observed.second, observed.resume, observed.unknown_id) = (None, None, None);
    let stream = observed.stream.as_mut().unwrap();
    (stream.end, stream.watched) = (End::Ended, millis(60_001));
    let skipped = ["compression", "reconnect", "resume", "unknown-id"].map(|id| (id, Skip));
    assert_eq!(
        objections(&observed),
        skipped,
        "the response to a POST ends"
    );
}

#[test]
fn other_origins() {
    const ALLOW: &str = "access-control-allow-origin";
    const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
    with_headers(&[(ALLOW, "")], "cors", Fail);
    with_headers(&[(ALLOW, "https://other.example")], "cors", Fail);
    with_headers(&[(ALLOW, "*"), CREDENTIALS], "cors", Warn);
    with_headers(&[(ALLOW, "https://app.example, *")], "cors", Fail);
    let stranger = |change: &[(&str, &str)]| {
        let mut observed = good();
        observed.origin_chosen = false;
        observed.response.as_mut().unwrap().headers = headers(change);
        objections(&observed)
    };
    assert_eq!(stranger(&[(ALLOW, "")]), [("cors", Skip)]);
    assert_eq!(stranger(&[(ALLOW, "https://other.example")]), []);
    assert_eq!(
        stranger(&[CREDENTIALS]),
        [("cors", Warn)],
        "it allows any origin"
    );
}

#[test]
fn the_origin_of_the_url_needs_no_cors() {
    let mut observed = good();
    observed.same_origin = true;
    observed.preflight = None;
    observed.response.as_mut().unwrap().headers = headers(&[("access-control-allow-origin", "")]);
    assert_eq!(objections(&observed), [("preflight", Skip)]);
}

#[test]
fn a_refused_origin_is_reported_with_the_answer_without_it() {
    let mut observed = good();
    observed.origin_refused = Some(403);
    assert_eq!(objections(&observed), [("cors", Fail)]);
    observed.origin_chosen = false;
    assert_eq!(objections(&observed), [("cors", Skip)]);
}

#[test]
fn preflights() {
    let preflight = |change: fn(&mut Preflight), level| {
        objects(
            |o| change(o.preflight.as_mut().unwrap()),
            "preflight",
            level,
        );
    };
    preflight(|it| it.status = 401, Fail);
    preflight(|it| it.headers = Headers::default(), Fail);
    preflight(|it| it.wanted.push("x-other".into()), Fail);
    preflight(|it| it.method = "PUT".into(), Fail);
    preflight(|it| it.error = Some("reset".into()), Fail);
    let mut stranger = good();
    stranger.origin_chosen = false;
    stranger.preflight.as_mut().unwrap().status = 403;
    assert_eq!(objections(&stranger), [("preflight", Skip)]);
    objects(|o| o.preflight = None, "preflight", Skip);
}

//! Requests to other origins: preflight requests, redirects and cookies.

use everstream_testing::{Reply, Request, Server};

use crate::run::{Run, Test};
use crate::script::{Replies, allowed, preflight};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "no_preflight",
        run: the_fault_names_the_header_that_the_server_must_allow,
    },
    Test {
        name: "not_allowed",
        run: the_fault_names_all_headers_and_the_method,
    },
    Test {
        name: "redirect",
        run: a_redirect_to_another_origin_is_followed_by_each_attempt,
    },
    Test {
        name: "credentials",
        run: cookies_are_sent_as_the_program_says,
    },
];

fn the_fault_names_the_header_that_the_server_must_allow(run: &Run<'_>) {
    // It doesn't know the method, as many servers do.
    run.replies.set_preflight(Reply::status(405));
    let first = Reply::stream().event_with_id("1", "one");
    run.reply(first.wait_for(&run.gate("one")).drop_connection());
    run.reply(Reply::stream().event_with_id("2", "two").stall());
    run.open();
    run.wait("method-not-allowed");
    // It responds, but doesn't allow the header.
    run.replies.set_preflight(allowed(Reply::status(204)));
    run.gate("allow-method").open();
    run.wait("header-not-allowed");
    assert_eq!(run.requests().len(), 1, "{:#?}", run.requests());
    for refused in run.preflights() {
        let announced = refused.header("access-control-request-headers");
        assert_eq!(announced, Some("last-event-id"));
    }
    run.replies.set_preflight(preflight());
    run.gate("allow-header").open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert_eq!(requests[1].header("last-event-id"), Some("1"));
}

/// Responses without the headers that a page needs.
fn the_fault_names_all_headers_and_the_method(run: &Run<'_>) {
    run.replies.set_preflight(Reply::status(204));
    run.replies.otherwise(|_| Reply::stream());
    run.open();
    run.finish();
    let announced = run.preflights();
    let announced = announced
        .iter()
        .map(|it| it.header("access-control-request-headers"));
    let expected = [
        Some("authorization,x-team"),
        None,
        Some("authorization,content-type,x-team"),
    ];
    assert!(announced.eq(expected), "{:#?}", run.preflights());
}

fn a_redirect_to_another_origin_is_followed_by_each_attempt(run: &Run<'_>) {
    let replies = Replies::new();
    let next = replies.clone();
    let target = Server::with_handler(move |request: &Request| next.next(request));
    let url = target.url("/target");
    run.reply(Reply::redirect(307, url.clone()));
    run.reply(Reply::redirect(307, url.clone()));
    // The guest compares the data with the URL that the browser reports.
    let first = Reply::stream().event_with_id("1", &url);
    replies.push(allowed(first.wait_for(&run.gate("one")).drop_connection()));
    replies.push(allowed(Reply::stream().event_with_id("2", &url).stall()));
    run.open();
    run.finish();
    let is_stream = |it: &Request| it.method == "GET";
    let header = |requests: &[Request], name: &str| -> Vec<Option<String>> {
        let streams = requests.iter().filter(|it| is_stream(it));
        streams
            .map(|it| it.header(name).map(String::from))
            .collect()
    };
    let (first, second) = (run.requests(), target.requests());
    let secret = Some("Bearer secret".to_owned());
    assert_eq!(header(&first, "authorization"), [secret.clone(), secret]);
    assert_eq!(header(&second, "authorization"), [None, None]);
    let ids = [None, Some("1".to_owned())];
    assert_eq!(header(&first, "last-event-id"), ids);
    assert_eq!(header(&second, "last-event-id"), ids);
}

fn cookies_are_sent_as_the_program_says(run: &Run<'_>) {
    // Cookies don't depend on the port.
    let cookie = format!("session{}", run.origin.addr().port());
    let page = run.origin.url("").trim_end_matches('/').to_owned();
    let reply = {
        let cookie = cookie.clone();
        move |request: &Request| {
            let reply = match request.path() {
                "/login" => Reply::stream().header("Set-Cookie", format!("{cookie}=1")),
                _ => Reply::stream(),
            };
            let reply = reply
                .header("Access-Control-Allow-Origin", page.clone())
                .header("Access-Control-Allow-Credentials", "true");
            reply.event("hello").stall()
        }
    };
    run.replies.otherwise(reply.clone());
    run.origin_replies.otherwise(reply);
    run.open();
    run.finish();
    let sent = |requests: Vec<Request>| -> Vec<(String, bool)> {
        requests
            .iter()
            .filter(|it| it.method == "GET" && it.query() == Some("cookies"))
            .map(|it| {
                let cookies = it.header("cookie").unwrap_or_default();
                (it.path().to_owned(), cookies.contains(&cookie))
            })
            .collect()
    };
    let expected = |all: &[(&str, bool)]| -> Vec<(String, bool)> {
        all.iter()
            .map(|(path, it)| ((*path).to_owned(), *it))
            .collect()
    };
    assert_eq!(
        sent(run.server.requests()),
        expected(&[
            ("/login", false),
            ("/include", true),
            ("/omit", false),
            ("/default", false),
        ])
    );
    assert_eq!(
        sent(run.origin.requests()),
        expected(&[("/include", true), ("/omit", false), ("/default", true)])
    );
}

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Method};

use super::*;

#[path = "exchange_tests/redirects.rs"]
mod redirects;

const NOW: Timestamp = Timestamp::since_start(Duration::from_secs(100));
const LIMIT: Duration = Duration::from_secs(10);

fn after(limit: Duration) -> Timestamp {
    NOW + limit
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn request(method: Method, url: &str) -> Request {
    Request {
        has_body: method == Method::POST,
        method,
        url: url.parse().unwrap(),
        headers: headers(&[(AUTHORIZATION, "secret"), (COOKIE, "secret")]),
    }
}

fn exchange(config: Config) -> Exchange {
    Exchange::new(request(Method::GET, "https://a.test/feed"), config, NOW)
}

fn limited() -> Config {
    Config {
        connect_timeout: Some(LIMIT),
        read_timeout: Some(LIMIT / 2),
        codings: &[ContentCoding::Gzip],
        ..Config::default()
    }
}

fn connected(config: Config) -> Exchange {
    let mut exchange = exchange(config);
    exchange.handle_connected(NOW);
    exchange
}

impl Exchange {
    fn head(&mut self, status: u16, pairs: &[(HeaderName, &str)]) {
        self.handle_head(status, headers(pairs), NOW, SystemTime::UNIX_EPOCH);
    }

    fn redirected(&mut self, status: u16, location: &str) {
        self.handle_connected(NOW);
        self.head(status, &[(LOCATION, location)]);
    }

    fn fault(&mut self) -> Fault {
        match self.poll_output() {
            Output::Failed(fault) => fault,
            other => panic!("{other:?}"),
        }
    }
}

const STREAM: (HeaderName, &str) = (CONTENT_TYPE, "text/event-stream");

#[test]
fn connect_and_read_timeouts_apply_in_turn() {
    let mut exchange = exchange(limited());
    let deadline = Some(after(LIMIT));
    assert!(matches!(exchange.poll_output(), Output::Connect { deadline: it } if it == deadline));
    exchange.handle_timeout(after(LIMIT - Duration::from_nanos(1)));
    let late = after(LIMIT - Duration::from_nanos(1));
    exchange.handle_connected(late);
    let deadline = Some(late + LIMIT / 2);
    assert!(matches!(exchange.poll_output(), Output::Receive { deadline: it } if it == deadline));
    exchange.handle_timeout(late + LIMIT / 2);
    let fault = exchange.fault();
    assert!(matches!(fault, Fault::ResponseTimeout(limit) if limit == LIMIT / 2));
    assert_eq!(fault.to_string(), "no response within 5 s (read_timeout)");
}

#[test]
fn another_connection_for_the_same_request_gets_a_new_deadline() {
    let mut exchange = connected(limited());
    let later = after(LIMIT / 4);
    exchange.handle_reconnect(later);
    let deadline = Some(later + LIMIT);
    assert!(matches!(exchange.poll_output(), Output::Connect { deadline: it } if it == deadline));
    exchange.handle_timeout(later + LIMIT);
    assert!(matches!(exchange.fault(), Fault::ConnectTimeout(LIMIT)));
}

#[test]
fn without_limits_there_is_no_deadline() {
    let mut exchange = exchange(Config::default());
    exchange.handle_timeout(after(Duration::MAX));
    assert!(matches!(
        exchange.poll_output(),
        Output::Connect { deadline: None }
    ));
    exchange.handle_connected(NOW);
    exchange.handle_timeout(after(Duration::MAX));
    assert!(matches!(
        exchange.poll_output(),
        Output::Receive { deadline: None }
    ));
}

#[test]
fn a_fault_says_whether_a_request_may_have_been_sent() {
    let mut exchange = exchange(limited());
    exchange.handle_connect_failure("refused");
    assert!(matches!(exchange.fault(), Fault::Connect(_)));

    let mut exchange = super::tests::exchange(limited());
    exchange.handle_timeout(after(LIMIT));
    assert!(matches!(exchange.fault(), Fault::ConnectTimeout(LIMIT)));

    let mut exchange = super::tests::exchange(limited());
    exchange.handle_unreachable("no TLS");
    assert!(matches!(exchange.fault(), Fault::Setup(_)));

    let mut exchange = connected(limited());
    exchange.handle_failure("reset");
    assert!(matches!(exchange.fault(), Fault::Request(_)));

    let mut exchange = connected(limited());
    exchange.handle_unprocessed("refused");
    assert!(matches!(exchange.fault(), Fault::Connect(_)));
}

#[test]
fn an_early_response_counts_even_if_the_request_could_not_be_sent() {
    let mut exchange = connected(limited());
    exchange.handle_send_failure("broken pipe");
    assert!(matches!(exchange.poll_output(), Output::Receive { .. }));
    exchange.head(413, &[]);
    exchange.handle_body_end();
    assert_eq!(exchange.fault().status(), Some(413));

    let mut exchange = connected(limited());
    exchange.handle_send_failure("broken pipe");
    exchange.handle_failure("closed");
    let fault = exchange.fault();
    assert_eq!(
        std::error::Error::source(&fault).unwrap().to_string(),
        "broken pipe"
    );
}

#[test]
fn start_describes_the_stream() {
    let mut exchange = connected(limited());
    exchange.head(200, &[STREAM, (CONTENT_ENCODING, "gzip")]);
    assert!(matches!(
        exchange.poll_output(),
        Output::Stream(Some(ContentCoding::Gzip))
    ));
    assert!(matches!(
        exchange.poll_output(),
        Output::Stream(Some(ContentCoding::Gzip))
    ));
    let start = exchange.start();
    assert_eq!(
        (start.status, start.url.as_deref()),
        (Some(200), Some("https://a.test/feed"))
    );
    assert_eq!(start.header("content-type"), Some("text/event-stream"));
    // Later calls don't change it.
    exchange.handle_timeout(after(Duration::MAX));
    exchange.handle_body(b"data: x\n\n");
    exchange.handle_body_end();
    assert!(matches!(exchange.poll_output(), Output::Stream(_)));
}

#[test]
fn the_body_of_an_error_is_kept_up_to_1_kib() {
    type Case<'a> = (u16, &'a [(HeaderName, &'a str)], fn(&Fault) -> bool);
    let table: [Case<'_>; 5] = [
        (503, &[(RETRY_AFTER, "7")], |fault| {
            matches!(fault, Fault::Status(_))
        }),
        (204, &[STREAM], |fault| matches!(fault, Fault::Status(_))),
        (200, &[(CONTENT_TYPE, "text/html")], |fault| {
            matches!(fault, Fault::ContentType(_))
        }),
        (200, &[STREAM, (CONTENT_ENCODING, "br")], |fault| {
            matches!(fault, Fault::ContentEncoding(_))
        }),
        (302, &[(LOCATION, "ftp://a.test/")], |fault| {
            matches!(fault, Fault::Redirect(_, RedirectProblem::Scheme))
        }),
    ];
    for (status, pairs, is_expected) in table {
        let mut exchange = connected(limited());
        exchange.head(status, pairs);
        let deadline = after(ERROR_BODY_TIME);
        for _ in 0..3 {
            let output = exchange.poll_output();
            assert!(
                matches!(output, Output::ReadError { coding: None, deadline: it } if it == deadline)
            );
            exchange.handle_body(&[b'x'; ERROR_BODY / 3]);
        }
        exchange.handle_body(&[b'x'; ERROR_BODY]);
        let fault = exchange.fault();
        assert!(is_expected(&fault), "{fault:?}");
        let response = fault.response().unwrap();
        assert_eq!((response.status, response.body.len()), (status, ERROR_BODY));
        let asked = (status == 503).then(|| Duration::from_secs(7));
        assert_eq!(fault.retry_after(), asked);
    }
}

#[test]
fn keep_error_body_changes_the_limit() {
    for limit in [0, 10, 3 * ERROR_BODY] {
        let mut exchange = connected(limited());
        exchange.keep_error_body(limit);
        exchange.head(404, &[]);
        exchange.handle_body(&[b'x'; 2 * ERROR_BODY]);
        exchange.handle_body(&[b'x'; 2 * ERROR_BODY]);
        let fault = exchange.fault();
        assert_eq!(fault.response().unwrap().body.len(), limit);
    }
}

#[test]
fn a_broken_or_stalled_error_body_does_not_hide_the_error() {
    type Ends = fn(&mut Exchange);
    let table: [Ends; 2] = [Exchange::handle_body_end, |exchange| {
        exchange.handle_timeout(after(ERROR_BODY_TIME))
    }];
    for ends in table {
        let mut exchange = connected(limited());
        exchange.head(500, &[(CONTENT_ENCODING, "gzip")]);
        exchange.handle_timeout(after(ERROR_BODY_TIME - Duration::from_nanos(1)));
        let output = exchange.poll_output();
        assert!(matches!(
            output,
            Output::ReadError {
                coding: Some(ContentCoding::Gzip),
                ..
            }
        ));
        exchange.handle_body(b"oh no");
        ends(&mut exchange);
        assert_eq!(exchange.fault().response().unwrap().body, b"oh no");
        assert!(
            matches!(exchange.fault(), Fault::Source(_)),
            "a fault is returned once"
        );
    }
}

#[test]
fn calls_in_the_wrong_state_are_ignored() {
    let mut exchange = exchange(limited());
    exchange.handle_body(b"x");
    exchange.handle_body_end();
    assert!(matches!(exchange.poll_output(), Output::Connect { .. }));
    exchange.handle_connect_failure("first");
    exchange.handle_failure("second");
    exchange.handle_connected(NOW);
    let fault = exchange.fault();
    assert_eq!(
        std::error::Error::source(&fault).unwrap().to_string(),
        "first"
    );
}

/// Every state, with the name of its output.
fn states() -> [(&'static str, Exchange); 5] {
    let post = || Exchange::new(request(Method::POST, "https://a.test/"), limited(), NOW);
    let with_head = |status, pairs: &[(HeaderName, &str)]| {
        let mut exchange = post();
        exchange.handle_connected(NOW);
        exchange.head(status, pairs);
        exchange
    };
    let mut receiving = post();
    receiving.handle_connected(NOW);
    let mut failed = with_head(500, &[]);
    failed.handle_body_end();
    [
        ("Connect", post()),
        ("Receive", receiving),
        ("ReadError", with_head(500, &[])),
        ("Stream", with_head(200, &[STREAM])),
        ("Failed(Status", failed),
    ]
}

/// A misbehaving driver must not make a request that was sent look like one that wasn't.
#[test]
fn each_failure_is_accepted_only_in_its_own_state() {
    type Fails = fn(&mut Exchange);
    let table: [(Fails, &str, &str); 4] = [
        (
            |exchange| exchange.handle_connect_failure("refused"),
            "Connect",
            "Failed(Connect",
        ),
        (
            |exchange| exchange.handle_unreachable("no TLS"),
            "Connect",
            "Failed(Setup",
        ),
        (
            |exchange| exchange.handle_unprocessed("refused"),
            "Receive",
            "Failed(Connect",
        ),
        (
            |exchange| exchange.handle_failure("reset"),
            "Receive",
            "Failed(Request",
        ),
    ];
    for (index, (fails, acts_in, becomes)) in table.into_iter().enumerate() {
        for (state, mut exchange) in states() {
            fails(&mut exchange);
            let expected = match state == acts_in {
                true => becomes,
                false => state,
            };
            let output = format!("{:?}", exchange.poll_output());
            assert!(
                output.starts_with(expected),
                "row {index} in {state}: {output}"
            );
        }
    }
}

#[test]
fn a_send_failure_counts_only_while_the_request_is_being_sent() {
    for (state, mut exchange) in states() {
        exchange.handle_send_failure("broken pipe");
        if state == "Connect" {
            exchange.handle_connected(NOW);
            exchange.handle_failure("closed");
            let fault = exchange.fault();
            let cause = std::error::Error::source(&fault).unwrap().to_string();
            assert_eq!(cause, "closed");
        } else {
            let output = format!("{:?}", exchange.poll_output());
            assert!(output.starts_with(state), "{state}: {output}");
        }
    }
}

//! Redirects: the next request, and the credentials that it has.

use super::*;
use crate::policy::HeaderScope;

#[test]
fn after_a_redirect_every_failure_is_a_request_fault() {
    type Fails = fn(&mut Exchange);
    let table: [Fails; 5] = [
        |exchange| exchange.handle_connect_failure("refused"),
        |exchange| exchange.handle_timeout(after(LIMIT)),
        |exchange| {
            exchange.handle_connected(NOW);
            exchange.handle_unprocessed("refused");
        },
        |exchange| {
            exchange.handle_connected(NOW);
            exchange.handle_failure("reset");
        },
        |exchange| {
            exchange.handle_connected(NOW);
            exchange.handle_send_failure("reset");
            exchange.handle_failure("closed");
        },
    ];
    for fails in table {
        let mut exchange = exchange(limited());
        exchange.redirected(302, "/next");
        fails(&mut exchange);
        assert!(matches!(exchange.fault(), Fault::Request(_)));
    }
    let mut exchange = exchange(limited());
    exchange.redirected(302, "/next");
    exchange.handle_unreachable("no TLS");
    let fault = exchange.fault();
    let Fault::Redirect(response, RedirectProblem::Unreachable) = &fault else {
        panic!("{fault:?}");
    };
    assert_eq!(
        (response.status, &*response.url),
        (302, "https://a.test/feed")
    );
    assert_eq!(
        std::error::Error::source(&fault).unwrap().to_string(),
        "no TLS"
    );
}

#[test]
fn redirects_are_followed_up_to_the_limit() {
    for limit in [0, 1, 3] {
        let config = Config {
            redirect_limit: limit,
            ..limited()
        };
        let mut exchange = exchange(config);
        for followed in 0..limit {
            exchange.redirected(302, &format!("/{followed}"));
            assert!(matches!(
                exchange.poll_output(),
                Output::Connect { deadline: Some(_) }
            ));
            assert_eq!(exchange.request().url.path(), format!("/{followed}"));
        }
        exchange.redirected(302, "/more");
        exchange.handle_body_end();
        let fault = exchange.fault();
        assert!(matches!(fault, Fault::Redirect(_, RedirectProblem::TooMany(it)) if it == limit));
        assert_eq!(exchange.followed(), limit);
    }
}

#[test]
fn withheld_credentials_are_named() {
    let mut exchange = exchange(limited());
    exchange.redirected(302, "/same");
    assert_eq!(exchange.request().headers.len(), 2);
    exchange.redirected(302, "https://b.test/");
    assert!(exchange.request().headers.is_empty());
    exchange.redirected(302, "https://a.test/home");
    assert!(
        exchange.request().headers.is_empty(),
        "withheld headers are not restored"
    );
    exchange.handle_connected(NOW);
    exchange.head(200, &[STREAM]);
    assert_eq!(
        exchange.start().withheld_headers,
        ["authorization", "cookie"]
    );
}

#[test]
fn only_headers_marked_sensitive_do_not_follow_an_upgrade_to_https() {
    let mut request = request(Method::GET, "http://u:p@a.test/");
    request.headers.clear();
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    request.headers.insert("x-api-key", secret);
    request
        .headers
        .insert("x-team", HeaderValue::from_static("blue"));
    let config = Config {
        header_scope: HeaderScope::All,
        ..limited()
    };
    let mut exchange = Exchange::new(request, config, NOW);
    exchange.redirected(302, "https://a.test/");
    let headers = &exchange.request().headers;
    assert_eq!(headers[AUTHORIZATION], "Basic dTpw");
    assert!(headers[AUTHORIZATION].is_sensitive(), "must be redacted");
    assert_eq!(headers["x-team"], "blue");
    assert!(!headers.contains_key("x-api-key"));
    assert_eq!(exchange.withheld(), ["x-api-key"]);
}

#[test]
fn user_info_stays_with_its_origin() {
    let mut request = request(Method::GET, "https://u:p@a.test/");
    request.headers.clear();
    let mut exchange = Exchange::new(request, limited(), NOW);
    assert_eq!(exchange.request().headers[AUTHORIZATION], "Basic dTpw");
    assert_eq!(exchange.request().url.as_str(), "https://a.test/");
    exchange.redirected(302, "https://x:y@b.test/");
    assert_eq!(exchange.request().headers[AUTHORIZATION], "Basic eDp5");
    exchange.redirected(302, "https://a.test/");
    assert!(!exchange.request().headers.contains_key(AUTHORIZATION));
}

#[test]
fn a_body_is_sent_again_only_if_the_method_stays() {
    for (status, method, has_body) in [
        (301, Method::GET, false),
        (302, Method::GET, false),
        (303, Method::GET, false),
        (307, Method::POST, true),
        (308, Method::POST, true),
    ] {
        let post = request(Method::POST, "https://a.test/");
        let mut exchange = Exchange::new(post, limited(), NOW);
        exchange.redirected(status, "/next");
        let request = exchange.request();
        assert_eq!(
            (&request.method, request.has_body),
            (&method, has_body),
            "{status}"
        );
        // A dropped body is not restored.
        exchange.redirected(307, "/again");
        assert_eq!(exchange.request().has_body, has_body);
    }
}

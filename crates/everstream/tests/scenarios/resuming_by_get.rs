//! Streams that were requested by an unsafe method and are resumed by GET.

use std::sync::{Arc, Mutex};

use everstream::{Action, Attempt, Builder, Connection, Error, Fault, Http, error_strategy};
use everstream_testing::{Reply, Request, Server};

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_tool_call_is_resumed_and_runs_once,
    a_finished_call_is_one_request,
    a_stream_is_resumed_after_a_clean_end,
    a_server_that_refuses_the_get_ends_the_stream,
    the_get_has_no_body_and_no_body_headers,
    the_get_follows_redirects,
    the_hook_sees_the_get,
    the_hook_can_not_add_a_body_to_the_get,
    without_an_id_nothing_is_resumed,
    an_explicit_start_resumes_if_possible,
    a_safe_method_is_not_affected,
    a_source_without_support_is_not_asked_to_resume,
);

/// A tool call of MCP.
fn call(server: &Server) -> Http {
    Http::new(server.url("/mcp"))
        .method("POST")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-session-id", "s1")
        .bearer_token("t")
        .body(r#"{"method":"tools/call"}"#)
}

fn resuming(http: Http) -> Builder {
    quick(http)
        .error_strategy(error_strategy::always_continue())
        .resume_with_get(true)
}

fn methods(server: &Server) -> Vec<String> {
    let requests = server.requests();
    requests.into_iter().map(|request| request.method).collect()
}

fn a_tool_call_is_resumed_and_runs_once<C: Client>() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .event_with_id("1", "")
            .event_with_id("2", "progress")
            .drop_connection(),
    );
    server.enqueue(Reply::raw("").drop_connection());
    server.enqueue(Reply::status(503));
    server.enqueue(Reply::stream().event_with_id("3", "more").reset());
    server.enqueue(
        Reply::stream()
            .event_with_id("4", "result")
            .event("bye")
            .end(),
    );
    let builder = resuming(call(&server)).until("bye");
    let mut client = C::with(builder);
    let mut events = Vec::new();
    loop {
        match client.next_action() {
            Some(Ok(Action::Event(event))) => events.push(event.into_data()),
            Some(Ok(_)) => {}
            Some(Err(error)) => panic!("{error:?}"),
            None => break,
        }
    }
    // An event with an empty `data:` field is delivered.
    assert_eq!(events, ["", "progress", "more", "result"]);
    assert_eq!(methods(&server), ["POST", "GET", "GET", "GET", "GET"]);
    let ids: Vec<_> = server.requests()[1..]
        .iter()
        .map(|request| request.header("last-event-id").map(str::to_owned))
        .collect();
    let ids: Vec<_> = ids.iter().map(Option::as_deref).collect();
    assert_eq!(ids, [Some("2"), Some("2"), Some("2"), Some("3")]);
    for _ in 0..3 {
        client.expect_ended();
    }
    assert_eq!(server.request_count(), 5);
}

fn a_finished_call_is_one_request<C: Client>() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "result")
            .event("bye")
            .end(),
    );
    let mut client = C::with(resuming(call(&server)).until("bye"));
    client.expect_start();
    client.expect_event("result");
    for _ in 0..3 {
        client.expect_ended();
    }
    assert_eq!(methods(&server), ["POST"]);
}

fn a_stream_is_resumed_after_a_clean_end<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").end());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::with(resuming(call(&server)));
    client.expect_start();
    client.expect_event("a");
    match client.next_action() {
        Some(Ok(Action::End(end))) => assert!(!end.not_repeated),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.event_data(), "b");
    assert_eq!(methods(&server), ["POST", "GET"]);
}

fn a_server_that_refuses_the_get_ends_the_stream<C: Client>() {
    for status in [400, 404, 405] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
        server.otherwise(Reply::status(status));
        let mut client = C::with(resuming(call(&server)));
        client.expect_start();
        client.expect_event("a");
        client.expect_fault();
        let fault = client.expect_error();
        assert_eq!(fault.status(), Some(status));
        for _ in 0..3 {
            client.expect_ended();
        }
        assert_eq!(methods(&server), ["POST", "GET"]);
        // `start()` still works; it repeats the request, because the server refuses to resume.
        assert!(client.start().is_err());
        assert_eq!(methods(&server), ["POST", "GET", "POST"]);
    }
}

/// Returns the GET that resumes after a POST with an event and an id.
fn get<C: Client>(http: Http, server: &Server) -> Request {
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::with(resuming(http));
    client.event_data();
    client.event_data();
    server.requests().pop().unwrap()
}

fn the_get_has_no_body_and_no_body_headers<C: Client>() {
    let server = Server::start();
    let http = call(&server)
        .header("content-language", "en")
        .header("x-team", "a")
        .header("cache-control", "no-store");
    let request = get::<C>(http, &server);
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/mcp");
    assert!(request.body.is_empty());
    for name in [
        "content-type",
        "content-language",
        "content-length",
        "transfer-encoding",
    ] {
        assert_eq!(request.header(name), None, "{name}");
    }
    for (name, value) in [
        ("accept", "text/event-stream"),
        ("authorization", "Bearer t"),
        ("cache-control", "no-store"),
        ("last-event-id", "1"),
        ("mcp-session-id", "s1"),
        ("x-team", "a"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    // The original request had all of them.
    let first = &server.requests()[0];
    assert_eq!(
        first.header("accept"),
        Some("application/json, text/event-stream")
    );
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.body, br#"{"method":"tools/call"}"#);
}

fn the_get_follows_redirects<C: Client>() {
    let (server, other) = (Server::start(), Server::start());
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::redirect(307, other.url("/there")));
    other.otherwise(Reply::stream().event("b").stall());
    let mut client = C::with(resuming(call(&server)));
    assert_eq!(client.event_data(), "a");
    assert_eq!(client.event_data(), "b");
    let request = other.requests().remove(0);
    assert_eq!((&*request.method, &*request.body), ("GET", &b""[..]));
    assert_eq!(request.header("last-event-id"), Some("1"));
    assert_eq!(request.header("authorization"), None);
}

fn the_hook_sees_the_get<C: Client>() {
    let server = Server::start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let http = call(&server).before_attempt(move |attempt: Attempt| {
        log.lock().unwrap().push((
            attempt.method().to_owned(),
            attempt.last_event_id().map(str::to_owned),
        ));
        async { Ok::<_, std::io::Error>(attempt.bearer_token("fresh")) }
    });
    let request = get::<C>(http, &server);
    assert_eq!(request.header("authorization"), Some("Bearer fresh"));
    let seen = seen.lock().unwrap();
    let expected = [("POST".into(), None), ("GET".into(), Some("1".into()))];
    assert_eq!(*seen, expected);
}

fn the_hook_can_not_add_a_body_to_the_get<C: Client>() {
    let server = Server::start();
    let http = call(&server).before_attempt(|attempt: Attempt| async {
        Ok::<_, std::io::Error>(
            attempt
                .set_header("content-type", "text/plain")
                .set_body("hello"),
        )
    });
    let request = get::<C>(http, &server);
    assert_eq!(request.header("content-type"), None);
    assert!(request.body.is_empty());
    let first = &server.requests()[0];
    assert_eq!(first.header("content-type"), Some("text/plain"));
    assert_eq!(first.body, b"hello");
}

#[cfg(feature = "json")]
mod json {
    use super::*;

    for_both_clients!(the_get_has_no_json_content_type);

    fn the_get_has_no_json_content_type<C: Client>() {
        let server = Server::start();
        let http = Http::new(server.url("/mcp")).json(&["call"]);
        let request = get::<C>(http, &server);
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("content-type"), None);
        assert!(request.body.is_empty());
        let first = &server.requests()[0];
        assert_eq!(first.header("content-type"), Some("application/json"));
    }
}

fn without_an_id_nothing_is_resumed<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    // The preset id is that of an earlier call.
    let mut client = C::with(resuming(call(&server)).last_event_id("41"));
    client.expect_start();
    client.expect_event("a");
    assert!(matches!(client.expect_not_repeated(), Fault::Read(_)));
    client.expect_ended();
    assert_eq!(methods(&server), ["POST"]);
    assert_eq!(server.requests()[0].header("last-event-id"), Some("41"));
}

fn an_explicit_start_resumes_if_possible<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.enqueue(Reply::stream().event_with_id("1", "b").drop_connection());
    server.enqueue(Reply::stream().event("c").stall());
    let builder = resuming(call(&server)).error_strategy(error_strategy::always_fail());
    let mut client = C::with(builder);
    for data in ["a", "b"] {
        assert_eq!(client.event_data(), data);
        assert!(matches!(client.last_error(), Error::Fault(Fault::Read(_))));
        client.start().unwrap();
    }
    assert_eq!(client.event_data(), "c");
    assert_eq!(methods(&server), ["POST", "POST", "GET"]);
}

fn a_safe_method_is_not_affected<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::status(404));
    server.otherwise(Reply::stream().event("b").stall());
    let http = Http::new(server.url("/")).header("accept", "text/plain");
    let mut client = C::with(resuming(http));
    assert_eq!(client.event_data(), "a");
    // A 404 isn't final, and the user's `Accept` is sent.
    assert_eq!(client.event_data(), "b");
    assert_eq!(server.requests()[2].header("accept"), Some("text/plain"));
}

struct Feed {
    can_resume: bool,
    requests: Arc<Mutex<Vec<bool>>>,
}

impl everstream::ConnectStrategy for Feed {
    fn create_client(
        &self,
        _: everstream::ClientContext,
    ) -> Result<Box<dyn everstream::ConnectionClient>, Error> {
        Ok(Box::new(Feed {
            can_resume: self.can_resume,
            requests: self.requests.clone(),
        }))
    }
}

impl everstream::ConnectionClient for Feed {
    fn connect(&mut self, request: everstream::ConnectRequest) -> everstream::ConnectFuture {
        self.requests.lock().unwrap().push(request.resume_with_get);
        Box::pin(async { Ok(Connection::from_async_read(&b"id: 1\ndata: a\n\n"[..])) })
    }
    fn is_repeatable(&self) -> bool {
        false
    }
    fn can_resume_with_get(&self) -> bool {
        self.can_resume
    }
}

fn a_source_without_support_is_not_asked_to_resume<C: Client>() {
    for can_resume in [false, true] {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let feed = Feed {
            can_resume,
            requests: requests.clone(),
        };
        let mut client = C::with(quick(feed).resume_with_get(true));
        client.expect_start();
        client.expect_event("a");
        match client.next_action() {
            Some(Ok(Action::End(end))) => assert_eq!(end.not_repeated, !can_resume),
            other => panic!("{other:?}"),
        }
        if can_resume {
            client.expect_start();
        } else {
            client.expect_ended();
        }
        let expected: &[bool] = if can_resume { &[false, true] } else { &[false] };
        assert_eq!(*requests.lock().unwrap(), expected);
    }
}

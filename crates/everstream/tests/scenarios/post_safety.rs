//! A request that isn't safe is never silently resent. `resuming_by_get.rs` tests how it is resumed.

use std::time::Duration;

use everstream::{Action, Builder, Error, Fault, Http, error_strategy};
use everstream_testing::{Gate, Reply, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    not_repeated_after_a_drop,
    not_repeated_after_a_clean_end,
    not_repeated_after_a_reset,
    not_repeated_after_a_drop_before_the_response,
    not_repeated_after_a_timeout,
    not_repeated_after_a_timeout_before_the_response,
    not_repeated_after_a_503,
    not_repeated_after_an_interrupt_before_the_response,
    not_repeated_after_a_redirect_to_an_unreachable_server,
    not_repeated_after_a_redirect_that_keeps_the_body,
    not_repeated_because_of_a_preset_id,
    not_repeated_because_of_an_id,
    not_repeated_after_a_complete_response_with_an_id,
    a_failing_strategy_is_not_reported_as_not_repeated,
    not_repeated_because_of_an_id_that_cannot_be_sent,
    not_repeated_for_any_unsafe_method,
    repeated_after_a_refused_connection,
    repeated_after_a_failed_hook,
    repeated_by_an_explicit_start,
    repeated_with_repeat_unsafe,
    repeated_if_the_method_is_safe,
    not_repeated_if_a_hook_made_the_method_unsafe,
    not_repeated_after_an_interrupt_if_a_hook_made_the_method_unsafe,
    repeated_if_a_hook_made_the_method_safe,
);

/// Longer than a busy machine takes from the request to the response.
const SHORT: Duration = Duration::from_secs(1);

fn prompt(server: &Server) -> Http {
    Http::new(server.url("/")).method("POST").body("prompt")
}

/// Settings with which only the method prevents a repetition.
fn always_retry(http: Http) -> Builder {
    quick(http).error_strategy(error_strategy::always_continue())
}

/// Reads to the end, then tries to read more, and checks that the server got one request.
#[track_caller]
fn assert_requested_once<C: Client>(server: &Server, builder: Builder) -> Option<Fault> {
    let mut client = C::with(builder);
    let mut end = None;
    let fault = loop {
        match client.next_action() {
            Some(Ok(Action::End(last))) => end = Some(last.not_repeated),
            Some(Ok(_)) => {}
            Some(Err(error @ Error::NotRepeated(_))) => {
                let text = error.to_string();
                for option in ["repeat_unsafe", "resume_with_get"] {
                    assert!(text.contains(option), "{text}");
                }
                let Error::NotRepeated(fault) = error else {
                    unreachable!()
                };
                break Some(fault);
            }
            Some(Err(other)) => panic!("{other:?}"),
            None => break None,
        }
    };
    // The reason is reported, either in the error or in the end.
    assert_eq!(end, fault.is_none().then_some(true));
    for _ in 0..3 {
        client.expect_ended();
    }
    assert_eq!(server.request_count(), 1);
    fault
}

fn not_repeated_after_a_drop<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
    assert!(matches!(fault, Some(Fault::Read(_))));
}

fn not_repeated_after_a_clean_end<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    assert!(assert_requested_once::<C>(&server, always_retry(prompt(&server))).is_none());
}

fn not_repeated_after_a_reset<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").reset());
    assert!(assert_requested_once::<C>(&server, always_retry(prompt(&server))).is_some());
}

fn not_repeated_after_a_drop_before_the_response<C: Client>() {
    for reply in [
        Reply::raw("").drop_connection(),
        Reply::raw("").reset(),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Ty").drop_connection(),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

fn not_repeated_after_a_timeout<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let builder = always_retry(prompt(&server)).read_timeout(SHORT);
    let fault = assert_requested_once::<C>(&server, builder);
    assert!(matches!(fault, Some(Fault::ReadTimeout(_))), "{fault:?}");
}

fn not_repeated_after_a_timeout_before_the_response<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let builder = always_retry(prompt(&server)).read_timeout(SHORT);
    let fault = assert_requested_once::<C>(&server, builder);
    assert!(
        matches!(fault, Some(Fault::ResponseTimeout(_))),
        "{fault:?}"
    );
}

fn not_repeated_after_a_503<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
    assert_eq!(fault.unwrap().status(), Some(503));
}

fn not_repeated_after_an_interrupt_before_the_response<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let builder = always_retry(prompt(&server));
    let mut client = C::with(builder);
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(server.wait_for_requests(1, LIMIT));
            handle.interrupt();
        });
        match client.next_action() {
            Some(Ok(Action::End(end))) => assert!(end.not_repeated),
            other => panic!("{other:?}"),
        }
    });
    client.expect_ended();
    client.expect_ended();
    assert_eq!(server.request_count(), 1);
}

fn not_repeated_after_a_redirect_to_an_unreachable_server<C: Client>() {
    // The server may have acted on the request before it redirected.
    for status in [302, 303, 307] {
        let (server, nobody) = (Server::start(), Server::start());
        nobody.stop();
        server.otherwise(Reply::redirect(status, nobody.url("/")));
        let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

fn not_repeated_after_a_redirect_that_keeps_the_body<C: Client>() {
    // The target gets the prompt once, and may have acted on it.
    for status in [307, 308] {
        for reply in [Reply::raw("").drop_connection(), Reply::raw("").reset()] {
            let (server, target) = (Server::start(), Server::start());
            server.otherwise(Reply::redirect(status, target.url("/")));
            target.otherwise(reply);
            let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
            assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
            let requests = target.requests();
            assert_eq!(requests.len(), 1, "{status}");
            assert_eq!(
                (&*requests[0].method, &*requests[0].body),
                ("POST", &b"prompt"[..])
            );
        }
    }
}

fn not_repeated_because_of_an_id<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "a").drop_connection());
    let fault = assert_requested_once::<C>(&server, always_retry(prompt(&server)));
    assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
}

/// Although the default strategy reconnects after a clean end.
fn not_repeated_after_a_complete_response_with_an_id<C: Client>() {
    for reply in [Reply::stream(), Reply::stream().close_delimited()] {
        let server = Server::start();
        server.otherwise(reply.event_with_id("1", "the answer").end());
        let mut client = C::quick(prompt(&server));
        client.expect_start();
        client.expect_event("the answer");
        match client.next_action() {
            Some(Ok(Action::End(end))) => assert!(end.not_repeated),
            other => panic!("{other:?}"),
        }
        for _ in 0..3 {
            client.expect_ended();
        }
        assert_eq!(server.request_count(), 1);
    }
}

fn a_failing_strategy_is_not_reported_as_not_repeated<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").end());
    server.enqueue(Reply::stream().event("a").drop_connection());
    let failing = || quick(prompt(&server)).error_strategy(error_strategy::always_fail());
    let mut client = C::with(failing());
    client.event_data();
    match client.next_action() {
        Some(Ok(Action::End(end))) => assert!(!end.not_repeated),
        other => panic!("{other:?}"),
    }
    client.expect_ended();
    let mut client = C::with(failing());
    client.event_data();
    assert!(matches!(client.expect_error(), Fault::Read(_)));
}

fn not_repeated_because_of_a_preset_id<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let builder = always_retry(prompt(&server)).last_event_id("41");
    assert_requested_once::<C>(&server, builder);
}

fn not_repeated_because_of_an_id_that_cannot_be_sent<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().send("id: \x01\ndata: a\n\n"));
    assert_requested_once::<C>(&server, always_retry(prompt(&server)));
}

fn not_repeated_for_any_unsafe_method<C: Client>() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "REPORT-MINE", "get"] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").drop_connection());
        assert_requested_once::<C>(&server, always_retry(prompt(&server).method(method)));
    }
}

fn repeated_after_a_refused_connection<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    server.stop();
    let mut client = C::quick(prompt(&server));
    assert!(client.expect_fault().is_connect());
    assert!(client.expect_fault().is_connect());
    server.restart().unwrap();
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 1);
}

fn repeated_after_a_failed_hook<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let http = prompt(&server).before_attempt(|attempt: everstream::Attempt| async move {
        match attempt.number() {
            1 => Err(std::io::Error::other("the token service is away")),
            _ => Ok(attempt),
        }
    });
    let mut client = C::with(always_retry(http));
    assert!(matches!(client.expect_fault(), Fault::Setup(_)));
    assert_eq!(client.event_data(), "a", "nothing was sent before");
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 1);
}

fn repeated_by_an_explicit_start<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let mut client = C::quick(prompt(&server));
    client.event_data();
    client.last_error();
    client.expect_ended();
    client.start().unwrap();
    assert_eq!(client.event_data(), "a");
    client.last_error();
    client.expect_ended();
    assert_eq!(server.request_count(), 2);
}

fn repeated_with_repeat_unsafe<C: Client>() {
    let server = Server::start();
    let seen = Gate::new();
    server.enqueue(Reply::stream().event("a").wait_for(&seen).reset());
    server.enqueue(Reply::raw("").drop_connection());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::with(quick(prompt(&server)).repeat_unsafe(true));
    client.event_data();
    seen.open();
    assert_eq!(client.event_data(), "b");
    assert_eq!(server.request_count(), 3);
}

fn repeated_if_the_method_is_safe<C: Client>() {
    for method in ["GET", "OPTIONS"] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").drop_connection());
        let mut client = C::quick(prompt(&server).method(method));
        client.event_data();
        client.event_data();
    }
}

fn with_method(server: &Server, method: &'static str) -> Http {
    prompt(server)
        .method("GET")
        .before_attempt(move |attempt| async move {
            Ok::<_, std::io::Error>(attempt.set_method(method).set_body("from the hook"))
        })
}

fn not_repeated_if_a_hook_made_the_method_unsafe<C: Client>() {
    for reply in [
        Reply::stream().event("a").drop_connection(),
        Reply::raw("").drop_connection(),
        Reply::status(503),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        assert_requested_once::<C>(&server, always_retry(with_method(&server, "POST")));
        assert_eq!(server.requests()[0].body, b"from the hook");
    }
}

fn not_repeated_after_an_interrupt_if_a_hook_made_the_method_unsafe<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let mut client = C::with(always_retry(with_method(&server, "POST")));
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(server.wait_for_requests(1, LIMIT));
            handle.interrupt();
        });
        client.expect_clean_end();
    });
    client.expect_ended();
    assert_eq!(server.request_count(), 1);
}

fn repeated_if_a_hook_made_the_method_safe<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let http = prompt(&server)
        .before_attempt(|attempt| async { Ok::<_, std::io::Error>(attempt.set_method("GET")) });
    let mut client = C::quick(http);
    client.event_data();
    client.event_data();
    assert_eq!(server.requests()[1].method, "GET");
}

#[cfg(feature = "reqwest")]
mod custom_client {
    use super::*;
    use crate::support::reqwest_client;

    for_both_clients!(
        not_repeated_after_a_custom_client_followed_a_redirect_to_an_unreachable_server
    );

    fn not_repeated_after_a_custom_client_followed_a_redirect_to_an_unreachable_server<
        C: Client,
    >() {
        let (server, nobody) = (Server::start(), Server::start());
        nobody.stop();
        server.otherwise(Reply::redirect(303, nobody.url("/")));
        // The exchange can't see that the refused connection wasn't the first.
        let http = prompt(&server).client(reqwest_client::builder().build().unwrap());
        let fault = assert_requested_once::<C>(&server, always_retry(http));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

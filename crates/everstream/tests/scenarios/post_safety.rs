//! A request that isn't safe is never sent twice by surprise. How it is resumed is in
//! `resuming_by_get.rs`.

use std::time::Duration;

use everstream::{Action, Builder, Error, Fault, Http, error_strategy};
use everstream_testing::{Gate, Reply, Server};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    not_after_a_drop,
    not_after_a_clean_end,
    not_after_a_reset,
    not_after_a_drop_before_the_response,
    not_after_a_time_out,
    not_after_a_time_out_before_the_response,
    not_after_a_503,
    not_after_an_interrupt_before_the_response,
    not_after_a_redirect_that_leads_to_nobody,
    not_after_a_redirect_that_keeps_the_body,
    not_because_of_a_preset_id,
    not_because_of_an_id,
    not_after_a_complete_answer_with_an_id,
    a_strategy_that_fails_says_nothing_of_repeating,
    not_because_of_an_id_that_cannot_be_sent,
    not_for_any_method_that_is_not_safe,
    again_after_a_refused_connection,
    again_after_a_hook_that_failed,
    again_by_an_express_start,
    again_with_repeat_unsafe,
    again_if_the_method_is_safe,
    not_after_a_hook_made_the_method_unsafe,
    not_after_an_interrupt_of_a_request_that_a_hook_made_unsafe,
    again_if_a_hook_made_the_method_safe,
);

fn prompt(server: &Server) -> Http {
    Http::new(server.url("/")).method("POST").body("prompt")
}

/// Patient to a fault: nothing but the method stands against a repetition.
fn patient(http: Http) -> Builder {
    quick(http).error_strategy(error_strategy::always_continue())
}

/// Reads to the end, reads on for good measure, and finds that the server was asked once.
#[track_caller]
fn assert_asked_once<C: Client>(server: &Server, builder: Builder) -> Option<Fault> {
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
    // The reason is told, in one way or the other.
    assert_eq!(end, fault.is_none().then_some(true));
    for _ in 0..3 {
        client.expect_over();
    }
    assert_eq!(server.request_count(), 1);
    fault
}

fn not_after_a_drop<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
    assert!(matches!(fault, Some(Fault::Read(_))));
}

fn not_after_a_clean_end<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    assert!(assert_asked_once::<C>(&server, patient(prompt(&server))).is_none());
}

fn not_after_a_reset<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").reset());
    assert!(assert_asked_once::<C>(&server, patient(prompt(&server))).is_some());
}

fn not_after_a_drop_before_the_response<C: Client>() {
    for reply in [
        Reply::raw("").drop_connection(),
        Reply::raw("").reset(),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Ty").drop_connection(),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

fn not_after_a_time_out<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let builder = patient(prompt(&server)).read_timeout(Duration::from_millis(20));
    let fault = assert_asked_once::<C>(&server, builder);
    assert!(matches!(fault, Some(Fault::ReadTimeout(_))), "{fault:?}");
}

fn not_after_a_time_out_before_the_response<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let http = prompt(&server).connect_timeout(Duration::from_secs(1));
    let builder = patient(http).read_timeout(Duration::from_millis(20));
    let fault = assert_asked_once::<C>(&server, builder);
    assert!(matches!(fault, Some(Fault::ReadTimeout(_))), "{fault:?}");
}

fn not_after_a_503<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::status(503));
    let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
    assert_eq!(fault.unwrap().status(), Some(503));
}

fn not_after_an_interrupt_before_the_response<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let builder = patient(prompt(&server));
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
    client.expect_over();
    client.expect_over();
    assert_eq!(server.request_count(), 1);
}

fn not_after_a_redirect_that_leads_to_nobody<C: Client>() {
    // The server may well have acted before it sent the client on to see the result.
    for status in [302, 303, 307] {
        let (server, nobody) = (Server::start(), Server::start());
        nobody.stop();
        server.otherwise(Reply::redirect(status, nobody.url("/")));
        let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

fn not_after_a_redirect_that_keeps_the_body<C: Client>() {
    // The target gets the prompt once, and may have acted on it.
    for status in [307, 308] {
        for reply in [Reply::raw("").drop_connection(), Reply::raw("").reset()] {
            let (server, target) = (Server::start(), Server::start());
            server.otherwise(Reply::redirect(status, target.url("/")));
            target.otherwise(reply);
            let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
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

fn not_because_of_an_id<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "a").drop_connection());
    let fault = assert_asked_once::<C>(&server, patient(prompt(&server)));
    assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
}

/// The default strategy reconnects after a clean end.
fn not_after_a_complete_answer_with_an_id<C: Client>() {
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
            client.expect_over();
        }
        assert_eq!(server.request_count(), 1);
    }
}

fn a_strategy_that_fails_says_nothing_of_repeating<C: Client>() {
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
    client.expect_over();
    let mut client = C::with(failing());
    client.event_data();
    assert!(matches!(client.expect_error(), Fault::Read(_)));
}

fn not_because_of_a_preset_id<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let builder = patient(prompt(&server)).last_event_id("41");
    assert_asked_once::<C>(&server, builder);
}

fn not_because_of_an_id_that_cannot_be_sent<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().send("id: \x01\ndata: a\n\n"));
    assert_asked_once::<C>(&server, patient(prompt(&server)));
}

fn not_for_any_method_that_is_not_safe<C: Client>() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "REPORT-MINE", "get"] {
        let server = Server::start();
        server.otherwise(Reply::stream().event("a").drop_connection());
        assert_asked_once::<C>(&server, patient(prompt(&server).method(method)));
    }
}

fn again_after_a_refused_connection<C: Client>() {
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

fn again_after_a_hook_that_failed<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").end());
    let http = prompt(&server).before_attempt(|attempt: everstream::Attempt| async move {
        match attempt.number() {
            1 => Err(std::io::Error::other("the token service is away")),
            _ => Ok(attempt),
        }
    });
    let mut client = C::with(patient(http));
    assert!(matches!(client.expect_fault(), Fault::Setup(_)));
    assert_eq!(client.event_data(), "a", "nothing was sent before");
    assert!(client.next_event().is_none());
    assert_eq!(server.request_count(), 1);
}

fn again_by_an_express_start<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").drop_connection());
    let mut client = C::quick(prompt(&server));
    client.event_data();
    client.last_error();
    client.expect_over();
    client.start().unwrap();
    assert_eq!(client.event_data(), "a");
    client.last_error();
    client.expect_over();
    assert_eq!(server.request_count(), 2);
}

fn again_with_repeat_unsafe<C: Client>() {
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

fn again_if_the_method_is_safe<C: Client>() {
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

fn not_after_a_hook_made_the_method_unsafe<C: Client>() {
    for reply in [
        Reply::stream().event("a").drop_connection(),
        Reply::raw("").drop_connection(),
        Reply::status(503),
    ] {
        let server = Server::start();
        server.otherwise(reply);
        assert_asked_once::<C>(&server, patient(with_method(&server, "POST")));
        assert_eq!(server.requests()[0].body, b"from the hook");
    }
}

fn not_after_an_interrupt_of_a_request_that_a_hook_made_unsafe<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::raw("").stall());
    let mut client = C::with(patient(with_method(&server, "POST")));
    let handle = client.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(server.wait_for_requests(1, LIMIT));
            handle.interrupt();
        });
        client.expect_clean_end();
    });
    client.expect_over();
    assert_eq!(server.request_count(), 1);
}

fn again_if_a_hook_made_the_method_safe<C: Client>() {
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
mod your_own_client {
    use super::*;
    use crate::support::reqwest_client;

    for_both_clients!(not_after_a_redirect_that_your_own_client_followed_to_nobody);

    fn not_after_a_redirect_that_your_own_client_followed_to_nobody<C: Client>() {
        let (server, nobody) = (Server::start(), Server::start());
        nobody.stop();
        server.otherwise(Reply::redirect(303, nobody.url("/")));
        // It can't be seen that the refused connection wasn't the first.
        let http = prompt(&server).client(reqwest_client::builder().build().unwrap());
        let fault = assert_asked_once::<C>(&server, patient(http));
        assert!(matches!(fault, Some(Fault::Request(_))), "{fault:?}");
    }
}

//! The tests, as seen by a program in the browser. The query of its location names the test and a server of
//! another origin; the result is sent to `/report`. The other half of each test is in `runner`, which
//! scripts the servers and checks what they saw.

mod chromium;
mod connecting;
mod js;
mod many;
mod origins;
mod reading;
mod requests;
mod responses;
mod resuming;
mod stopping;
mod timeouts;

use wasm_bindgen_futures::spawn_local;

fn main() {
    std::panic::set_hook(Box::new(|info| js::report(&info.to_string())));
    let query = js::location("search");
    let mut parameters = query.trim_start_matches('?').split('&');
    let test = parameters.next().unwrap_or_default().to_owned();
    let server = parameters.next().unwrap_or_default().to_owned();
    spawn_local(async move {
        let details = run(&test, &server).await;
        js::report(&format!("ok {details}"));
    });
}

/// Returns what the runner is to know. A failure panics.
async fn run(test: &str, server: &str) -> String {
    match test {
        "connect" => connecting::connects_to_the_server_of_the_page().await,
        "relative_url" => connecting::a_relative_url_does_not_follow_the_page().await,
        "settings" => connecting::settings_that_the_browser_refuses_fail_at_build(),
        "drop_in_event" => resuming::a_drop_in_an_event_resumes_after_the_last_one(server).await,
        "non_ascii_id" => resuming::a_non_ascii_id_is_kept(server).await,
        "broken_bodies" => resuming::bodies_that_break_are_faults(server).await,
        "burst" => resuming::all_events_are_delivered_once(server).await,
        "post" => requests::a_post_is_sent_once(server).await,
        "lower_case" => requests::a_get_in_lower_case_is_repeated(server).await,
        "repeat_unsafe" => requests::a_post_is_repeated_if_the_program_says_so(server).await,
        "resume_with_get" => requests::a_post_is_resumed_by_get(server).await,
        "basic_auth" => requests::a_user_and_a_password_are_sent(server).await,
        "before_attempt" => requests::each_attempt_has_a_fresh_token(server).await,
        "no_content" => responses::a_204_ends_the_stream(server).await,
        "error_status" => responses::an_error_status_has_headers_and_a_body(server).await,
        "endless_error_body" => responses::the_beginning_of_a_body_is_kept(server).await,
        "error_body_limit" => responses::the_limit_of_a_body_can_be_set(server).await,
        "send" => responses::send_returns_any_response(server).await,
        "retry_after" => responses::an_exposed_retry_after_is_obeyed(server).await,
        "error_responses" => responses::error_responses_are_read_as_elsewhere(server).await,
        "hidden_retry_after" => responses::a_hidden_retry_after_is_unknown(server).await,
        "timeout_between_events" => timeouts::events_restart_the_read_timeout(server).await,
        "timeout_before_head" => timeouts::a_read_timeout_reconnects(server, false).await,
        "timeout_after_head" => timeouts::a_read_timeout_reconnects(server, true).await,
        "endless_retries" => timeouts::endless_retries_do_not_freeze_the_page(server).await,
        "interrupt" => stopping::interrupt(server).await,
        "close" => stopping::close(server).await,
        "drop_client" => stopping::drop_client(server).await,
        "no_preflight" => origins::the_fault_names_the_header(server).await,
        "not_allowed" => origins::the_fault_names_all_headers_and_the_method(server).await,
        "redirect" => origins::a_redirect_is_followed_by_each_attempt(server).await,
        "credentials" => origins::cookies_are_sent_as_the_program_says(server).await,
        "several" => many::follow(server, "abcd", 'c').await,
        "seventh" => many::follow(server, "abcdefg", 'b').await,
        "hidden" => chromium::a_hidden_page_receives_and_reconnects(server).await,
        "jitter" => return chromium::delays(server).await,
        other => panic!("there is no test {other}"),
    }
    String::new()
}

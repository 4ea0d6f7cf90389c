//! `Http::send`: one request, and its response, whatever that is.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everstream::{
    ConnectRequest, Connection, Fault, Http, HttpVersion, Redirect, RedirectProblem, Response,
    SseClient,
};
use everstream_testing::{Reply, Server};

use super::client::both;
use super::h2_server::H2Server;

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(super::LIMIT, future).await })
        .expect("it takes too long")
}

async fn send(http: Http) -> Result<Response, Fault> {
    http.send(ConnectRequest::default()).await
}

async fn read(mut body: Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next_chunk().await {
        bytes.extend_from_slice(chunk.unwrap().as_ref());
    }
    bytes
}

fn server(reply: Reply) -> Server {
    let server = Server::start();
    server.otherwise(reply);
    server
}

#[test]
fn a_response_that_is_no_stream_can_be_read() {
    let reply = Reply::status(404).header("Content-Type", "application/json");
    let server = server(reply.send("{}").end());
    wait(async {
        let response = send(Http::new(server.url("/feed"))).await.unwrap();
        assert!(!response.is_event_stream());
        assert_eq!(format!("{:?}", response.version()), "HTTP/1.1");
        let start = response.start();
        assert_eq!((start.status, start.attempt), (Some(404), 1));
        assert_eq!(start.header("content-type"), Some("application/json"));
        assert_eq!(start.url.as_deref(), Some(&*server.url("/feed")));
        let body = response.into_body().unwrap();
        assert_eq!(body.start().status, Some(404));
        assert_eq!(read(body).await, b"{}");
    });
}

#[test]
fn a_response_is_judged_as_clients_judge_it() {
    let stream = server(Reply::stream().send("data: x\n\n").end());
    let page = server(
        Reply::status(200)
            .header("Content-Type", "text/html")
            .send("<p>")
            .end(),
    );
    wait(async {
        let response = send(Http::new(stream.url("/"))).await.unwrap();
        assert!(response.is_event_stream());
        let connection = response.into_connection().await.unwrap();
        assert_eq!(connection.start().status, Some(200));
        assert_eq!(read(connection).await, b"data: x\n\n");
        let response = send(Http::new(page.url("/"))).await.unwrap();
        assert!(!response.is_event_stream());
        match response.into_connection().await {
            Err(Fault::ContentType(response)) => assert_eq!(response.body, b"<p>"),
            other => panic!("{other:?}"),
        }
        let any = Http::new(page.url("/")).any_content_type(true);
        assert!(send(any).await.unwrap().is_event_stream());
    });
}

#[test]
fn a_body_in_an_unknown_coding_is_refused() {
    let server = server(
        Reply::stream()
            .header("Content-Encoding", "compress")
            .send("x")
            .end(),
    );
    wait(async {
        for as_stream in [true, false] {
            let response = send(Http::new(server.url("/"))).await.unwrap();
            assert!(!response.is_event_stream());
            let fault = match as_stream {
                true => response.into_connection().await.unwrap_err(),
                false => response.into_body().unwrap_err(),
            };
            let Fault::ContentEncoding(response) = &fault else {
                panic!("{fault:?}");
            };
            assert_eq!(response.headers.get("content-encoding"), Some("compress"));
        }
    });
}

#[test]
fn the_headers_of_the_request_include_the_defaults_and_mark_secrets() {
    let server = server(Reply::redirect(302, "/feed"));
    server.enqueue(Reply::redirect(302, "/feed"));
    server.enqueue(Reply::stream().end());
    let http = Http::new(server.url("/").replace("://", "://me:secret@"))
        .method("POST")
        .header("x-topic", "a")
        .body("x");
    let response = wait(send(http)).unwrap();
    // The redirect made it a GET.
    assert_eq!(server.requests()[1].method, "GET");
    assert_eq!(response.request_method(), "POST");
    let headers = response.request_headers();
    assert_eq!(headers["accept"], "text/event-stream");
    assert_eq!(headers["x-topic"], "a");
    assert!(headers["authorization"].is_sensitive());
    assert!(!format!("{headers:?} {response:?}").contains("secret"));
}

/// What was followed, and a place to write it down.
type Followed = Arc<Mutex<Vec<Redirect>>>;

fn watched(http: Http) -> (Http, Followed) {
    let followed = Followed::default();
    let report = followed.clone();
    let http = http.on_redirect(move |redirect| report.lock().unwrap().push(redirect.clone()));
    (http, followed)
}

#[test]
fn clients_report_each_redirect() {
    both(|kind| {
        let server = server(Reply::stream().event("hello").stall());
        server.enqueue(Reply::redirect(301, "/b?token=secret"));
        server.enqueue(Reply::redirect(307, "/c"));
        let (http, followed) = watched(Http::new(server.url("/a")));
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "hello");
        let followed = followed.lock().unwrap();
        let seen: Vec<_> = followed
            .iter()
            .map(|it| (it.status, &*it.from, &*it.to))
            .collect();
        let [a, b, c] = ["/a", "/b?token=secret", "/c"].map(|path| server.url(path));
        assert_eq!(seen, [(301, &*a, &*b), (307, &*b, &*c)]);
        assert!(!format!("{followed:?}").contains("secret"));
    });
}

#[test]
fn redirects_that_lead_nowhere_are_reported_too() {
    let server = server(Reply::redirect(302, "/again"));
    let (http, followed) = watched(Http::new(server.url("/")).redirect_limit(3));
    match wait(send(http)) {
        Err(Fault::Redirect(_, RedirectProblem::TooMany(3))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(followed.lock().unwrap().len(), 3);
}

#[test]
fn the_wait_for_a_response_ends() {
    let server = server(Reply::raw("").stall());
    let mut request = ConnectRequest::default();
    request.read_timeout = Some(Duration::from_millis(50));
    let fault = wait(Http::new(server.url("/")).send(request)).unwrap_err();
    assert!(matches!(fault, Fault::ResponseTimeout(_)), "{fault:?}");
}

#[test]
fn a_setting_that_can_not_be_used_is_a_fault() {
    let fault = wait(send(Http::new("ftp://localhost/"))).unwrap_err();
    assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
}

#[test]
fn a_response_over_http_2_says_so() {
    let server = H2Server::cleartext();
    let http = Http::new(server.url("/feed")).version(HttpVersion::Http2);
    std::thread::scope(|scope| {
        scope.spawn(|| server.next().respond(404));
        let response = wait(send(http)).unwrap();
        assert_eq!(format!("{:?}", response.version()), "HTTP/2.0");
        assert_eq!(response.start().status, Some(404));
    });
}

#[test]
fn as_much_of_an_error_is_kept_as_the_limit_says() {
    both(|kind| {
        let server = server(Reply::status(503).send("x".repeat(5000)).end());
        for (limit, kept) in [(None, 1024), (Some(3), 3), (Some(9000), 5000)] {
            let mut http = Http::new(server.url("/"));
            if let Some(limit) = limit {
                http = http.error_body_limit(limit);
            }
            let fault = kind.build(SseClient::builder(http)).any_fault();
            assert_eq!(fault.response().unwrap().body.len(), kept);
        }
    });
}

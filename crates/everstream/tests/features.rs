//! What each feature adds, and what works without any.
//!
//! Each test has a `cfg` for the features it needs, so that this file works with all features and with
//! none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use everstream::{
    ConnectRequest, Connection, Error, Fault, SseClient, blocking, connect_fn, error_strategy,
};

/// A source without a network: sends one event that says which id the stream was resumed from.
async fn echo(request: ConnectRequest) -> Result<Connection, Fault> {
    let id = request.last_event_id.unwrap_or_else(|| "the start".into());
    let text = format!("id: 7\ndata: from {id}\n\n");
    Ok(Connection::from_read(std::io::Cursor::new(text)))
}

#[tokio::test]
async fn the_async_client_supports_custom_sources_in_every_build() {
    let mut client = SseClient::builder(connect_fn(echo))
        .initial_retry_delay(std::time::Duration::ZERO)
        .build()
        .unwrap();
    for expected in ["from the start", "from 7"] {
        assert_eq!(client.next_event().await.unwrap().unwrap().data(), expected);
    }
}

#[test]
fn the_blocking_client_supports_custom_sources_in_every_build() {
    let mut client = blocking::SseClient::builder(connect_fn(echo))
        .initial_retry_delay(std::time::Duration::ZERO)
        .build()
        .unwrap();
    for expected in ["from the start", "from 7"] {
        assert_eq!(client.next_event().unwrap().unwrap().data(), expected);
    }
}

#[test]
fn errors_of_custom_sources_are_passed_on_in_every_build() {
    let strategy = connect_fn(|_| async { Err::<Connection, _>("no luck") });
    let mut client = blocking::SseClient::builder(strategy)
        .error_strategy(error_strategy::always_fail())
        .build()
        .unwrap();
    let error = client.next_event().unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Fault(Fault::Connect(cause)) if cause.to_string() == "no luck")
    );
}

/// Parses the features of a manifest, with what each enables.
fn features(manifest: &str) -> BTreeMap<&str, Vec<&str>> {
    let (_, table) = manifest.split_once("\n[features]\n").unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let lines = table.lines().filter_map(|line| line.split_once(" = ["));
    lines
        .map(|(name, enables)| (name, enables.split('"').skip(1).step_by(2).collect()))
        .collect()
}

#[test]
fn the_crate_docs_list_all_features_with_their_defaults() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, at_least) in [("everstream", 10), ("everstream-core", 2)] {
        let read = |file| fs::read_to_string(crates.join(name).join(file)).unwrap();
        let (manifest, page) = (read("Cargo.toml"), read("src/lib.rs"));
        let features = features(&manifest);
        let mut enabled: Vec<&str> = vec!["default"];
        while let Some(next) = enabled
            .iter()
            .filter_map(|name| features.get(name))
            .flatten()
            .find(|name| features.contains_key(*name) && !enabled.contains(name))
        {
            enabled.push(next);
        }
        let public = features
            .keys()
            .filter(|name| **name != "default" && !name.starts_with("__"));
        let expected: BTreeSet<_> = public.map(|name| (*name, enabled.contains(name))).collect();

        let rows = page.split("# Features\n").nth(1).unwrap().lines();
        let mut documented = BTreeSet::new();
        for row in rows
            .take_while(|row| row.starts_with("//!") && !row.starts_with("//! # "))
            .filter(|row| row.contains("| `"))
        {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names = cells[1].split('`').skip(1).step_by(2);
            assert!(["yes", "no"].contains(&cells[2]), "{row}");
            documented.extend(names.map(|name| (name, cells[2] == "yes")));
        }
        assert!(documented.len() >= at_least, "{documented:?}");
        assert_eq!(
            documented, expected,
            "{name}: in the docs, and in Cargo.toml"
        );
    }
}

#[cfg(feature = "http")]
#[test]
fn http_follows_a_url() {
    use everstream_testing::{Reply, Server};

    // That build needs an installed provider.
    if cfg!(all(feature = "rustls-no-provider", not(feature = "rustls"))) {
        return;
    }
    let server = Server::start();
    server.otherwise(Reply::stream().event("hello").stall());
    let mut client = blocking::SseClient::new(server.url("/")).unwrap();
    assert_eq!(client.next_event().unwrap().unwrap().data(), "hello");
    let request = server.requests().remove(0);
    let accepted = request.header("Accept-Encoding").unwrap_or_default();
    for (enabled, coding) in [
        (cfg!(feature = "gzip"), "gzip"),
        (cfg!(feature = "brotli"), "br"),
        (cfg!(feature = "zstd"), "zstd"),
    ] {
        assert_eq!(
            accepted.contains(coding),
            enabled,
            "{coding} in {accepted:?}"
        );
    }
}

#[cfg(all(feature = "http", not(feature = "__tls")))]
#[test]
fn without_tls_an_https_url_is_an_error_that_names_the_features() {
    let error = blocking::SseClient::new("https://localhost/").unwrap_err();
    assert!(
        matches!(error, Error::Config { setting: "url", .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("rustls"), "{error}");
}

#[cfg(feature = "json")]
mod json {
    use everstream::Event;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Price {
        eur: u32,
    }

    #[test]
    fn json_reads_the_data_of_an_event() {
        let event = Event::new("price", r#"{"eur": 7, "more": []}"#, None);
        assert_eq!(event.json::<Price>().unwrap(), Price { eur: 7 });
    }

    #[test]
    fn invalid_json_is_an_error_with_an_excerpt_and_the_cause() {
        let long = format!("x{}", "é".repeat(1000));
        for data in ["", "[DONE]", "7 eur", "{}", &long] {
            let error = Event::new("price", data, None).json::<Price>().unwrap_err();
            let text = error.to_string();
            let shown: String = data.chars().take(10).collect();
            assert!(text.contains("price") && text.contains(&shown), "{text}");
            assert!(text.len() < 400, "{text}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }

    #[cfg(feature = "http")]
    mod body {
        use everstream::{Error, Http, SseClient, blocking};
        use everstream_testing::{Reply, Server};

        #[cfg(not(all(feature = "rustls-no-provider", not(feature = "rustls"))))]
        #[test]
        fn json_makes_a_post_with_its_content_type() {
            let server = Server::start();
            server.otherwise(Reply::stream().event("x").stall());
            let http = Http::new(server.url("/")).json(&serde_json::json!({"a": [1, "é"]}));
            let mut client = blocking::SseClient::new(http).unwrap();
            client.next_event().unwrap().unwrap();
            let request = server.requests().remove(0);
            assert_eq!(request.method, "POST");
            assert_eq!(request.header("Content-Type"), Some("application/json"));
            assert_eq!(request.body, r#"{"a":[1,"é"]}"#.as_bytes());
        }

        #[test]
        fn a_body_that_can_not_be_serialized_is_an_error_that_names_the_setting() {
            // JSON keys can't be tuples.
            let body = std::collections::HashMap::from([((1, 2), 3)]);
            let error = SseClient::new(Http::new("http://localhost/").json(&body)).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Config {
                        setting: "body",
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn events_round_trip_through_serde() {
    use everstream::Event;

    for event in [
        Event::new("message", "", None),
        Event::new("price", "two\nlines \u{1F600}", Some("41")),
        Event::new("price", "data", Some("")),
    ] {
        let text = serde_json::to_string(&event).unwrap();
        let back: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(back, event, "{text}");
    }
}

/// One test, because installing a provider affects the whole process.
#[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
#[test]
fn tls_fails_without_a_provider_and_works_with_one() {
    use everstream::Http;

    for problem in [
        SseClient::new("https://localhost/").map(|_| ()),
        SseClient::new(Http::new("http://localhost/")).map(|_| ()),
        blocking::SseClient::new("https://localhost/").map(|_| ()),
    ] {
        let Err(error @ Error::Config { .. }) = problem else {
            panic!("{problem:?}");
        };
        assert!(error.to_string().contains("install_default"), "{error}");
    }

    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut client = blocking::SseClient::builder(url)
        .error_strategy(error_strategy::always_fail())
        .build()
        .unwrap();
    // The first byte shows that TLS begins; the server doesn't complete the handshake.
    let server = std::thread::spawn(move || {
        use std::io::Read;
        let (mut socket, _) = listener.accept().unwrap();
        let mut first = [0];
        socket.read_exact(&mut first).unwrap();
        first[0]
    });
    let error = client.next_event().unwrap().unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    const HANDSHAKE: u8 = 22;
    assert_eq!(server.join().unwrap(), HANDSHAKE);
}

//! All kinds of sources of bytes, and their errors.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use everstream::{Connection, Ending, Fault, Headers, Start};
use futures_util::{StreamExt, stream};

use super::{FailingReader, connecting};
use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    an_async_stream,
    an_async_reader,
    a_blocking_reader,
    an_iterator,
    empty_chunks_do_not_end_the_stream,
    a_source_error_is_a_read_fault,
    a_fault_from_a_wrapped_source_is_passed_on,
    a_panic_of_a_blocking_source_is_a_read_fault,
    an_interrupted_read_is_repeated,
    a_start_reports_the_response,
    a_start_has_headers_only_if_the_source_set_them,
    a_wrapped_connection_passes_its_start_on,
    the_ending_can_be_determined_at_the_end,
    a_read_with_a_timeout_ends_although_the_source_never_pauses,
);

const CHUNKS: [&str; 3] = ["data: a\n\nda", "ta: b\n", "\n"];

fn assert_a_and_b<C: Client>(make: impl Fn() -> Connection + Send + Sync + 'static) {
    let mut client = C::quick(connecting(make));
    for attempt in [1, 1] {
        assert_eq!(client.expect_start().attempt, attempt);
        client.expect_event("a");
        client.expect_event("b");
        client.expect_clean_end();
    }
}

fn an_async_stream<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_stream(stream::iter(CHUNKS.map(Ok::<_, io::Error>))));
}

fn an_async_reader<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_async_read(&b"data: a\n\ndata: b\n\n"[..]));
}

fn a_blocking_reader<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_read(Cursor::new(CHUNKS.concat())));
}

fn an_iterator<C: Client>() {
    assert_a_and_b::<C>(|| Connection::from_iterator(CHUNKS.map(Ok::<_, io::Error>)));
}

fn empty_chunks_do_not_end_the_stream<C: Client>() {
    let chunks = || ["", "data: a\n", "", "", "\n", "data: b\n\n", ""].map(Ok::<_, io::Error>);
    assert_a_and_b::<C>(move || Connection::from_iterator(chunks()));
    assert_a_and_b::<C>(move || Connection::from_stream(stream::iter(chunks())));
}

fn a_source_error_is_a_read_fault<C: Client>() {
    let chunks = || [Ok("data: a\n\n"), Err(io::Error::other("torn"))];
    let makes: [fn() -> Connection; 2] = [
        || Connection::from_iterator([Ok("data: a\n\n"), Err(io::Error::other("torn"))]),
        || Connection::from_read(Cursor::new("data: a\n\n").chain(FailingReader)),
    ];
    let all = makes
        .map(connecting)
        .map(|strategy| C::quick(strategy))
        .into_iter()
        .chain([C::quick(connecting(move || {
            Connection::from_stream(stream::iter(chunks()))
        }))]);
    for mut client in all {
        client.expect_start();
        client.expect_event("a");
        match client.expect_fault() {
            Fault::Read(cause) => assert_eq!(cause.to_string(), "torn"),
            other => panic!("{other:?}"),
        }
        client.expect_start();
    }
}

fn a_panic_of_a_blocking_source_is_a_read_fault<C: Client>() {
    let makes: [fn() -> Connection; 2] = [
        || {
            Connection::from_iterator(std::iter::from_fn(|| -> Option<io::Result<&str>> {
                panic!("of the source, on purpose")
            }))
        },
        || Connection::from_read(Panicking),
    ];
    for make in makes {
        let mut client = C::quick(connecting(make));
        client.expect_start();
        assert!(matches!(client.expect_fault(), Fault::Read(_)));
        client.expect_start();
    }
}

struct Panicking;

impl Read for Panicking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("of the source, on purpose")
    }
}

fn an_interrupted_read_is_repeated<C: Client>() {
    struct Interrupted(u32);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 | 2 => Err(io::ErrorKind::Interrupted.into()),
                3 => (&b"data: a\n\ndata: b\n\n"[..]).read(buffer),
                _ => Ok(0),
            }
        }
    }
    assert_a_and_b::<C>(|| Connection::from_read(Interrupted(0)));
}

fn a_start_reports_the_response<C: Client>() {
    let strategy = connecting(|| {
        let headers = Headers::from_iter([("server", "mine")]);
        Connection::from_read(Cursor::new("")).with_response(201, headers, "unix:/feed")
    });
    let start = C::quick(strategy).expect_start();
    assert_eq!(start.status, Some(201));
    assert_eq!(start.header("Server"), Some("mine"));
    assert_eq!(start.url.as_deref(), Some("unix:/feed"));
}

fn a_start_has_headers_only_if_the_source_set_them<C: Client>() {
    let empty = || Connection::from_read(Cursor::new(""));
    assert_eq!(C::quick(connecting(empty)).expect_start().headers, None);
    let given = move || empty().with_headers(Headers::default());
    let start = C::quick(connecting(given)).expect_start();
    assert_eq!(start.headers, Some(Headers::default()));
}

fn a_wrapped_connection_passes_its_start_on<C: Client>() {
    let strategy = connecting(|| {
        let mut start = Start::default();
        start.url = Some("unix:/feed".to_owned());
        start.withheld_headers = vec!["x-api-key".to_owned()];
        Connection::from_read(Cursor::new("")).with_start(start)
    });
    let start = C::quick(strategy).expect_start();
    assert_eq!((start.status, start.attempt), (None, 1));
    assert_eq!(start.url.as_deref(), Some("unix:/feed"));
    assert_eq!(start.withheld_headers, ["x-api-key"]);
}

fn the_ending_can_be_determined_at_the_end<C: Client>() {
    for ending in [Ending::Complete, Ending::Unproven] {
        let strategy = connecting(move || {
            let has_ended = Arc::new(AtomicBool::new(false));
            let ends = has_ended.clone();
            let chunks = stream::iter(["data: a\n\ndata: cut"].map(Ok::<_, io::Error>));
            let chunks = chunks.chain(stream::poll_fn(move |_| {
                ends.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }));
            Connection::from_stream(chunks).with_ending_fn(move || {
                assert!(has_ended.load(Ordering::Relaxed));
                ending
            })
        });
        let mut client = C::build(quick(strategy).dispatch_unfinished(true)).unwrap();
        client.expect_start();
        client.expect_event("a");
        match ending {
            Ending::Complete => assert_eq!(client.event_data(), "cut"),
            Ending::Unproven => client.expect_clean_end(),
        }
    }
}

fn a_read_with_a_timeout_ends_although_the_source_never_pauses<C: Client>() {
    for bytes in [":\n", "id: 1\n\n", "event: x\n"] {
        let flood = move || stream::repeat_with(move || Ok::<_, Fault>(bytes));
        let mut client = C::quick(connecting(move || Connection::from_stream(flood())));
        let within = client.event_within(Duration::from_millis(50));
        assert!(within.is_none(), "{bytes:?}");
    }
}

/// A stream may panic or start over if it is polled after its end.
#[tokio::test]
async fn an_ended_connection_is_not_polled_again() {
    let broken = || Err(io::Error::other("broken"));
    for first in [
        vec![],
        vec![Ok("x")],
        vec![broken()],
        vec![Ok("x"), broken()],
    ] {
        let count = first.len();
        let mut parts = first.into_iter().map(Some).chain([None, Some(Ok("again"))]);
        let stream = stream::poll_fn(move |_| parts.next().expect("polled too often").into());
        let mut connection = Connection::from_stream(stream);
        let mut chunks = 0;
        while connection.next_chunk().await.is_some() {
            chunks += 1;
        }
        assert_eq!(chunks, count);
        for _ in 0..3 {
            assert!(connection.next_chunk().await.is_none());
        }
    }
}

fn a_fault_from_a_wrapped_source_is_passed_on<C: Client>() {
    let chunks = || {
        [
            Ok("data: a\n\n"),
            Err(Fault::ReadTimeout(Duration::from_secs(7))),
        ]
    };
    let mut client = C::quick(connecting(move || {
        Connection::from_stream(stream::iter(chunks()))
    }));
    client.expect_start();
    client.expect_event("a");
    let fault = client.expect_fault();
    assert!(matches!(fault, Fault::ReadTimeout(_)), "{fault:?}");
}

//! Connect strategies: what they get, and how their errors are treated.

use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
    Error, Fault, SseClient, connect_fn,
};

use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    a_connect_error_is_a_connect_fault,
    a_fault_from_connect_is_passed_on,
    a_panic_in_connect_ends_only_its_attempt,
    every_attempt_gets_the_id_and_the_timeout,
    one_strategy_serves_many_clients,
    a_connection_client_is_closed_once,
    an_invalid_setting_fails_the_build,
);

fn a_connect_error_is_a_connect_fault<C: Client>() {
    let strategy = connect_fn(|_| async { Err::<Connection, _>(io::Error::other("nobody there")) });
    let mut client = C::quick(strategy);
    match client.expect_fault() {
        Fault::Connect(cause) => assert_eq!(cause.to_string(), "nobody there"),
        other => panic!("{other:?}"),
    }
    client.expect_fault();
}

fn a_fault_from_connect_is_passed_on<C: Client>() {
    let strategy = connect_fn(|_| async { Err::<Connection, _>(Fault::Source("mine".into())) });
    assert!(matches!(
        C::quick(strategy).expect_error(),
        Fault::Source(_)
    ));
}

fn a_panic_in_connect_ends_only_its_attempt<C: Client>() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let strategy = connect_fn(move |_| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        async move {
            assert!(attempt > 0, "for this test");
            Ok::<_, Fault>(Connection::from_read(Cursor::new("data: a\n\n")))
        }
    });
    let mut client = C::quick(strategy);
    catch_unwind(AssertUnwindSafe(|| client.next_event())).unwrap_err();
    client.expect_start();
    client.expect_event("a");
}

fn every_attempt_gets_the_id_and_the_timeout<C: Client>() {
    let strategy = connect_fn(|request: ConnectRequest| async move {
        let got = format!("{:?} {:?}", request.last_event_id, request.read_timeout);
        let bytes = format!("id: \x01\ndata: {got}\n\n");
        Ok::<_, Fault>(Connection::from_read(Cursor::new(bytes)))
    });
    let mut client = C::with(quick(strategy).last_event_id("7").read_timeout(LIMIT));
    assert_eq!(client.event_data(), format!("Some(\"7\") Some({LIMIT:?})"));
    let second = client.event_data();
    assert!(second.starts_with(r#"Some("\u{1}")"#), "{second}");
}

/// A strategy that numbers its clients, and counts how often they are closed.
#[derive(Clone, Default)]
struct Numbered {
    clients: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

struct NumberedClient {
    number: usize,
    closed: Arc<AtomicUsize>,
}

impl ConnectStrategy for Numbered {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(NumberedClient {
            number: self.clients.fetch_add(1, Ordering::SeqCst),
            closed: self.closed.clone(),
        }))
    }
}

impl ConnectionClient for NumberedClient {
    fn connect(&mut self, _: ConnectRequest) -> ConnectFuture {
        let bytes = format!("data: {}\n\n", self.number);
        Box::pin(async { Ok(Connection::from_read(Cursor::new(bytes))) })
    }
    fn close(&mut self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

fn one_strategy_serves_many_clients<C: Client>() {
    let strategy = Numbered::default();
    let mut first = C::quick(strategy.clone());
    let mut second = C::quick(strategy);
    assert_eq!(second.event_data(), "1");
    assert_eq!(first.event_data(), "0");
    assert_eq!(first.event_data(), "0");
}

fn a_connection_client_is_closed_once<C: Client>() {
    for by_handle in [false, true] {
        let strategy = Numbered::default();
        let mut client = C::quick(strategy.clone());
        client.event_data();
        match by_handle {
            true => client.handle().close(),
            false => client.close(),
        }
        client.expect_ended();
        client.expect_ended();
        client.close();
        assert_eq!(strategy.closed.load(Ordering::SeqCst), 1);
        assert_eq!(strategy.clients.load(Ordering::SeqCst), 1);
    }
}

fn an_invalid_setting_fails_the_build<C: Client>() {
    struct Unusable;
    impl ConnectStrategy for Unusable {
        fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
            Err(Error::config("path", "it is empty"))
        }
    }
    let error = C::build(SseClient::builder(Unusable)).err().unwrap();
    assert!(matches!(
        error,
        Error::Config {
            setting: "path",
            ..
        }
    ));
}

//! Arbitrary responses, read with a client as a program would use it.

mod response;
mod server;

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use allocation_counter::measure;
use arbitrary::{Arbitrary, Unstructured};
use everstream::{Action, Error, Fault, Http, SseClient, error_strategy};
use tokio::runtime::{self, Runtime};

use crate::support::Seen;
use response::{Expectation, Plan};
use server::Server;

/// Long enough for a loaded machine.
const LIMIT: Duration = Duration::from_secs(15);

/// Small, so that small inputs can exceed it.
const MAX_EVENT_SIZE: usize = 16 << 10;

/// The memory limits. A Brotli stream chooses the size of its window.
const MEMORY: u64 = 1 << 20;
const MEMORY_WITH_BROTLI: u64 = 48 << 20;

/// Serves a response to a client, and panics unless the client ends with the items of the body.
///
/// ```
/// everstream_fuzz::http_response(b"\x00\x00\x00\x00\x00\x00\x00\x00data: hello\n\n");
/// ```
pub fn http_response(input: &[u8]) {
    static HARNESS: LazyLock<Mutex<Harness>> = LazyLock::new(|| Mutex::new(Harness::new()));
    let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let harness = HARNESS.lock().unwrap_or_else(PoisonError::into_inner);
    harness.check(&plan);
}

/// One per process, since nothing of a response outlives its connection.
struct Harness {
    server: Server,
    http: Http,
    runtime: Runtime,
}

impl Harness {
    fn new() -> Self {
        // On the current thread, whose memory is measured.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start());
        Harness {
            http: Http::new(format!("http://{}/", server.address))
                .no_proxy()
                .redirect_limit(0)
                // One connection per response.
                .header("Connection", "close"),
            server,
            runtime,
        }
    }

    fn check(&self, plan: &Plan<'_>) {
        let (response, expectation) = plan.response();
        let mut end = None;
        let memory = measure(|| end = Some(self.exchange(&response, plan.piece(), &expectation)));
        let end = end.expect("the response was read");
        if let Some(due) = &expectation.end {
            let due = due.as_ref().map(|()| "a clean end").map_err(|()| "a fault");
            match (due, &end) {
                (_, Some(Fault::TooLarge(_))) if expectation.is_large => {}
                (Ok(_), None) | (Err(_), Some(_)) => {}
                _ => panic!("expected {due:?}, got {end:?}"),
            }
        }
        let bound = match expectation.has_brotli {
            true => MEMORY_WITH_BROTLI,
            false => MEMORY,
        };
        assert!(memory.bytes_max <= bound, "{memory:?}");
    }

    /// Serves and reads a response. Returns how it ended.
    fn exchange(&self, response: &[u8], piece: usize, expectation: &Expectation) -> Option<Fault> {
        self.runtime.block_on(async {
            let exchange = async {
                let serving = self.server.serve(response, piece);
                tokio::join!(serving, self.read(expectation)).1
            };
            let end = tokio::time::timeout(LIMIT, exchange).await;
            end.unwrap_or_else(|_| panic!("no end after {LIMIT:?}"))
        })
    }

    async fn read(&self, expectation: &Expectation) -> Option<Fault> {
        let mut client = SseClient::builder(self.http.clone())
            .error_strategy(error_strategy::always_fail())
            .max_event_size(MAX_EVENT_SIZE)
            .build()
            .unwrap();
        let due = expectation.items.as_ref();
        let mut due = due.map(|items| items.iter().filter(is_seen));
        let mut first = expectation.first.iter().filter(is_seen);
        let (mut started, mut ended) = (false, false);
        loop {
            let seen = match client.next_action().await {
                Some(Ok(Action::Start(start))) if !started => {
                    assert!(matches!(start.status, Some(200..=299)), "{start:?}");
                    started = true;
                    continue;
                }
                Some(Ok(Action::Event(event))) if started => Seen::Event {
                    event: event.event().to_owned(),
                    data: event.data().to_owned(),
                    id: event.id().map(String::from),
                    last: event.last_event_id().map(String::from),
                },
                Some(Ok(Action::Comment(text))) if started => Seen::Comment(text),
                Some(Ok(Action::End(_))) if started && !ended => {
                    ended = true;
                    continue;
                }
                Some(Err(Error::Fault(fault))) if !ended => {
                    assert!(!fault.is_connect(), "the server is running: {fault:?}");
                    if !matches!(fault, Fault::TooLarge(_)) {
                        assert_eq!(first.next(), None, "lost before {fault:?}");
                    }
                    return Some(fault);
                }
                None if ended => break,
                other => panic!("out of order: {other:?}"),
            };
            assert!(!ended, "{seen} after the end");
            if let Some(first) = first.next() {
                assert_eq!(&seen, first, "not the item that was sent first");
            }
            match &mut due {
                Some(due) => assert_eq!(due.next(), Some(&seen), "not the item that was sent"),
                None => expectation.check_raw(&seen),
            }
        }
        if let (Some(mut due), Some(Ok(()))) = (due, &expectation.end) {
            assert_eq!(due.next(), None, "sent but not received");
        }
        None
    }
}

/// Clients deliver neither retries nor blocks with only an id.
fn is_seen(item: &&Seen) -> bool {
    !matches!(item, Seen::Retry(_) | Seen::Id(_))
}

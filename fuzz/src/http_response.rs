//! Bytes that come as a response, to a client that is used as in a program.

mod response;
mod server;

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use allocation_counter::measure;
use arbitrary::{Arbitrary, Unstructured};
use everstream::{Action, Error, Fault, Http, SseClient, error_strategy};
use tokio::runtime::{self, Runtime};

use crate::support::Seen;
use response::{Plan, Promise};
use server::Server;

/// Long enough for a loaded machine.
const LIMIT: Duration = Duration::from_secs(15);

/// So that small inputs can exceed it.
const MAX_EVENT_SIZE: usize = 16 << 10;

/// A Brotli window is as large as its stream says.
const MEMORY: u64 = 1 << 20;
const MEMORY_WITH_BROTLI: u64 = 48 << 20;

/// Serves a response to a client, and panics unless it comes to an end with what the body holds.
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

/// One for the process: nothing of a response outlives its connection.
struct Harness {
    server: Server,
    http: Http,
    runtime: Runtime,
}

impl Harness {
    fn new() -> Self {
        // Its memory is that of this thread.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start());
        Harness {
            http: Http::new(format!("http://{}/", server.address))
                .no_proxy()
                .redirect_limit(0)
                // A connection a response.
                .header("Connection", "close"),
            server,
            runtime,
        }
    }

    fn check(&self, plan: &Plan<'_>) {
        let (response, promise) = plan.response();
        let mut end = None;
        let memory = measure(|| end = Some(self.exchange(&response, plan.piece(), &promise)));
        let end = end.expect("it was read");
        if let Some(due) = &promise.end {
            let due = due.as_ref().map(|()| "a clean end").map_err(|()| "a fault");
            match (due, &end) {
                (_, Some(Fault::TooLarge(_))) if promise.is_large => {}
                (Ok(_), None) | (Err(_), Some(_)) => {}
                _ => panic!("{due:?} was due, and it was {end:?}"),
            }
        }
        let bound = match promise.has_brotli {
            true => MEMORY_WITH_BROTLI,
            false => MEMORY,
        };
        assert!(memory.bytes_max <= bound, "{memory:?}");
    }

    /// Serves and reads a response, and says how it ended.
    fn exchange(&self, response: &[u8], piece: usize, promise: &Promise) -> Option<Fault> {
        self.runtime.block_on(async {
            let exchange = async {
                let serving = self.server.serve(response, piece);
                tokio::join!(serving, self.read(promise)).1
            };
            let end = tokio::time::timeout(LIMIT, exchange).await;
            end.unwrap_or_else(|_| panic!("it hangs: not over after {LIMIT:?}"))
        })
    }

    async fn read(&self, promise: &Promise) -> Option<Fault> {
        let mut client = SseClient::builder(self.http.clone())
            .error_strategy(error_strategy::always_fail())
            .max_event_size(MAX_EVENT_SIZE)
            .build()
            .unwrap();
        let due = promise.items.as_ref();
        let mut due = due.map(|items| items.iter().filter(is_seen));
        let mut first = promise.first.iter().filter(is_seen);
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
                    assert!(!fault.is_connect(), "the server is there: {fault:?}");
                    if !matches!(fault, Fault::TooLarge(_)) {
                        assert_eq!(first.next(), None, "it was lost, with {fault:?}");
                    }
                    return Some(fault);
                }
                None if ended => break,
                other => panic!("out of order: {other:?}"),
            };
            assert!(!ended, "{seen} after the end");
            if let Some(first) = first.next() {
                assert_eq!(&seen, first, "it isn't what was sent first");
            }
            match &mut due {
                Some(due) => assert_eq!(due.next(), Some(&seen), "it isn't what was sent"),
                None => promise.check_raw(&seen),
            }
        }
        if let (Some(mut due), Some(Ok(()))) = (due, &promise.end) {
            assert_eq!(due.next(), None, "it was sent, but didn't arrive");
        }
        None
    }
}

/// The client doesn't return a retry, nor a block with only an id.
fn is_seen(item: &&Seen) -> bool {
    !matches!(item, Seen::Retry(_) | Seen::Id(_))
}

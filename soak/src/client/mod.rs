//! The clients: a separate process, so that only they are measured.

mod disturb;
mod follower;
mod ledger;
mod tally;

use std::io::{self, BufRead};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use everstream::{Event, Handle, Http, SseClient, blocking};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::feed::Kind;
use crate::messages::{self, ClientCounts, ClientSettings, FromClient, ToClient};
use follower::{Follower, Next};
use tally::{Tally, add};

const PROGRESS: Duration = Duration::from_secs(1);
/// Events that don't arrive within this time after the last fault are lost. Far more than the longest
/// delay.
const FINISH_LIMIT: Duration = Duration::from_secs(120);
/// How often a blocking client stops waiting to check whether it is done.
const POLL_INTERVAL: Duration = Duration::from_millis(700);
/// Pause after an unexpected error, so that it doesn't happen thousands of times.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What all streams share.
struct Shared {
    settings: ClientSettings,
    tally: Tally,
    /// The number of the last event, once that is known.
    finish: watch::Receiver<Option<u64>>,
    /// The highest number that arrived on each stream.
    reached: Vec<AtomicU64>,
    /// The handle of the current client of each stream.
    handles: Vec<Mutex<Option<Handle>>>,
    /// Has the certificate. Its clones share the TLS configuration.
    http: Http,
    leaked: Mutex<Vec<Event>>,
}

impl Shared {
    fn new(settings: ClientSettings, finish: watch::Receiver<Option<u64>>) -> Self {
        Shared {
            tally: Tally::default(),
            finish,
            reached: (0..settings.streams).map(|_| AtomicU64::new(0)).collect(),
            handles: (0..settings.streams).map(|_| Mutex::default()).collect(),
            http: Http::new("").root_certificates(settings.addresses.certificate.as_bytes()),
            leaked: Mutex::default(),
            settings,
        }
    }

    fn http(&self, stream: u64) -> Http {
        let addresses = &self.settings.addresses;
        let (scheme, ports) = if Kind::of(stream).tls {
            ("https", &addresses.tls)
        } else {
            ("http", &addresses.plain)
        };
        let port = ports[stream as usize % ports.len()];
        let url = format!("{scheme}://127.0.0.1:{port}/{stream}");
        self.http.clone().set_url(url)
    }

    fn set_handle(&self, stream: u64, handle: Handle) {
        let mut current = self.handles[stream as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Some(handle);
    }

    fn handle(&self, stream: u64) -> Option<Handle> {
        self.handles[stream as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn reached(&self, stream: u64, number: u64) {
        self.reached[stream as usize].store(number, Relaxed);
    }

    fn leak(&self, event: Event) {
        if self.settings.leak {
            let mut leaked = self.leaked.lock().unwrap_or_else(PoisonError::into_inner);
            leaked.push(event);
        }
    }

    /// How many events up to the last one haven't arrived.
    fn not_reached(&self, last: u64) -> u64 {
        let lacks = |reached: &AtomicU64| last.saturating_sub(reached.load(Relaxed));
        self.reached.iter().map(lacks).sum()
    }
}

/// Follows the streams until the message to finish.
pub(crate) fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let Some(settings) = messages::receive(&mut input)? else {
        return Ok(());
    };
    drop(input);
    let (finish, finished) = watch::channel(None);
    let shared = Arc::new(Shared::new(settings, finished));
    // Ends this process when its parent has ended.
    thread::spawn(move || wait_for_finish(&mut io::stdin().lock(), &finish));

    let (blocking, total) = (shared.settings.blocking, shared.settings.streams);
    let threads: Vec<_> = (0..blocking)
        .map(|stream| {
            let follower = Follower::new(&shared, stream);
            thread::Builder::new().spawn(move || follow_blocking(follower))
        })
        .collect::<io::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut streams = JoinSet::new();
        for stream in blocking..total {
            streams.spawn(follow(Follower::new(&shared, stream)));
        }
        tokio::spawn(disturb::run(shared.clone()));
        tokio::spawn(report_progress(shared.clone()));
        let mut finish = shared.finish.clone();
        if finish.wait_for(Option::is_some).await.is_ok() {
            let all = async {
                while streams.join_next().await.is_some() {}
                while threads.iter().any(|thread| !thread.is_finished()) {
                    sleep(POLL_INTERVAL).await;
                }
            };
            _ = timeout(FINISH_LIMIT, all).await;
        }
    });
    let last = *shared.finish.borrow();
    if let Some(last) = last {
        let lacking = shared.not_reached(last);
        if lacking > 0 {
            add(&shared.tally.lost, lacking);
            let problem =
                || format!("{lacking} of the last events did not arrive within {FINISH_LIMIT:?}");
            shared.tally.problem(problem);
        }
        send(&FromClient::Done(shared.tally.counts()))?;
    }
    runtime.shutdown_background();
    Ok(())
}

fn send(message: &FromClient) -> io::Result<()> {
    messages::send(&mut io::stdout().lock(), message)
}

fn wait_for_finish(input: &mut impl BufRead, finish: &watch::Sender<Option<u64>>) {
    while let Ok(Some(ToClient::Finish(last))) = messages::receive(input) {
        finish.send_replace(Some(last));
    }
    if finish.borrow().is_none() {
        std::process::exit(1);
    }
}

async fn report_progress(shared: Arc<Shared>) {
    let mut ticks = interval(PROGRESS);
    loop {
        ticks.tick().await;
        let counts: ClientCounts = shared.tally.counts();
        _ = send(&FromClient::Progress(counts));
    }
}

async fn follow(mut follower: Follower) {
    let mut finish = follower.finish();
    loop {
        let mut client = match follower
            .configure(SseClient::builder(follower.http()))
            .build()
        {
            Ok(client) => client,
            Err(error) => return follower.cannot_build(&error),
        };
        follower.publish_handle(client.handle());
        loop {
            let action = tokio::select! {
                action = client.next_action() => action,
                Ok(()) = finish.changed() => {
                    if follower.is_done() {
                        return;
                    }
                    continue;
                }
            };
            let failed = matches!(action, Some(Err(_)));
            match follower.on_action(action, client.last_event_id()) {
                Next::Read => {}
                Next::Done => return,
                Next::Replace { close } => {
                    if close {
                        client.close();
                    }
                    if failed {
                        sleep(ERROR_PAUSE).await;
                    }
                    break;
                }
            }
        }
    }
}

fn follow_blocking(mut follower: Follower) {
    loop {
        let mut client = match follower
            .configure(blocking::SseClient::builder(follower.http()))
            .build()
        {
            Ok(client) => client,
            Err(error) => return follower.cannot_build(&error),
        };
        follower.publish_handle(client.handle());
        loop {
            let action = match client.next_action_timeout(POLL_INTERVAL) {
                Ok(blocking::Next::Item(action)) => Some(Ok(action)),
                Ok(blocking::Next::TimedOut) if follower.is_done() => return,
                Ok(blocking::Next::TimedOut) => continue,
                Ok(blocking::Next::Ended) => None,
                Err(error) => Some(Err(error)),
            };
            let failed = matches!(action, Some(Err(_)));
            match follower.on_action(action, client.last_event_id()) {
                Next::Read => {}
                Next::Done => return,
                Next::Replace { close } => {
                    if close {
                        client.close();
                    }
                    if failed {
                        thread::sleep(ERROR_PAUSE);
                    }
                    break;
                }
            }
        }
    }
}

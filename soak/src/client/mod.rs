//! The clients: a process of its own, so that its memory is theirs.

mod follower;
mod ledger;
mod meddle;
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
use crate::talk::{self, ClientCounts, ClientSettings, FromClient, ToClient};
use follower::{Follower, Next};
use tally::{Tally, add};

const PROGRESS: Duration = Duration::from_secs(1);
/// What hasn't come by then, after the last fault, is lost. Far more than the longest delay.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a blocking client stops waiting to look whether it is done.
const GLANCE: Duration = Duration::from_millis(700);
/// After an error that should not be there, so that it isn't there thousands of times.
const SHAME: Duration = Duration::from_secs(1);

/// What all streams share.
struct Shared {
    settings: ClientSettings,
    tally: Tally,
    /// The number of the last event, once that is known.
    finish: watch::Receiver<Option<u64>>,
    /// Of each stream, the highest number that came.
    reached: Vec<AtomicU64>,
    /// Of each stream, the handle of its present client.
    handles: Vec<Mutex<Option<Handle>>>,
    /// With the certificate. Its clones share the TLS configuration.
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

    fn show(&self, stream: u64, handle: Handle) {
        let mut shown = self.handles[stream as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = Some(handle);
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

    /// What the streams lack up to the last event.
    fn not_reached(&self, last: u64) -> u64 {
        let lacks = |reached: &AtomicU64| last.saturating_sub(reached.load(Relaxed));
        self.reached.iter().map(lacks).sum()
    }
}

/// Follows the streams until told to finish.
pub(crate) fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let Some(settings) = talk::hear(&mut input)? else {
        return Ok(());
    };
    drop(input);
    let (finish, finished) = watch::channel(None);
    let shared = Arc::new(Shared::new(settings, finished));
    // Ends the process when whoever started it is gone.
    thread::spawn(move || listen(&mut io::stdin().lock(), &finish));

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
        tokio::spawn(meddle::run(shared.clone()));
        tokio::spawn(tell_progress(shared.clone()));
        let mut finish = shared.finish.clone();
        if finish.wait_for(Option::is_some).await.is_ok() {
            let all = async {
                while streams.join_next().await.is_some() {}
                while threads.iter().any(|thread| !thread.is_finished()) {
                    sleep(GLANCE).await;
                }
            };
            _ = timeout(PATIENCE, all).await;
        }
    });
    let last = *shared.finish.borrow();
    if let Some(last) = last {
        let lacking = shared.not_reached(last);
        if lacking > 0 {
            add(&shared.tally.lost, lacking);
            let problem = || format!("{lacking} of the last events did not come in {PATIENCE:?}");
            shared.tally.problem(problem);
        }
        say(&FromClient::Done(shared.tally.counts()))?;
    }
    runtime.shutdown_background();
    Ok(())
}

fn say(what: &FromClient) -> io::Result<()> {
    talk::say(&mut io::stdout().lock(), what)
}

fn listen(input: &mut impl BufRead, finish: &watch::Sender<Option<u64>>) {
    while let Ok(Some(ToClient::Finish(last))) = talk::hear(input) {
        finish.send_replace(Some(last));
    }
    if finish.borrow().is_none() {
        std::process::exit(1);
    }
}

async fn tell_progress(shared: Arc<Shared>) {
    let mut ticks = interval(PROGRESS);
    loop {
        ticks.tick().await;
        let counts: ClientCounts = shared.tally.counts();
        _ = say(&FromClient::Progress(counts));
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
        follower.show(client.handle());
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
            match follower.take(action, client.last_event_id()) {
                Next::Read => {}
                Next::Done => return,
                Next::Anew { close } => {
                    if close {
                        client.close();
                    }
                    if failed {
                        sleep(SHAME).await;
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
        follower.show(client.handle());
        loop {
            let action = match client.next_action_timeout(GLANCE) {
                Ok(blocking::Next::Item(action)) => Some(Ok(action)),
                Ok(blocking::Next::TimedOut) if follower.is_done() => return,
                Ok(blocking::Next::TimedOut) => continue,
                Ok(blocking::Next::Ended) => None,
                Err(error) => Some(Err(error)),
            };
            let failed = matches!(action, Some(Err(_)));
            match follower.take(action, client.last_event_id()) {
                Next::Read => {}
                Next::Done => return,
                Next::Anew { close } => {
                    if close {
                        client.close();
                    }
                    if failed {
                        thread::sleep(SHAME);
                    }
                    break;
                }
            }
        }
    }
}

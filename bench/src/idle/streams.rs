//! The streams of everstream or reqwest, in a separate process, which prints its measurements.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use everstream::{Http, HttpVersion, SseClient};
use tokio::time::sleep;

use crate::Outcome;
use crate::client::readers::runtime;
use crate::process::quantile;
use crate::sys;
use crate::tls::Trust;

#[derive(clap::Args)]
pub struct Options {
    /// everstream or reqwest
    who: String,
    /// follow or drop
    what: String,
    url: String,
    count: usize,
    /// Idle time, in seconds
    rest: u64,
    /// How long each stream then gets an event a second
    seconds: u64,
    #[arg(long)]
    http2: bool,
    #[command(flatten)]
    trust: Trust,
}

/// How many connect at the same time.
const TOGETHER: usize = 200;

#[derive(Default)]
struct Seen {
    connected: AtomicUsize,
    /// How late events were, in milliseconds.
    late: Mutex<Vec<f64>>,
}

impl Seen {
    fn event(&self, data: &str) {
        match data.parse::<u64>() {
            Ok(written) => {
                let late = sys::now().unwrap_or(0).saturating_sub(written) as f64 / 1e6;
                self.late().push(late);
            }
            Err(_) => {
                self.connected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn late(&self) -> std::sync::MutexGuard<'_, Vec<f64>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Who {
    Everstream(Box<Http>),
    Reqwest(reqwest::Client),
}

impl Who {
    fn new(options: &Options) -> Outcome<Who> {
        if options.who == "everstream" {
            let version = match options.http2 {
                true => HttpVersion::Http2,
                false => HttpVersion::Http1,
            };
            let http = options.trust.http(&options.url).version(version);
            return Ok(Who::Everstream(Box::new(http)));
        }
        let builder = options.trust.reqwest()?;
        let builder = match options.http2 {
            true => builder.http2_prior_knowledge(),
            false => builder.http1_only(),
        };
        Ok(Who::Reqwest(builder.build()?))
    }

    /// Boxed, because the tasks of the transports differ in size.
    fn follow(&self, url: String, seen: Arc<Seen>) {
        match self {
            Who::Everstream(http) => {
                let http = Http::clone(http);
                tokio::spawn(told(ours(http.set_url(url), seen)))
            }
            Who::Reqwest(client) => tokio::spawn(told(body(client.get(url), seen))),
        };
    }
}

async fn told(follow: impl Future<Output = Outcome>) {
    if let Err(error) = follow.await {
        eprintln!("a stream ended: {error}");
    }
}

async fn ours(http: Http, seen: Arc<Seen>) -> Outcome {
    let mut client = SseClient::new(http)?;
    while let Some(event) = client.next_event().await {
        seen.event(event?.data());
    }
    Ok(())
}

async fn body(request: reqwest::RequestBuilder, seen: Arc<Seen>) -> Outcome {
    let mut response = request.send().await?;
    while let Some(chunk) = response.chunk().await? {
        let text = std::str::from_utf8(&chunk)?;
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            seen.event(data);
        }
    }
    Ok(())
}

pub fn run(options: &Options) -> Outcome {
    runtime()?.block_on(async {
        match options.what.as_str() {
            "follow" => follow(options).await,
            _ => drop_all(options).await,
        }
    })
}

async fn connect(options: &Options, who: &Who, seen: &Arc<Seen>, range: std::ops::Range<usize>) {
    let end = range.end;
    for number in range {
        who.follow(format!("{}/idle", options.url), seen.clone());
        if (number + 1) % TOGETHER == 0 {
            all_connected(seen, number + 1).await;
        }
    }
    all_connected(seen, end).await;
}

async fn all_connected(seen: &Seen, count: usize) {
    while seen.connected.load(Ordering::Relaxed) < count {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Sends the server a command, over another connection.
async fn control(options: &Options, path: &str) -> Outcome<String> {
    let client = options.trust.reqwest()?.http1_only().build()?;
    let url = format!("{}/{path}", options.url);
    Ok(client.get(url).send().await?.text().await?)
}

/// While the streams are idle: KiB per stream; microseconds of CPU to connect one; microseconds of CPU
/// per stream and minute.
///
/// While they get an event a second: microseconds of CPU per event; the latency in milliseconds (p50,
/// p99, maximum); events per stream and second.
async fn follow(options: &Options) -> Outcome {
    let (who, seen) = (Who::new(options)?, Arc::<Seen>::default());
    // The first stream allocates what all streams share.
    connect(options, &who, &seen, 0..1).await;
    let (memory, cpu) = (sys::resident()?, sys::cpu()?);
    connect(options, &who, &seen, 1..options.count).await;
    // The last streams may still be connecting.
    sleep(Duration::from_secs(1)).await;
    let connected = sys::cpu()?;
    sleep(Duration::from_secs(options.rest)).await;
    let (after, rested) = (sys::resident()?, sys::cpu()?);
    let streams = (options.count - 1).max(1) as f64;
    println!("{}", after.saturating_sub(memory) as f64 / streams);
    println!("{}", (connected - cpu) * 1e6 / streams);
    println!(
        "{}",
        (rested - connected) * 1e6 / streams * 60.0 / options.rest as f64
    );

    control(options, "start").await?;
    // Until all of them get events.
    sleep(Duration::from_secs(2)).await;
    seen.late().clear();
    let before = sys::cpu()?;
    sleep(Duration::from_secs(options.seconds)).await;
    let used = sys::cpu()? - before;
    let mut late = seen.late();
    println!("{}", used * 1e6 / late.len() as f64);
    for at in [0.5, 0.99, 1.0] {
        println!("{}", quantile(&mut late, at));
    }
    println!(
        "{}",
        late.len() as f64 / options.count as f64 / options.seconds as f64
    );
    Ok(())
}

/// The server's measurements of the reconnects.
async fn drop_all(options: &Options) -> Outcome {
    let (who, seen) = (Who::new(options)?, Arc::<Seen>::default());
    connect(options, &who, &seen, 0..options.count).await;
    let path = format!("drop/{}", options.count);
    println!("{}", control(options, &path).await?);
    Ok(())
}

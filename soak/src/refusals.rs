//! `--attempts N`: connections to a server that closes or resets each one as it accepts it. Every
//! attempt must end in a fault, and none may hang. This looks for a race that needs many attempts.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use everstream::{Error, Fault, Http, SseClient, error_strategy};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Number of concurrent attempts.
const TASKS: u64 = 64;
/// Far more than an attempt takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// Number of attempts between two lines of progress.
const PROGRESS: u64 = 50_000;

/// Attempts by their outcome.
type Counts = BTreeMap<&'static str, u64>;

const HUNG: &str = "hung";
const STREAM: &str = "a stream";
const OTHER: &str = "another error";

/// Returns `true` if every attempt ended in a fault of its connection.
pub(crate) fn run(attempts: u64) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let server = tokio::spawn(refuse_all(listener, accepted.clone()));
        let start = Instant::now();
        let started_attempts = Arc::new(AtomicU64::new(0));
        let http = Http::new(format!("http://{address}/"));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(attempt_many(
                http.clone(),
                attempts,
                started_attempts.clone(),
            ));
        }
        let mut counts = Counts::new();
        while let Some(joined) = tasks.join_next().await {
            for (outcome, count) in joined?? {
                *counts.entry(outcome).or_default() += count;
            }
        }
        server.abort();
        let duration = start.elapsed();
        report(attempts, &counts, accepted.load(Relaxed), duration)
    })
}

/// Half of the connections are closed, and half are reset.
async fn refuse_all(listener: TcpListener, accepted: Arc<AtomicU64>) {
    loop {
        // An error concerns one connection only.
        if let Ok((socket, _)) = listener.accept().await {
            if accepted.fetch_add(1, Relaxed) % 2 == 0 {
                _ = socket.set_zero_linger();
            }
        }
    }
}

async fn attempt_many(
    http: Http,
    attempts: u64,
    started_attempts: Arc<AtomicU64>,
) -> io::Result<Counts> {
    let mut counts = Counts::new();
    loop {
        let number = started_attempts.fetch_add(1, Relaxed);
        if number >= attempts {
            return Ok(counts);
        }
        if number > 0 && number % PROGRESS == 0 {
            // A closed standard error isn't a failure.
            _ = writeln!(io::stderr(), "{number} attempts");
        }
        let mut client = SseClient::builder(http.clone())
            .error_strategy(error_strategy::always_fail())
            .build()
            .map_err(io::Error::other)?;
        let outcome = match timeout(LIMIT, client.start()).await {
            Err(_) => HUNG,
            Ok(Ok(())) => STREAM,
            Ok(Err(Error::Fault(fault))) => fault_name(&fault),
            Ok(Err(_)) => OTHER,
        };
        *counts.entry(outcome).or_default() += 1;
    }
}

fn fault_name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Connect(_) => "Fault::Connect",
        Fault::ConnectTimeout(_) => "Fault::ConnectTimeout",
        Fault::Request(_) => "Fault::Request",
        Fault::ResponseTimeout(_) => "Fault::ResponseTimeout",
        Fault::ReadTimeout(_) => "Fault::ReadTimeout",
        _ => OTHER,
    }
}

fn report(attempts: u64, counts: &Counts, accepted: u64, duration: Duration) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let seconds = duration.as_secs_f64();
    writeln!(
        out,
        "{attempts} attempts in {seconds:.1} s, {accepted} connections accepted"
    )?;
    for (outcome, count) in counts {
        writeln!(out, "  {outcome:<22} {count}")?;
    }
    let count = |outcome| counts.get(outcome).copied().unwrap_or_default();
    let faults = count("Fault::Connect") + count("Fault::Request");
    let passed = faults == attempts && accepted > 0;
    writeln!(out, "{}", if passed { "passed" } else { "FAILED" })?;
    Ok(passed)
}

//! One run: starts the servers and the clients, takes samples, and reports.

use std::fs;
use std::io::{self, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::messages::{
    self, Addresses, ClientCounts, ClientSettings, FromClient, FromServer, Sabotage,
    ServerSettings, ToClient, ToServer,
};
use crate::report::Report;
use crate::sample::{Sample, usage_of};
use crate::{Args, plot};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const STATUS_INTERVAL: Duration = Duration::from_secs(15);
/// More than the clients need to finish.
const RESPONSE_LIMIT: Duration = Duration::from_secs(180);
/// Descriptors for connections that are kept for the next request or are being closed.
const SPARE: u64 = 1_000;
/// Descriptors of a blocking client: its connection, and its runtime's poll and waker.
const PER_BLOCKING: u64 = 6;

/// Returns whether the run passed.
pub(crate) fn run(args: &Args) -> io::Result<bool> {
    // A small run has both kinds of client, too.
    let blocking = args.blocking.min(args.streams.div_ceil(4));
    raise_limit(args.streams + blocking * PER_BLOCKING + SPARE)?;
    let seed = args.seed.unwrap_or_else(random_seed);
    let mut out = io::stdout().lock();
    writeln!(out, "seed {seed}")?;
    out.flush()?;

    let mut server: Process<FromServer> = Process::start("server", &server_settings(args, seed))?;
    let FromServer::Listening(addresses) = server.receive()? else {
        return Err(io::Error::other("the servers sent no addresses"));
    };
    let settings = client_settings(args, seed, blocking, addresses);
    let mut client: Process<FromClient> = Process::start("client", &settings)?;

    let started = Instant::now();
    let mut watch = Watch::new(started);
    watch.until(args, &mut client)?;
    let lasted = started.elapsed();

    server.send(&ToServer::Finish)?;
    let FromServer::Finished(last) = server.receive()? else {
        return Err(io::Error::other("the servers didn't finish"));
    };
    client.send(&ToClient::Finish(last))?;
    let counts = final_counts(&client)?;
    server.send(&ToServer::Report)?;
    let FromServer::Report(served) = server.receive()? else {
        return Err(io::Error::other("the servers sent no report"));
    };

    let report = Report {
        seed,
        streams: args.streams,
        blocking,
        lasted,
        last,
        counts,
        served,
        samples: watch.samples,
    };
    if let Some(path) = &args.svg {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, plot::svg(&report))?;
    }
    write!(out, "{report}")?;
    Ok(report.failures().is_empty())
}

fn server_settings(args: &Args, seed: u64) -> ServerSettings {
    ServerSettings {
        seed,
        streams: args.streams,
        interval_ms: args.interval_ms,
        break_ms: args.break_ms,
        restart_ms: args.restart_ms,
        outage_ms: args.outage_ms,
        sabotage: args.sabotage.filter(|it| *it != Sabotage::Leak),
    }
}

fn client_settings(args: &Args, seed: u64, blocking: u64, addresses: Addresses) -> ClientSettings {
    ClientSettings {
        seed,
        streams: args.streams,
        blocking,
        addresses,
        leak: args.sabotage == Some(Sabotage::Leak),
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds its hash maps from the system's random numbers. Short enough to
    // be typed.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        % 1_000_000
}

/// Raises the limit of open files. Child processes inherit it.
fn raise_limit(needed: u64) -> io::Result<()> {
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit >= needed {
        return Ok(());
    }
    let error = format!(
        "{needed} open files are needed, and at most {limit} allowed: \
         raise the hard limit (`ulimit -Hn {needed}` as root, or nofile in limits.conf), \
         or use fewer --streams"
    );
    Err(io::Error::other(error))
}

/// Observes the clients while they run.
struct Watch {
    started: Instant,
    next_sample: Instant,
    next_status: Instant,
    samples: Vec<Sample>,
    latest: ClientCounts,
    /// The connections at the last sample, and its time.
    previous: (u64, Instant),
}

impl Watch {
    fn new(started: Instant) -> Self {
        Watch {
            started,
            next_sample: started + SAMPLE_INTERVAL,
            next_status: started + STATUS_INTERVAL,
            samples: Vec::new(),
            latest: ClientCounts::default(),
            previous: (0, started),
        }
    }

    /// Returns when the time is up, or enough events have arrived.
    fn until(&mut self, args: &Args, client: &mut Process<FromClient>) -> io::Result<()> {
        let end = self.started + Duration::from_secs_f64(args.minutes * 60.0);
        loop {
            let now = Instant::now();
            if now >= end
                || args
                    .events
                    .is_some_and(|events| self.latest.events >= events)
            {
                return Ok(());
            }
            let wait = self.next_sample.min(end).saturating_duration_since(now);
            match client.lines.recv_timeout(wait) {
                Ok(Ok(FromClient::Progress(counts))) => self.latest = counts,
                Ok(Ok(FromClient::Done(_))) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the clients ended unexpectedly"));
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= self.next_sample {
                self.sample(client.child.id())?;
            }
        }
    }

    fn sample(&mut self, process: u32) -> io::Result<()> {
        let now = Instant::now();
        let (rss, fds, threads) = usage_of(process)?;
        let (starts, then) = self.previous;
        let seconds = now.duration_since(then).as_secs_f64();
        let more = self.latest.starts.saturating_sub(starts);
        self.samples.push(Sample {
            at: now.duration_since(self.started),
            rss,
            heap: self.latest.heap / 1024,
            fds,
            threads,
            reconnects_per_second: more as f64 / seconds,
        });
        self.previous = (self.latest.starts, now);
        self.next_sample += SAMPLE_INTERVAL;
        if now >= self.next_status {
            self.next_status += STATUS_INTERVAL;
            let latest = &self.latest;
            let line = format!(
                "{:>5} s  {} events  {} connections  {} lost  {} duplicated  {} out of order  \
                 {} corrupted  RSS {:.1} MiB  heap {:.1} MiB  {fds} descriptors  {threads} threads\n",
                now.duration_since(self.started).as_secs(),
                latest.events,
                latest.starts,
                latest.lost,
                latest.duplicated,
                latest.out_of_order,
                latest.corrupted,
                rss as f64 / 1024.0,
                latest.heap as f64 / f64::from(1 << 20),
            );
            // Standard error may be closed.
            _ = io::stderr().write_all(line.as_bytes());
        }
        Ok(())
    }
}

/// The counts of the clients at their end.
fn final_counts(client: &Process<FromClient>) -> io::Result<ClientCounts> {
    loop {
        if let FromClient::Done(counts) = client.receive()? {
            return Ok(counts);
        }
    }
}

/// A process that ends with this one, because its standard input does.
struct Process<T> {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<io::Result<T>>,
}

impl<T: DeserializeOwned + Send + 'static> Process<T> {
    fn start(name: &'static str, settings: &impl Serialize) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let mut output = BufReader::new(output);
                while let Some(line) = messages::receive(&mut output).transpose() {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut process = Process {
            name,
            input: child.stdin.take(),
            child,
            lines,
        };
        process.send(settings)?;
        Ok(process)
    }

    fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Err(io::Error::other(format!(
                "the {} has no standard input",
                self.name
            )));
        };
        messages::send(input, message)
    }

    fn receive(&self) -> io::Result<T> {
        let silent = |_| io::Error::other(format!("the {} doesn't answer", self.name));
        self.lines.recv_timeout(RESPONSE_LIMIT).map_err(silent)?
    }
}

impl<T> Drop for Process<T> {
    fn drop(&mut self) {
        self.input = None;
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

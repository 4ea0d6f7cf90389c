//! One run: starts the servers and the clients, watches, and has it judged.

use std::fs;
use std::io::{self, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::report::Report;
use crate::sample::{Sample, held_by};
use crate::talk::{
    self, Addresses, ClientCounts, ClientSettings, FromClient, FromServer, Sabotage,
    ServerSettings, ToClient, ToServer,
};
use crate::{Args, plot};

const SAMPLE: Duration = Duration::from_secs(1);
/// Between two lines that say that it goes on.
const NEWS: Duration = Duration::from_secs(15);
/// More than the clients take at the end.
const PATIENCE: Duration = Duration::from_secs(180);
/// Descriptors besides those of the streams: connections that are kept for the next request, or on
/// their way out.
const SPARE: u64 = 1_000;
/// Of a blocking client: its connection, and its runtime's poll and waker.
const PER_BLOCKING: u64 = 6;

/// `true`: all is as promised.
pub(crate) fn run(args: &Args) -> io::Result<bool> {
    // A small run has some of both, too.
    let blocking = args.blocking.min(args.streams.div_ceil(4));
    raise_limit(args.streams + blocking * PER_BLOCKING + SPARE)?;
    let seed = args.seed.unwrap_or_else(random_seed);
    let mut out = io::stdout().lock();
    writeln!(out, "seed {seed}")?;
    out.flush()?;

    let mut server: Process<FromServer> = Process::start("server", &server_settings(args, seed))?;
    let FromServer::Listening(addresses) = server.hear()? else {
        return Err(io::Error::other("the servers did not say where they are"));
    };
    let settings = client_settings(args, seed, blocking, addresses);
    let mut client: Process<FromClient> = Process::start("client", &settings)?;

    let started = Instant::now();
    let mut watch = Watch::new(started);
    watch.until(args, &mut client)?;
    let lasted = started.elapsed();

    server.say(&ToServer::Finish)?;
    let FromServer::Finished(last) = server.hear()? else {
        return Err(io::Error::other(
            "the servers did not say that they finished",
        ));
    };
    client.say(&ToClient::Finish(last))?;
    let counts = done(&client)?;
    server.say(&ToServer::Report)?;
    let FromServer::Report(served) = server.hear()? else {
        return Err(io::Error::other("the servers did not say what they did"));
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

/// Child processes inherit it.
fn raise_limit(needed: u64) -> io::Result<()> {
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit >= needed {
        return Ok(());
    }
    let error = format!(
        "{needed} open files are needed, and at most {limit} allowed: \
         raise the hard limit (`ulimit -Hn {needed}` as root, or nofile in limits.conf), \
         or take fewer --streams"
    );
    Err(io::Error::other(error))
}

/// What is seen of the clients while they run.
struct Watch {
    started: Instant,
    next: Instant,
    news: Instant,
    samples: Vec<Sample>,
    latest: ClientCounts,
    /// Connections at the last look, and when that was.
    before: (u64, Instant),
}

impl Watch {
    fn new(started: Instant) -> Self {
        Watch {
            started,
            next: started + SAMPLE,
            news: started + NEWS,
            samples: Vec::new(),
            latest: ClientCounts::default(),
            before: (0, started),
        }
    }

    /// Until the time is over, or enough events have come.
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
            let wait = self.next.min(end).saturating_duration_since(now);
            match client.lines.recv_timeout(wait) {
                Ok(Ok(FromClient::Progress(counts))) => self.latest = counts,
                Ok(Ok(FromClient::Done(_))) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the clients ended by themselves"));
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= self.next {
                self.look(client.child.id())?;
            }
        }
    }

    fn look(&mut self, process: u32) -> io::Result<()> {
        let now = Instant::now();
        let (rss, fds, threads) = held_by(process)?;
        let (starts, then) = self.before;
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
        self.before = (self.latest.starts, now);
        self.next += SAMPLE;
        if now >= self.news {
            self.news += NEWS;
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
            // Whether anybody reads it or not.
            _ = io::stderr().write_all(line.as_bytes());
        }
        Ok(())
    }
}

/// The last words of the clients.
fn done(client: &Process<FromClient>) -> io::Result<ClientCounts> {
    loop {
        if let FromClient::Done(counts) = client.hear()? {
            return Ok(counts);
        }
    }
}

/// A process that ends with this one: its standard input does.
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
        let (said, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let mut output = BufReader::new(output);
                while let Some(line) = talk::hear(&mut output).transpose() {
                    if said.send(line).is_err() {
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
        process.say(settings)?;
        Ok(process)
    }

    fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Err(io::Error::other(format!("the {} can't be told", self.name)));
        };
        talk::say(input, what)
    }

    fn hear(&self) -> io::Result<T> {
        let silent = |_| io::Error::other(format!("the {} says nothing any more", self.name));
        self.lines.recv_timeout(PATIENCE).map_err(silent)?
    }
}

impl<T> Drop for Process<T> {
    fn drop(&mut self) {
        self.input = None;
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

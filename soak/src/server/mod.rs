//! The servers: a process with several listeners, which fail in many ways.

mod body;
mod connection;
mod outage;
pub(crate) mod plan;
mod request;
mod sabotage;

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::messages::{self, Addresses, FromServer, ServerCounts, ServerSettings, ToServer};
use crate::numbers::Numbers;
use outage::Outages;
use plan::{FAULTS, Fault};

const PLAIN: usize = 4;
const TLS: usize = 1;
/// Below the ports of outgoing connections: while a listener restarts, no other program may get its
/// port, and no client may connect to itself.
const PORTS: std::ops::Range<usize> = 12_000..30_000;
const HANDSHAKE: Duration = Duration::from_secs(20);

/// What all connections share.
struct State {
    settings: ServerSettings,
    started: Instant,
    /// The number of the last event, once the run finishes.
    last: OnceLock<u64>,
    /// The attempts of each stream.
    attempts: Vec<AtomicU64>,
    connections: AtomicU64,
    requests: AtomicU64,
    bad_requests: AtomicU64,
    restarts: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
    outages: Outages,
}

impl State {
    fn new(settings: ServerSettings) -> Self {
        State {
            started: Instant::now(),
            last: OnceLock::new(),
            attempts: (0..settings.streams).map(|_| AtomicU64::new(0)).collect(),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bad_requests: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            faults: Default::default(),
            outages: Outages::new(),
            settings,
        }
    }

    /// The number of the newest event of each stream.
    fn newest(&self) -> u64 {
        let interval = u128::from(self.settings.interval_ms.max(1));
        let now = || (self.started.elapsed().as_millis() / interval) as u64;
        self.last.get().copied().unwrap_or_else(now)
    }

    fn finish(&self) -> u64 {
        *self.last.get_or_init(|| self.newest())
    }

    fn is_finished(&self) -> bool {
        self.last.get().is_some()
    }

    fn next_attempt(&self, stream: u64) -> u64 {
        self.attempts[stream as usize].fetch_add(1, Relaxed)
    }

    fn count(&self, fault: Fault) {
        if let Some(place) = FAULTS.iter().position(|known| *known == fault) {
            self.faults[place].fetch_add(1, Relaxed);
        }
    }

    fn counts(&self) -> ServerCounts {
        let names = FAULTS.iter().map(|fault| fault.name().to_owned());
        let times = self.faults.iter().map(|times| times.load(Relaxed));
        ServerCounts {
            connections: self.connections.load(Relaxed),
            requests: self.requests.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            restarts_of_all: self.outages.restarts(),
            silences_of_all: self.outages.silences(),
            bad_requests: self.bad_requests.load(Relaxed),
            faults: names.zip(times).collect(),
        }
    }
}

/// Serves until standard input ends.
pub(crate) fn run() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let Some(settings) = messages::receive(&mut input)? else {
        return Ok(());
    };
    let state = Arc::new(State::new(settings));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let addresses = runtime.block_on(start(&state))?;
    messages::send(&mut output, &FromServer::Listening(addresses))?;
    while let Some(order) = messages::receive(&mut input)? {
        let answer = match order {
            ToServer::Finish => FromServer::Finished(state.finish()),
            ToServer::Report => FromServer::Report(state.counts()),
        };
        messages::send(&mut output, &answer)?;
    }
    runtime.shutdown_background();
    Ok(())
}

async fn start(state: &Arc<State>) -> io::Result<Addresses> {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    let acceptor = acceptor(&made)?;
    // The process id is part of the seed: otherwise a second run with the same seed could take the
    // port of a listener that restarts, and answer its clients.
    let process = u64::from(std::process::id());
    let mut numbers = Numbers::new(&[state.settings.seed, 3, process]);
    let mut addresses = Addresses {
        plain: Vec::new(),
        tls: Vec::new(),
        certificate: made.cert.pem(),
    };
    for index in 0..PLAIN + TLS {
        let (listener, port) = listen_anywhere(&mut numbers).await?;
        let acceptor = if index < PLAIN {
            addresses.plain.push(port);
            None
        } else {
            addresses.tls.push(port);
            Some(acceptor.clone())
        };
        let numbers = Numbers::new(&[state.settings.seed, index as u64, 4]);
        tokio::spawn(listen(listener, port, acceptor, state.clone(), numbers));
    }
    tokio::spawn(outage::run(state.clone()));
    Ok(addresses)
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> io::Result<TlsAcceptor> {
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn listen_anywhere(numbers: &mut Numbers) -> io::Result<(TcpListener, u16)> {
    let mut attempts = 0;
    loop {
        let port = numbers.between(PORTS.start, PORTS.end) as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok((listener, port)),
            Err(error) if attempts == 100 => return Err(error),
            Err(_) => attempts += 1,
        }
    }
}

/// How connections end when their listener restarts.
#[derive(Clone, Copy)]
enum Restart {
    /// Like a process that ends.
    Fin,
    /// Like a machine that has rebooted.
    Reset,
}

/// Accepts connections, and restarts now and then.
async fn listen(
    first: TcpListener,
    port: u16,
    acceptor: Option<TlsAcceptor>,
    state: Arc<State>,
    mut numbers: Numbers,
) {
    let mean = Duration::from_millis(state.settings.restart_ms);
    let mut listener = Some(first);
    let mut all = state.outages.restarted();
    loop {
        let listening = match listener.take() {
            Some(listener) => listener,
            None => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Ok(listener) => listener,
                Err(_) => {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        // Not right at the start, so that even a short run makes progress.
        let until = tokio::time::Instant::now() + mean / 4 + numbers.around(mean.mul_f64(0.75));
        let (restart, _) = watch::channel(None);
        all.mark_unchanged();
        let mut connections = JoinSet::new();
        loop {
            let socket = tokio::select! {
                accepted = listening.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = sleep_until(until), if !state.is_finished() => break,
                Ok(()) = all.changed() => break,
            };
            // Too many open files, for the moment.
            let Ok((socket, _)) = socket else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            state.connections.fetch_add(1, Relaxed);
            let (acceptor, state) = (acceptor.clone(), state.clone());
            connections.spawn(connection(socket, acceptor, state, restart.subscribe()));
        }
        drop(listening);
        state.restarts.fetch_add(1, Relaxed);
        let how = if numbers.once_in(2) {
            Restart::Fin
        } else {
            Restart::Reset
        };
        restart.send_replace(Some(how));
        while connections.join_next().await.is_some() {}
        sleep(Duration::from_millis(numbers.between(100, 1_500) as u64)).await;
    }
}

async fn connection(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    state: Arc<State>,
    restart: watch::Receiver<Option<Restart>>,
) {
    // Two writes must arrive separately.
    _ = socket.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return until_restart(socket, &state, restart).await;
    };
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE, acceptor.accept(socket)) => accepted,
        _ = restarted(restart.clone()) => return,
    };
    if let Ok(Ok(socket)) = accepted {
        until_restart(socket, &state, restart).await;
    }
}

async fn until_restart(
    mut socket: impl connection::Wire,
    state: &Arc<State>,
    restart: watch::Receiver<Option<Restart>>,
) {
    let how = tokio::select! {
        // The client reports what went wrong.
        _ = connection::serve(&mut socket, state) => return,
        how = restarted(restart) => how,
    };
    if let Some(Restart::Reset) = how {
        _ = socket.tcp().set_zero_linger();
    }
}

async fn restarted(mut restart: watch::Receiver<Option<Restart>>) -> Option<Restart> {
    restart
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|how| *how)
}

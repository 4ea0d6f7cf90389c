//! A complete custom client: `everstream-core` and `everstream-http` make the decisions, and `std::net`
//! moves the bytes. No async runtime and no TLS.
//!
//! `std-sockets http://[USER:PASSWORD@]HOST[:PORT][/PATH] [READ-TIMEOUT]`: the timeout is in seconds,
//! default 60.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use everstream_core::{Action, Fault, Output, Session, SessionConfig, Start, Timestamp};
use everstream_http::exchange::{Config, Exchange, Output as Step, Request};
use everstream_http::http1::{Body, ResponseReader};
use url::Url;

fn main() -> ExitCode {
    let Err(error) = follow(std::env::args().skip(1)) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("std-sockets: {}", with_causes(&*error));
    ExitCode::FAILURE
}

/// Carries out what the session asks for, until the session stops. The session decides when to reconnect.
fn follow(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let url = args.next().ok_or("usage: std-sockets URL [READ-TIMEOUT]")?;
    let url = Url::parse(&url)?;
    let read_timeout = args.next().map_or(Ok(60.0), |seconds| seconds.parse())?;
    let mut config = SessionConfig::default();
    config.read_timeout = Some(Duration::try_from_secs_f64(read_timeout)?);
    // A random seed, so that clients don't all reconnect at the same time.
    config.seed = RandomState::new().hash_one(&url);
    let limits = Config {
        connect_timeout: Some(Duration::from_secs(30)),
        read_timeout: config.read_timeout,
        ..Config::default()
    };
    let mut session = Session::new(config);
    let mut connection = Connection::default();
    let began = Instant::now();
    let now = || Timestamp::since_start(began.elapsed());
    session.start();
    loop {
        match session.poll_output(now()) {
            Output::Connect { .. } => {
                let mut request = Request::event_stream(url.clone());
                request.set_last_event_id(session.last_event_id());
                match connection.connect(Exchange::new(request, limits, now()), now) {
                    Ok(start) => session.handle_connected(start, now()),
                    Err(fault) => session.handle_fault(fault, now()),
                }
            }
            Output::Wait { until } => thread::sleep(until.saturating_duration_since(now())),
            Output::Read { deadline } => match connection.response.body() {
                Ok(Body::Bytes(bytes)) => session.handle_data(bytes, now()),
                Ok(Body::NeedsMore) if deadline.is_some_and(|deadline| deadline <= now()) => {
                    session.handle_timeout(now());
                }
                Ok(Body::NeedsMore) => connection.receive(time_left(deadline, now())),
                Ok(Body::End(ending)) => session.handle_end(ending, now()),
                Err(failure) => session.handle_fault(Fault::Read(failure.into()), now()),
            },
            Output::Action(action) => {
                if let Action::Fault(_) | Action::End(_) = action {
                    connection = Connection::default();
                }
                print(&action)?;
            }
            Output::Stop(result) => return Ok(result?),
        }
    }
}

#[derive(Default)]
struct Connection {
    socket: Option<TcpStream>,
    response: ResponseReader,
}

impl Connection {
    /// Runs one attempt: a request and its redirects. The exchange has the rules.
    fn connect(
        &mut self,
        mut exchange: Exchange,
        now: impl Fn() -> Timestamp,
    ) -> Result<Start, Fault> {
        loop {
            match exchange.poll_output() {
                Step::Connect { .. } if exchange.request().url.scheme() != "http" => {
                    exchange.handle_unreachable("only http:// is supported, there is no TLS here");
                }
                Step::Connect { deadline } => {
                    match self.open(exchange.request(), time_left(deadline, now())) {
                        Ok(()) => exchange.handle_connected(now()),
                        Err(error) => exchange.handle_connect_error(&error, now()),
                    }
                }
                Step::Receive { deadline } => self.receive(time_left(deadline, now())),
                Step::ReadError { deadline, .. } => self.receive(time_left(Some(deadline), now())),
                Step::Stream(_) => return Ok(exchange.start()),
                Step::Failed(fault) => return Err(fault),
            }
            exchange.handle_response(&mut self.response, now(), SystemTime::now());
        }
    }

    /// Tries the host's addresses one after the other, and sends the request.
    fn open(&mut self, request: &Request, limit: Option<Duration>) -> io::Result<()> {
        *self = Connection::default();
        let mut result = Err(ErrorKind::NotFound.into());
        for address in request.url.socket_addrs(|| None)? {
            result = TcpStream::connect_timeout(&address, limit.unwrap_or(Duration::MAX));
            if result.is_ok() {
                break;
            }
        }
        // Ignore errors: the server may have answered anyway, and reading reports what happened.
        let socket = self.socket.insert(result?);
        _ = socket.write_all(&request.to_http1(None, None));
        Ok(())
    }

    fn receive(&mut self, limit: Option<Duration>) {
        let mut buffer = [0; 16 << 10];
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected.into());
        let read = socket.and_then(|mut socket| {
            socket.set_read_timeout(limit)?;
            socket.read(&mut buffer)
        });
        self.response.receive(read.map(|length| &buffer[..length]));
    }
}

/// Returns the time left, at least 1 ms, because sockets reject a timeout of zero.
fn time_left(deadline: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let remaining = deadline?.saturating_duration_since(now);
    Some(remaining.max(Duration::from_millis(1)))
}

fn print(action: &Action) -> io::Result<()> {
    match action {
        Action::Event(event) => writeln!(io::stdout(), "{}: {}", event.event(), event.data()),
        Action::Fault(fault) => writeln!(io::stderr(), "retrying: {}", with_causes(fault)),
        Action::End(_) => writeln!(io::stderr(), "retrying: the stream ended"),
        _ => Ok(()),
    }
}

fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

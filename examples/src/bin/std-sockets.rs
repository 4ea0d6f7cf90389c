//! A client of your own: `everstream-core` and `everstream-http` decide, and `std::net` moves the
//! bytes. No async runtime and no TLS.
//!
//! `std-sockets http://[USER:PASSWORD@]HOST[:PORT][/PATH] [READ-TIMEOUT]`, in seconds (60)

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use everstream_core::{Action, Ending, Fault, Output, Session, SessionConfig, Start, Timestamp};
use everstream_http::exchange::{Config, Exchange, Output as Step, Request};
use everstream_http::http1::{BodyEnd, BodyReader, Framing, Head, HeadReader, write_request};
use everstream_http::{Failure, SocketFailure as _, policy};
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [url] => follow(url, Duration::from_secs(60)),
        [url, limit] => seconds(limit).and_then(|limit| follow(url, limit)),
        _ => Err("usage: std-sockets http://HOST[:PORT][/PATH] [READ-TIMEOUT]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("std-sockets: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

/// Does what the session says until the stream ends for good. When to reconnect is decided in there.
fn follow(url: &str, read_timeout: Duration) -> Result<(), Box<dyn Error>> {
    let url = Url::parse(url)?;
    let began = Instant::now();
    let clock = || Timestamp::since_start(began.elapsed());
    let mut config = SessionConfig::default();
    config.read_timeout = Some(read_timeout);
    // Random, so that clients don't all reconnect at the same time.
    config.seed = RandomState::new().hash_one(&url);
    let mut session = Session::new(config);
    let mut connection = Connection::new(None);
    session.start();
    loop {
        match session.poll_output(clock()) {
            Output::Connect { last_event_id, .. } => {
                match connect(&url, last_event_id.as_deref(), read_timeout, &clock) {
                    Ok((connected, start)) => {
                        connection = connected;
                        session.handle_connected(start, clock());
                    }
                    Err(fault) => session.handle_fault(fault, clock()),
                }
            }
            Output::Wait { until } => thread::sleep(until.saturating_duration_since(clock())),
            Output::Read { deadline } => match connection.read_body(deadline, clock) {
                Ok(Some(bytes)) => session.handle_data(bytes, clock()),
                Ok(None) => session.handle_end(Ending::Unproven, clock()),
                Err(error) if is_timeout(&error) => session.handle_timeout(clock()),
                Err(error) => {
                    let fault = Fault::Read(Failure::mid_response(&error).into());
                    session.handle_fault(fault, clock());
                }
            },
            Output::Action(action) => {
                if let Action::Fault(_) | Action::End(_) = action {
                    connection = Connection::new(None);
                }
                show(&action)?;
            }
            Output::Stop(result) => return Ok(result?),
            _ => {}
        }
    }
}

/// One attempt: a request and the redirects that it takes. The exchange knows the rules.
fn connect(
    url: &Url,
    last_event_id: Option<&str>,
    read_timeout: Duration,
    clock: &impl Fn() -> Timestamp,
) -> Result<(Connection, Start), Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(id) = last_event_id.and_then(policy::last_event_id_header) {
        headers.insert("last-event-id", id);
    }
    let request = Request {
        method: Method::GET,
        url: url.clone(),
        headers,
        has_body: false,
    };
    let config = Config {
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(read_timeout),
        ..Config::default()
    };
    let mut exchange = Exchange::new(request, config, clock());
    let mut connection = Connection::new(None);
    loop {
        match exchange.poll_output() {
            Step::Connect { .. } if exchange.request().url.scheme() != "http" => {
                exchange.handle_unreachable("only http:// is supported, there is no TLS here");
            }
            Step::Connect { deadline } => match open(&exchange.request().url, deadline, clock) {
                Ok(socket) => {
                    connection = Connection::new(Some(socket));
                    exchange.handle_connected(clock());
                    // A request without a body fits into the socket's buffer. If sending fails, the
                    // server may have answered all the same.
                    if let Err(error) = connection.send(exchange.request()) {
                        exchange.handle_send_failure(Failure::before_response(&error));
                    }
                }
                Err(error) if is_timeout(&error) => exchange.handle_timeout(clock()),
                Err(error) => {
                    let host = exchange.request().url.host_str().unwrap_or_default();
                    exchange.handle_connect_failure(Failure::connecting(&error, host));
                }
            },
            Step::Receive { deadline } => match connection.read_head(deadline, clock) {
                Ok(head) => {
                    let (status, now) = (head.status.as_u16(), SystemTime::now());
                    exchange.handle_head(status, head.headers, clock(), now);
                }
                Err(error) if is_timeout(&error) => exchange.handle_timeout(clock()),
                Err(error) => exchange.handle_failure(Failure::before_response(&error)),
            },
            Step::ReadError { deadline, .. } => match connection.read_body(Some(deadline), clock) {
                Ok(Some(bytes)) => exchange.handle_body(&bytes),
                Err(error) if is_timeout(&error) => exchange.handle_timeout(clock()),
                Ok(None) | Err(_) => exchange.handle_body_end(),
            },
            Step::Stream(_) => return Ok((connection, exchange.start())),
            Step::Failed(fault) => return Err(fault),
        }
    }
}

/// Tries the addresses of the host one after the other.
fn open(
    url: &Url,
    deadline: Option<Timestamp>,
    clock: impl Fn() -> Timestamp,
) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for address in url.socket_addrs(|| None)? {
        let limit = time_left(deadline, clock()).unwrap_or(CONNECT_TIMEOUT);
        match TcpStream::connect_timeout(&address, limit) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

struct Connection {
    socket: Option<TcpStream>,
    /// Bytes that aren't read yet.
    received: Vec<u8>,
    body: BodyReader,
}

impl Connection {
    fn new(socket: Option<TcpStream>) -> Self {
        Connection {
            socket,
            received: Vec::new(),
            body: BodyReader::new(Framing::UntilClose),
        }
    }

    fn send(&mut self, request: &Request) -> io::Result<()> {
        let Request { method, url, .. } = request;
        let mut bytes = Vec::new();
        write_request(&mut bytes, method, url, None, &request.headers, None);
        let socket = self.socket.as_mut().ok_or(ErrorKind::NotConnected)?;
        socket.write_all(&bytes)
    }

    fn read_head(
        &mut self,
        deadline: Option<Timestamp>,
        clock: impl Fn() -> Timestamp,
    ) -> io::Result<Head> {
        let mut reader = HeadReader::new(false);
        loop {
            let step = reader.read(&self.received).map_err(io::Error::other)?;
            self.received.drain(..step.consumed);
            if let Some(head) = step.head {
                self.body = BodyReader::new(head.framing);
                return Ok(head);
            }
            if self.receive(deadline, clock())? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next piece of the body, or `None` at its end.
    fn read_body(
        &mut self,
        deadline: Option<Timestamp>,
        clock: impl Fn() -> Timestamp,
    ) -> io::Result<Option<Vec<u8>>> {
        loop {
            let piece = self.body.read(&mut self.received);
            let piece = piece.map_err(io::Error::other)?;
            let payload = self.received[piece.payload].to_vec();
            self.received.drain(..piece.consumed);
            if !payload.is_empty() {
                return Ok(Some(payload));
            }
            if self.body.is_complete() {
                return Ok(None);
            }
            if self.receive(deadline, clock())? == 0 {
                return match self.body.connection_closed() {
                    BodyEnd::Truncated => Err(ErrorKind::UnexpectedEof.into()),
                    _ => Ok(None),
                };
            }
        }
    }

    /// Waits for more bytes; 0: the server has closed the connection.
    fn receive(&mut self, deadline: Option<Timestamp>, now: Timestamp) -> io::Result<usize> {
        let socket = self.socket.as_mut().ok_or(ErrorKind::NotConnected)?;
        socket.set_read_timeout(time_left(deadline, now))?;
        let mut buffer = [0; 16 << 10];
        let length = socket.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

/// For a socket, to which no time at all means no limit.
fn time_left(deadline: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let left = deadline?.saturating_duration_since(now);
    Some(left.max(Duration::from_millis(1)))
}

/// Which of the kinds a socket reports depends on the system. An interrupted read is repeated in the
/// same way: a deadline that hasn't passed changes nothing.
fn is_timeout(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn show(action: &Action) -> io::Result<()> {
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

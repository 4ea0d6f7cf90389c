//! A client of one's own: the session of `everstream-core` decides, and plain `std::net` does what it
//! says. No async runtime, no HTTP library, no TLS.
//!
//! `std-sockets http://HOST[:PORT][/PATH]`

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use everstream_core::{
    Action, ErrorResponse, Fault, Headers, Output, Session, SessionConfig, Start, Timestamp,
};

type Stream = BufReader<TcpStream>;

/// A head that is longer isn't read on.
const HEAD_LIMIT: u64 = 64 << 10;

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: std-sockets http://HOST[:PORT][/PATH]");
        return ExitCode::FAILURE;
    };
    match follow(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("std-sockets: {error}");
            if let Some(cause) = error.source() {
                eprint!(": {cause}");
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

/// Does what the session says, until it says stop. All rules of the protocol are in there.
fn follow(url: &str) -> Result<(), Box<dyn Error>> {
    let mut config = SessionConfig::default();
    config.read_timeout = Some(Duration::from_secs(60));
    // Keyed at random by the system: no two clients wait alike.
    config.seed = RandomState::new().hash_one(url);

    let mut session = Session::new(config);
    let began = Instant::now();
    let now = || Timestamp::since_start(began.elapsed());
    let mut stream = None;
    session.start();
    loop {
        match session.poll_output(now()) {
            Output::Connect { last_event_id } => match connect(url, last_event_id.as_deref()) {
                Ok((connected, start)) => {
                    stream = Some(connected);
                    session.handle_connected(start, now());
                }
                Err(fault) => session.handle_fault(fault, now()),
            },
            Output::Wait { until } => thread::sleep(until.saturating_duration_since(now())),
            Output::Read { deadline } => match read(stream.as_mut(), deadline, now()) {
                // Without a length and without chunks the end of the connection is the end of the
                // response. Whether it broke can't be told.
                Ok(bytes) if bytes.is_empty() => session.handle_end(now()),
                Ok(bytes) => session.handle_data(bytes, now()),
                // What the system says when the time of a read is up depends on the system.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    session.handle_timeout(now());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => session.handle_fault(Fault::Read(error.into()), now()),
            },
            Output::Action(action) => {
                if let Action::Fault(_) = action {
                    stream = None;
                }
                show(&action)?;
            }
            Output::Stop(result) => return Ok(result?),
            _ => {}
        }
    }
}

fn read(
    stream: Option<&mut Stream>,
    deadline: Option<Timestamp>,
    now: Timestamp,
) -> io::Result<Vec<u8>> {
    let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
    // No time at all would mean for ever.
    let limit = deadline
        .map(|deadline| deadline.saturating_duration_since(now))
        .map(|limit| limit.max(Duration::from_millis(1)));
    stream.get_ref().set_read_timeout(limit)?;
    let bytes = stream.fill_buf()?.to_vec();
    stream.consume(bytes.len());
    Ok(bytes)
}

/// One request. HTTP/1.0 spares us chunks: nothing but the end of the connection ends the body.
fn connect(url: &str, last_event_id: Option<&str>) -> Result<(Stream, Start), Fault> {
    let problem = |text: &str| Fault::Other(format!("{url}: {text}").into());
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| problem("only http:// is done here"))?;
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let mut request = format!(
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n"
    );
    // The server chose it: with a line end in it, it would be a header of its own.
    if let Some(id) = last_event_id.filter(|id| !id.contains(|c: char| c.is_ascii_control())) {
        request.push_str(&format!("Last-Event-ID: {id}\r\n"));
    }
    request.push_str("\r\n");

    let address = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:80"),
    };
    let mut socket = TcpStream::connect(address).map_err(|error| Fault::Connect(error.into()))?;
    let failed = |error: io::Error| Fault::Request(error.into());
    let limit = Some(Duration::from_secs(60));
    socket.set_read_timeout(limit).map_err(failed)?;
    socket.write_all(request.as_bytes()).map_err(failed)?;

    let mut stream = BufReader::new(socket);
    let mut head = stream.by_ref().take(HEAD_LIMIT);
    let mut line = String::new();
    head.read_line(&mut line).map_err(failed)?;
    let status: u16 = line
        .strip_prefix("HTTP/1.")
        .and_then(|line| line.split(' ').nth(1)?.trim_end().parse().ok())
        .ok_or_else(|| Fault::Request(format!("{line:?} is no status line").into()))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line).map_err(failed)?;
        match (line.trim_end(), line.ends_with('\n')) {
            ("", true) => break,
            (field, true) => {
                let (name, value) = field.split_once(':').unwrap_or((field, ""));
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            (_, false) => return Err(Fault::Request("the head is cut short".into())),
        }
    }

    let headers = Headers::from_iter(headers);
    let kind = headers.get("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_stream = kind.eq_ignore_ascii_case("text/event-stream");
    if status != 200 || !is_stream {
        let mut response = Box::new(ErrorResponse::new(status));
        response.headers = headers;
        response.url = url.to_owned();
        return Err(match status {
            200 => Fault::ContentType(response),
            _ => Fault::Status(response),
        });
    }
    let mut start = Start::default();
    start.status = Some(status);
    start.headers = headers;
    start.url = Some(url.to_owned());
    Ok((stream, start))
}

fn show(action: &Action) -> io::Result<()> {
    match action {
        Action::Event(event) => writeln!(io::stdout(), "{}: {}", event.event(), event.data()),
        Action::Fault(Some(fault)) => writeln!(io::stderr(), "again after {fault}"),
        Action::Fault(None) => writeln!(io::stderr(), "again after the end"),
        _ => Ok(()),
    }
}

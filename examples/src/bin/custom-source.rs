//! Reads streams from sources other than a public HTTP server, each in a few lines:
//!
//! - `custom-source file PATH`: a recorded stream;
//! - `custom-source unix PATH`: a Unix socket with a server that doesn't use HTTP. It gets the line
//!   `after ID` (`after ` without an id) and answers with a stream;
//! - `custom-source tls URL CA.pem`: HTTPS with a certificate from a private CA.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use everstream::{Builder, Connection, Http, SseClient, connect_fn, error_strategy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = follow() => outcome,
        _ = tokio::signal::ctrl_c() => return ExitCode::SUCCESS,
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprint!("custom-source: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn follow() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let builder = match args[..] {
        ["file", path] => file(path.into()),
        ["unix", path] => unix(path.into())?,
        ["tls", url, ca] => {
            let pem = std::fs::read(ca).map_err(|error| format!("{ca}: {error}"))?;
            tls(url, pem)
        }
        _ => return Err("usage: custom-source file PATH | unix PATH | tls URL CA.pem".into()),
    };
    let mut client = builder.build()?;
    while let Some(event) = client.next_event().await {
        let event = event?;
        writeln!(io::stdout(), "{}: {}", event.event(), event.data())?;
    }
    Ok(())
}

fn file(path: PathBuf) -> Builder {
    // Called for every connection. An error counts as a failed attempt to connect.
    let strategy = connect_fn(move |_request| {
        let file = std::fs::File::open(&path).map_err(|error| with_path(&path, &error));
        // Reads run on tokio's blocking threads, because a pipe may block for a long time.
        async { Ok::<_, io::Error>(Connection::from_read(file?)) }
    });
    // By default, the client would reconnect at the end of the file and read it again.
    SseClient::builder(strategy).error_strategy(error_strategy::always_fail())
}

#[cfg(unix)]
fn unix(path: PathBuf) -> Result<Builder, Box<dyn Error>> {
    use tokio::io::AsyncWriteExt;

    let strategy = connect_fn(move |request: everstream::ConnectRequest| {
        let path = path.clone();
        async move {
            let socket = tokio::net::UnixStream::connect(&path).await;
            let mut socket = socket.map_err(|error| with_path(&path, &error))?;
            // Resuming is up to the server's protocol. An id never contains a line break.
            let id = request.last_event_id.unwrap_or_default();
            socket.write_all(format!("after {id}\n").as_bytes()).await?;
            Ok::<_, io::Error>(Connection::from_async_read(socket))
        }
    });
    // For HTTP over a Unix socket, use `Http::unix_socket`.
    Ok(SseClient::builder(strategy).until("the end"))
}

#[cfg(not(unix))]
fn unix(_path: PathBuf) -> Result<Builder, Box<dyn Error>> {
    Err("there are no Unix sockets here".into())
}

fn tls(url: &str, pem: Vec<u8>) -> Builder {
    // Trusts this CA in addition to the system's certificates.
    SseClient::builder(Http::new(url).root_certificates(pem)).until("the end")
}

/// Adds the path, which the system's message doesn't include.
fn with_path(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

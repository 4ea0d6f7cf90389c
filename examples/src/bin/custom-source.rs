//! Streams from elsewhere than HTTP at a public server, each in a few lines:
//!
//! - `custom-source file PATH`: a recorded stream;
//! - `custom-source unix PATH`: a Unix socket whose server speaks no HTTP: it is sent the line
//!   `after ID`, or `after ` before there is an id, and answers with a stream;
//! - `custom-source tls URL CA.pem`: HTTPS with a certificate of a private CA.

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
    // It is called for every connection. An error counts as one that could not be made.
    let strategy = connect_fn(move |_request| {
        let file = std::fs::File::open(&path).map_err(|error| naming(&path, &error));
        // Reads run on a thread for blocking work: a pipe may be silent for long.
        async { Ok::<_, io::Error>(Connection::from_read(file?)) }
    });
    // By default the end of the file would be a reason to read it again.
    SseClient::builder(strategy).error_strategy(error_strategy::always_fail())
}

#[cfg(unix)]
fn unix(path: PathBuf) -> Result<Builder, Box<dyn Error>> {
    use tokio::io::AsyncWriteExt;

    let strategy = connect_fn(move |request: everstream::ConnectRequest| {
        let path = path.clone();
        async move {
            let socket = tokio::net::UnixStream::connect(&path).await;
            let mut socket = socket.map_err(|error| naming(&path, &error))?;
            // How to resume is between you and your server. An id holds no line end.
            let id = request.last_event_id.unwrap_or_default();
            socket.write_all(format!("after {id}\n").as_bytes()).await?;
            Ok::<_, io::Error>(Connection::from_async_read(socket))
        }
    });
    // For a server that does speak HTTP there is `Http::unix_socket`.
    Ok(SseClient::builder(strategy).until("the end"))
}

#[cfg(not(unix))]
fn unix(_path: PathBuf) -> Result<Builder, Box<dyn Error>> {
    Err("there are no Unix sockets here".into())
}

fn tls(url: &str, pem: Vec<u8>) -> Builder {
    // Besides the system's certificates.
    SseClient::builder(Http::new(url).root_certificates(pem)).until("the end")
}

/// The system doesn't say which file it was.
fn naming(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

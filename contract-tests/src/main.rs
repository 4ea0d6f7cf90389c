//! Puts the clients under an outside test harness.
//!
//! The harness asks for streams over REST (`api.rs`), a client follows each (`stream.rs`), and what
//! it sees is posted back to the harness (`callback.rs`).

mod api;
mod callback;
mod control;
mod stream;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime;

use crate::api::Service;
use crate::stream::Face;

/// How long requests that are under way may hold up the exit.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Lets a test harness drive an Everstream client over REST.
#[derive(Parser)]
#[command(name = "everstream-contract-tests", version)]
struct Args {
    /// Which client to put to the test.
    #[arg(long, value_enum)]
    client: Face,

    /// Where to listen; 0 stands for a free port, which the first line of the output tells.
    #[arg(long, default_value_t = 8000)]
    port: u16,

    /// The address to listen on. Whoever reaches it can make this process send requests.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(args));
    // A name look-up that hangs on one of its threads isn't worth waiting for.
    runtime.shutdown_background();
    result
}

async fn serve(args: &Args) -> io::Result<()> {
    // For the client of the callbacks. An error says that there is a provider already.
    _ = rustls::crypto::ring::default_provider().install_default();
    let service = Arc::new(Service::new(args.client).map_err(io::Error::other)?);
    let listener = TcpListener::bind((args.host.as_str(), args.port)).await?;
    let address = listener.local_addr()?;
    // Who started this with `--port 0` waits for the line; a closed pipe is no reason to stop.
    _ = writeln!(io::stdout(), "listening on http://{address}");

    let asked_to_quit = service.clone();
    let server = axum::serve(listener, api::routes(service.clone()))
        .with_graceful_shutdown(async move { asked_to_quit.quit_requested().await });
    tokio::select! {
        result = server => result,
        () = too_long(&service) => Ok(()),
    }
}

/// Some client keeps a request open although the service is to exit.
async fn too_long(service: &Service) {
    service.quit_requested().await;
    tokio::time::sleep(LAST_REQUESTS).await;
}

//! Lets an external test harness drive the clients.
//!
//! The harness creates streams over REST (`api.rs`), a client follows each of them (`stream.rs`), and
//! what the client receives is posted back to the harness (`callback.rs`).

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
use crate::stream::ClientKind;

/// How long pending requests may delay the exit.
const EXIT_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// Lets a test harness drive an Everstream client over REST.
#[derive(Parser)]
#[command(name = "everstream-contract-tests", version)]
struct Args {
    /// Which client to test.
    #[arg(long, value_enum)]
    client: ClientKind,

    /// The port to listen on. 0 picks a free port and prints it.
    #[arg(long, default_value_t = 8000)]
    port: u16,

    /// The address to listen on. Anyone who can connect can make this process send requests.
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
    // Doesn't wait for a DNS lookup that hangs on one of the runtime's threads.
    runtime.shutdown_background();
    result
}

async fn serve(args: &Args) -> io::Result<()> {
    // For the client of the callbacks. Fails only if there already is a provider.
    _ = rustls::crypto::ring::default_provider().install_default();
    let service = Arc::new(Service::new(args.client).map_err(io::Error::other)?);
    let listener = TcpListener::bind((args.host.as_str(), args.port)).await?;
    let address = listener.local_addr()?;
    // The caller reads the port from this line. A closed pipe is no reason to stop.
    _ = writeln!(io::stdout(), "listening on http://{address}");

    let asked_to_quit = service.clone();
    let server = axum::serve(listener, api::routes(service.clone()))
        .with_graceful_shutdown(async move { asked_to_quit.quit_requested().await });
    tokio::select! {
        result = server => result,
        () = exit_timeout(&service) => Ok(()),
    }
}

/// Returns if a request is still open some time after the service should exit.
async fn exit_timeout(service: &Service) {
    service.quit_requested().await;
    tokio::time::sleep(EXIT_GRACE_PERIOD).await;
}

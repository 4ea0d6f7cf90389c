//! `everstream-bench SUITE`, and the processes that the suites start.

use clap::{Parser, Subcommand};
use everstream_bench::{Outcome, client, decode, idle};

#[derive(Parser)]
#[command(about = "Measures decoders and clients, and writes the pages in docs/bench.")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Decoders on chunks in memory
    Decode(decode::Options),
    /// CPU and latency of clients over loopback
    Client(client::Options),
    /// Thousands of idle streams
    Idle(idle::Options),
    /// Part of `decode`: one pass, for callgrind
    #[command(hide = true)]
    DecodeOnce(decode::Once),
    /// Part of `client`: its server
    #[command(hide = true)]
    ClientServer(client::server::Options),
    /// Part of `client`: one client
    #[command(hide = true)]
    ClientOnce(client::Once),
    /// Part of `idle`: its server
    #[command(hide = true)]
    IdleServer(idle::server::Options),
    /// Part of `idle`: the streams of one client
    #[command(hide = true)]
    IdleOnce(idle::streams::Options),
}

fn main() -> Outcome {
    // The same provider for all clients, so that the ciphers don't differ.
    _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    match Arguments::parse().suite {
        Suite::Decode(options) => decode::run(&options),
        Suite::Client(options) => client::run(&options),
        Suite::Idle(options) => idle::run(&options),
        Suite::DecodeOnce(once) => decode::once(&once),
        Suite::ClientServer(options) => client::server::run(&options),
        Suite::ClientOnce(once) => client::once(&once),
        Suite::IdleServer(options) => idle::server::run(&options),
        Suite::IdleOnce(options) => idle::streams::run(&options),
    }
}

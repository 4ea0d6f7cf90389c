//! `everstream-bench SUITE`, and the processes that the suites start of themselves.

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
    /// A part of `decode`: one pass, to be counted
    #[command(hide = true)]
    DecodeOnce(decode::Once),
    /// A part of `client`: its server
    #[command(hide = true)]
    ClientServer(client::server::Options),
    /// A part of `client`: one client
    #[command(hide = true)]
    ClientOnce(client::Once),
    /// A part of `idle`: its server
    #[command(hide = true)]
    IdleServer(idle::server::Options),
    /// A part of `idle`: one set of streams
    #[command(hide = true)]
    IdleOnce(idle::streams::Options),
}

fn main() -> Outcome {
    // The same for all clients, so that their libraries are compared and not their ciphers.
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

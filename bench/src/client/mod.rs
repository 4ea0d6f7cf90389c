//! Clients over loopback: CPU, instructions and latency.

mod alone;
mod feed;
pub mod readers;
mod report;
pub mod server;
mod takers;

use crate::page::Out;
use crate::process::Server;
use crate::tls::{Identity, Trust};
use crate::{Outcome, count};

#[derive(clap::Args)]
pub struct Options {
    /// Number of events that a client reads; half of that over TLS
    #[arg(long, value_name = "N", default_value_t = 1_700_000, value_parser = count::<u64>)]
    events: u64,
    /// Number of rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count::<usize>)]
    rounds: usize,
    /// How long events arrive one at a time, for each client and round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count::<u64>)]
    seconds: u64,
    #[command(flatten)]
    out: Out,
}

#[derive(clap::Args)]
pub struct Once {
    what: String,
    name: String,
    /// `{}` is replaced with the number of events
    url: String,
    count: u64,
    #[command(flatten)]
    trust: Trust,
}

impl Once {
    fn url(&self, count: u64) -> String {
        self.url.replace("{}", &count.to_string())
    }
}

pub fn run(options: &Options) -> Outcome {
    let page = report::page(options);
    let servers = Servers::start()?;
    let fed = feed::measure(&servers, options)?;
    let alone = alone::measure(&servers, options)?;
    drop(servers);
    report::finish(page, &fed, &alone, options)
}

/// One measurement; prints its numbers.
pub fn once(once: &Once) -> Outcome {
    match once.what.as_str() {
        "feed" => feed::once(once),
        "alone" => alone::once(once),
        _ => alone::counted(once),
    }
}

/// The same server twice: over plain HTTP, and over TLS.
struct Servers {
    identity: Identity,
    plain: Server,
    tls: Server,
}

impl Servers {
    fn start() -> Outcome<Servers> {
        let identity = Identity::new()?;
        let mut arguments = vec!["client-server".to_owned()];
        let plain = Server::start(&arguments)?;
        arguments.extend(identity.for_server());
        let tls = Server::start(&arguments)?;
        Ok(Servers {
            identity,
            plain,
            tls,
        })
    }

    /// The arguments for the process of a client.
    fn client(&self, tls: bool, what: &str, name: &str, path: &str, count: u64) -> Vec<String> {
        let base = match tls {
            true => &self.tls.said,
            false => &self.plain.said,
        };
        let url = format!("{base}/{path}");
        let mut arguments = ["client-once", what, name, &url]
            .map(str::to_owned)
            .to_vec();
        arguments.push(count.to_string());
        arguments.extend(tls.then(|| self.identity.for_client()));
        arguments
    }
}

//! nginx and haproxy with time-outs of 3 s, between `everstream serve` and `everstream`.

use std::thread;
use std::time::Duration;

use super::follow::{Event, Follower, log_lines};
use super::programs::{self, HAPROXY, NGINX, free_port, wait};
use super::report::Report;
use super::server::{Served, without_run};
use super::{Context, scenario};
use crate::{apt, sh};

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    let log = context.folder.join("apt-proxies.log");
    apt::install(&[NGINX, HAPROXY], &log)?;
    for name in ["nginx", "haproxy"] {
        let title = format!("{name} cuts `serve` after 3 s of silence");
        scenario(reports, &title, |report| cuts(context, name, report));
        let title = format!("{name} leaves `serve --heartbeat 1s` alone");
        scenario(reports, &title, |report| heartbeats(context, name, report));
    }
    Ok(())
}

/// Each connection is cut after its events; some events are there only while it is away. Connections
/// as short as these don't reset the delay, so that it needs a limit.
fn cuts(context: &Context, name: &str, report: &mut Report) -> sh::Outcome {
    const ROUNDS: usize = 4;
    let log = format!("proxies-{name}");
    let mut server = Served::start(context, &format!("{log}-serve"), &["serve"])?;
    let (_proxy, url) = start(context, name, server.port)?;
    let options = [&*url, "--retry-max", "1s"];
    let mut follower = Follower::start(context, &log, &options)?;
    let mut sent = 0;
    let mut lines = |server: &mut Served, count: usize| -> sh::Outcome<usize> {
        for _ in 0..count {
            sent += 1;
            server.line(&format!("line {sent}"))?;
        }
        Ok(sent)
    };
    let lost = || {
        let log = log_lines(&context.folder.join(format!("{log}.log")));
        log.iter()
            .filter_map(|line| delay(line))
            .collect::<Vec<_>>()
    };
    for round in 1..=ROUNDS {
        server.wait_for_clients(round)?;
        let all = lines(&mut server, 2)?;
        follower.wait_for(all)?;
        wait("the proxy cuts", || Ok(lost().len() >= round))?;
        // It is away.
        lines(&mut server, 1)?;
    }
    let all = lines(&mut server, 1)?;
    follower.wait_for(all)?;
    let expected: Vec<Event> = (1..=all)
        .map(|n| Event::new("message", &n.to_string(), &format!("line {n}")))
        .collect();
    report.compare(&expected, &without_run(&follower.finish()?));
    let delays = lost();
    report.fact(format!("delays after the cuts: {delays:?} s"));
    report.require(
        delays.len() >= ROUNDS && delays.iter().all(|&delay| delay <= 1.0),
        "a delay grew beyond --retry-max",
    );
    Ok(())
}

/// The seconds of `retrying in 0.7 s`.
fn delay(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("retrying in ")?;
    rest.split(' ').next()?.parse().ok()
}

fn heartbeats(context: &Context, name: &str, report: &mut Report) -> sh::Outcome {
    let log = format!("proxies-{name}-heartbeat");
    let options = ["serve", "--heartbeat", "1s"];
    let mut server = Served::start(context, &format!("{log}-serve"), &options)?;
    let (_proxy, url) = start(context, name, server.port)?;
    let mut follower = Follower::start(context, &log, &[&url])?;
    server.line("line 1")?;
    follower.wait_for(1)?;
    // More than twice the time-out.
    thread::sleep(Duration::from_secs(7));
    server.line("line 2")?;
    follower.wait_for(2)?;
    let expected = [1, 2].map(|n| Event::new("message", &n.to_string(), &format!("line {n}")));
    report.compare(&expected, &without_run(&follower.finish()?));
    report.require(server.clients() == 1, "the connection was cut");
    Ok(())
}

/// A proxy before this port, and the URL of the stream behind it.
fn start(context: &Context, name: &str, server: u16) -> sh::Outcome<(sh::Guard, String)> {
    let folder = context.folder.join(format!("proxy-{name}"));
    sh::empty_folder(&folder)?;
    let port = free_port()?;
    let ports = [port, server].map(|port| port.to_string());
    let names = [("@PORT@", &*ports[0]), ("@SERVER@", &*ports[1])];
    let command = match name {
        "nginx" => programs::nginx("proxies", &folder, &names)?,
        _ => programs::haproxy(&folder, &names)?,
    };
    let proxy = programs::serve(name, &command, &folder, port)?;
    Ok((proxy, format!("http://127.0.0.1:{port}/")))
}

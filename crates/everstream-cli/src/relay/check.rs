//! `--check`: connects to both ends, and writes nothing.

use everstream::Http;
use everstream_relay::{Notice, Sink};

use super::RelayArgs;
use super::sink::NamedSink;
use crate::exit::Exit;
use crate::explain;
use crate::report;
use crate::waiting::{Detail, Waiting};

pub(super) async fn check(args: &RelayArgs, http: Http, mut sink: NamedSink) -> Exit {
    // Opening a log may create it. Asking for its end only reads.
    let tail = match sink.tail().await {
        Ok(tail) => tail,
        Err(error) => {
            report::error(&report::chain(&error), None);
            return Exit::Failed;
        }
    };
    let text = format!("everstream: the log ends with {tail}");
    report::raw(&match tail.pos {
        0 => format!("{text}: the relay creates it when it starts, if it doesn't exist"),
        _ => text,
    });
    if tail.pos > 0 && tail.id.is_none() && !args.no_ids {
        let pos = tail.pos;
        report::info(&Notice::NoLastId { pos }.to_string());
    }
    let waiting = Waiting::new(Detail::Outages);
    let builder = match super::builder(args, &waiting.watch(http)) {
        Ok(builder) => builder,
        Err(problem) => return problem.tell(),
    };
    let builder = match tail.id.filter(|_| !args.no_ids) {
        Some(id) => builder.last_event_id(id),
        None => builder,
    };
    // One attempt is enough.
    let builder = builder.error_strategy(everstream::error_strategy::always_fail());
    let started = match builder.build() {
        Ok(mut client) => waiting.watch_over(client.start()).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(()) => {
            report::raw("everstream: the feed is connected");
            Exit::Done
        }
        Err(error) => {
            let asked = explain::Asked::new(&args.request, &args.reconnect);
            explain::gave_up(&error, &asked);
            Exit::from(&error)
        }
    }
}

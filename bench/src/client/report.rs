//! The page of `client`.

use super::Options;
use super::alone::{self, Measured};
use super::feed::{CASES, Case};
use super::readers::{DRAINED, Kind, Reader, readers};
use super::takers::Total;
use crate::Outcome;
use crate::chart::{bars, short};
use crate::page::Page;
use crate::spread::Spread;
use crate::targets::Quantity;

pub(super) fn page(options: &Options) -> Page {
    let mut page = Page::new("client", "Clients over loopback, compared");
    page.paragraph(
        "`cargo xtask bench client` measures this and writes this page. The events are those of an LLM, \
         235 B each, over HTTP/1.1 from a server in another process. Every measurement is a process of its \
         own; what a program makes once (a runtime, a reqwest client) is made before, and 10 events are read. \
         The clients take turns. CPU is user and system time of all threads; asynchronous clients run on a \
         current-thread runtime. eventsource-client brings its own HTTP client, and reqwest-eventsource uses \
         reqwest 0.12. Two rows decode nothing: \"socket\" reads the connection and nothing else, and \
         \"drained\" reads the body with reqwest.",
    );
    page.effort(format!(
        "A cell is the median of {} rounds, with the lowest and the highest in brackets. A client reads {} \
         events in a round, over TLS {}; one at a time, {}.",
        options.rounds,
        short(options.events as f64),
        short(options.events.div_ceil(2) as f64),
        short((options.seconds * alone::PER_SECOND) as f64)
    ));
    page
}

pub(super) fn finish(
    mut page: Page,
    fed: &[Vec<Spread>],
    alone: &[Measured],
    options: &Options,
) -> Outcome {
    page.machine();
    page.chart("CPU of each client");
    let readers = readers::<Total>();
    for (case, used) in CASES.iter().zip(fed) {
        page.section(&case.title());
        page.paragraph(about(case));
        page.table(
            &["client", "CPU, ns for an event", "ratio to reqwest drained"],
            &rows(&readers, used),
        );
    }
    each_alone(&mut page, alone);
    page.targets(&measured(&readers, fed, alone));
    let chart = bars(
        "nanoseconds of CPU for an event (less is better), 64 in an HTTP chunk",
        &bars_of(&readers, &fed[0]),
    );
    page.finish(&options.out, &chart)
}

fn about(case: &Case) -> &'static str {
    match (case.tls, case.per_chunk) {
        (false, 1) => "The server still writes 64 events at once, each in a separate chunk.",
        (false, _) => "The server writes one chunk at a time.",
        (true, 1) => {
            "Each HTTP chunk holds one event and is a TLS record of its own; the server writes 64 records at \
             once."
        }
        (true, _) => {
            "Each HTTP chunk is a TLS record of its own, and the server writes a record at a time. TLS is 1.3 \
             by rustls with ring on both sides. All clients verify the server's certificate, which is made for \
             the run. Each of everstream's blocking clients reads the system's root certificates itself, which \
             is measured with it; the other clients have read theirs before."
        }
    }
}

/// The cheapest first.
fn sorted<T: Copy>(all: impl Iterator<Item = (T, Spread)>) -> Vec<(T, Spread)> {
    let mut all: Vec<_> = all.collect();
    all.sort_by(|a, b| a.1.median.total_cmp(&b.1.median));
    all
}

fn rows(readers: &[Reader<Total>], used: &[Spread]) -> Vec<Vec<String>> {
    let drained = readers.iter().zip(used);
    let drained = { drained }.find(|(reader, _)| reader.name == DRAINED);
    let drained = drained.map_or(f64::NAN, |(_, used)| used.median);
    let row = |(reader, used): (&Reader<Total>, Spread)| {
        let ratio = format!("{:.2}", used.median / drained);
        vec![reader.title(), used.to_string(), ratio]
    };
    let all = readers.iter().zip(used.iter().copied());
    sorted(all).into_iter().map(row).collect()
}

fn each_alone(page: &mut Page, alone: &[Measured]) {
    page.section("Each event alone");
    page.paragraph(&format!(
        "The server writes {} events a second, each in an HTTP chunk and a write of its own, so that the \
         client wakes up for every one of them. This is how an LLM's tokens arrive. The time of the write \
         precedes the token in the event's data. Latency is the time from \
         just before the server's write until the user has the event, by a clock that both processes share. \
         Instructions are counted by callgrind in runs of their own, without those of the kernel.",
        short(alone::PER_SECOND as f64)
    ));
    let row = |measured: &Measured| {
        let instructions = measured.instructions.as_ref();
        vec![
            measured.reader.title(),
            measured.cpu.to_string(),
            instructions.map_or("-".into(), Spread::to_string),
            measured.p50.to_string(),
            measured.p99.to_string(),
            measured.latest.to_string(),
        ]
    };
    let head = [
        "client",
        "CPU, µs for an event",
        "instructions for an event",
        "latency p50, µs",
        "p99, µs",
        "max, µs",
    ];
    page.table(&head, &alone.iter().map(row).collect::<Vec<_>>());
    if alone.iter().any(|measured| measured.instructions.is_none()) {
        page.paragraph("Instructions were not counted: valgrind isn't installed here.");
    }
}

fn measured(
    readers: &[Reader<Total>],
    fed: &[Vec<Spread>],
    alone: &[Measured],
) -> Vec<(Quantity, f64)> {
    let mut all = Vec::new();
    for (case, used) in CASES.iter().zip(fed) {
        let quantity = match (case.tls, case.per_chunk) {
            (false, 1) => Quantity::OneInAChunk,
            (false, _) => Quantity::ManyInAChunk,
            (true, 1) => Quantity::OneInARecord,
            (true, _) => continue,
        };
        let of = |kind| {
            let all = readers.iter().zip(used);
            all.filter(move |(reader, _)| reader.kind == kind)
                .map(|(_, used)| used.median)
        };
        let best_peer = of(Kind::Peer).fold(f64::INFINITY, f64::min);
        all.push((quantity, of(Kind::Ours).fold(0.0, f64::max) / best_peer));
    }
    let ours = alone.iter().filter(|it| it.reader.kind == Kind::Ours);
    let counted: Option<Vec<Spread>> = ours.map(|it| it.instructions).collect();
    all.extend(counted.map(|counted| {
        let most = counted.iter().map(|it| it.median).fold(0.0, f64::max);
        (Quantity::Alone, most)
    }));
    all
}

fn bars_of(readers: &[Reader<Total>], used: &[Spread]) -> Vec<(String, f64)> {
    let all = readers.iter().zip(used.iter().copied());
    let bar = |(reader, used): (&Reader<Total>, Spread)| (reader.name.to_owned(), used.median);
    sorted(all).into_iter().map(bar).collect()
}

//! The page of `idle`.

use super::{Measured, OF_IDLE, Options, WHO, title};
use crate::Outcome;
use crate::chart::{bars, short};
use crate::page::Page;
use crate::spread::Spread;
use crate::targets::{Quantity, Way};

pub(super) fn page(options: &Options, streams: usize, limit: usize) -> Page {
    let mut page = Page::new("idle", "Thousands of idle streams");
    let number = short(streams as f64);
    page.paragraph(&format!(
        "`cargo xtask bench idle` measures this and writes this page: {number} streams over loopback, in one \
         process on a current-thread runtime, from a server in another process. reqwest alone reads the \
         bodies of the same responses; it doesn't decode events and doesn't reconnect. On both sides all \
         streams share one set of settings or one reqwest client, and each stream has a task. Over TLS every \
         client verifies the server's certificate, which is made for the run."
    ));
    if streams < options.streams {
        page.paragraph(&format!(
            "Fewer than the requested {}, because the system allows {limit} open files.",
            options.streams
        ));
    }
    page.effort(format!(
        "A cell is the median of {} rounds, with the lowest and the highest in brackets. In each round the \
         rows take turns: {number} streams connect, wait for {} s and then receive an event a second for {} s.",
        options.rounds,
        options.rest + 1,
        options.seconds
    ));
    page
}

pub(super) fn finish(
    mut page: Page,
    followed: &[Measured],
    dropped: &[Spread],
    streams: usize,
    options: &Options,
) -> Outcome {
    let number = short(streams as f64);
    page.machine();
    page.chart("memory of an idle stream");

    page.section("Idle");
    page.paragraph(&format!(
        "Each stream has received one event, and waits. CPU to connect includes the first second of waiting, \
         CPU to wait is that of the {} s after it; then resident memory is measured.",
        options.rest
    ));
    let head = [
        "streams",
        "memory, KiB each",
        "CPU to connect, µs each",
        "CPU to wait, µs each a minute",
    ];
    page.table(&head, &rows(followed, |numbers| &numbers[..OF_IDLE]));

    page.section("An event a second");
    page.paragraph(
        "Each stream receives an event a second; the streams are spread evenly over the second. Lateness is \
         the time from just before the server's write until the user has the event, by a clock that both \
         processes share.",
    );
    let head = [
        "streams",
        "CPU, µs for an event",
        "late p50, ms",
        "p99, ms",
        "max, ms",
        "events a second each",
    ];
    page.table(&head, &rows(followed, |numbers| &numbers[OF_IDLE..]));

    page.section("All dropped at once");
    page.paragraph(&format!(
        "The server drops all connections at the same moment, and the clients reconnect with their default \
         settings. How long it takes until all {number} are connected again, and the most connections that \
         the server accepted within a second and within a tenth of a second."
    ));
    let head = [
        "streams",
        "all back after, s",
        "most in 1 s",
        "most in 0.1 s",
    ];
    let name = vec![format!("{}, {}", WHO[0], title(Way::Http1))];
    let cells = dropped.iter().map(Spread::to_string);
    page.table(&head, &[name.into_iter().chain(cells).collect()]);

    page.targets(&measured(followed));
    let memory: Vec<(String, f64)> = followed
        .iter()
        .map(|measured| (measured.title(), measured.numbers[0].median))
        .collect();
    let chart = bars(
        &format!("KiB of memory for each of {number} idle streams (less is better)"),
        &memory,
    );
    page.finish(&options.out, &chart)
}

impl Measured {
    fn title(&self) -> String {
        format!("{}, {}", self.who, title(self.way))
    }
}

fn rows(followed: &[Measured], some: fn(&[Spread]) -> &[Spread]) -> Vec<Vec<String>> {
    let row = |measured: &Measured| {
        let cells = some(&measured.numbers).iter().map(Spread::to_string);
        [measured.title()].into_iter().chain(cells).collect()
    };
    followed.iter().map(row).collect()
}

fn measured(followed: &[Measured]) -> Vec<(Quantity, f64)> {
    let mut all = Vec::new();
    let ours = followed.iter().filter(|it| it.who == WHO[0]);
    for ours in ours {
        let mut theirs = followed
            .iter()
            .filter(|it| it.way == ours.way && it.who != ours.who);
        let Some(theirs) = theirs.next() else {
            continue;
        };
        let ratio = |number: usize| ours.numbers[number].median / theirs.numbers[number].median;
        all.push((Quantity::Memory(ours.way), ours.numbers[0].median));
        all.push((Quantity::Connecting(ours.way), ratio(1)));
        all.push((Quantity::Ticks(ours.way), ratio(OF_IDLE)));
    }
    all
}

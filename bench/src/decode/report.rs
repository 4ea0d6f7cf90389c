//! The page of `decode`.

use super::corpora;
use super::counts::{self, Allocations};
use super::measure::{Cell, Timing};
use super::peers::{LENT, OWNED, PEERS, Peer};
use super::{CHUNKS, LENGTHS, Linear};
use crate::Outcome;
use crate::chart::{bars, short};
use crate::page::{Out, Page, size, version};
use crate::process::geometric_mean;

pub(super) fn page() -> Page {
    let mut page = Page::new("decode", "Decoders, compared");
    page.paragraph(
        "`cargo xtask bench decode` measures this and writes this page. All decoders run in one process and \
         take turns; their input is in memory. Figures are medians of the thread's CPU time. Each decoder \
         counts the events and adds up the lengths of their data. Lent events borrow from the chunk \
         (`Decoder::decode`); all others are owned. eventsource-client returns comments, and the other peers \
         drop them; everstream ignores them, except for \"comments, kept\". The floor only searches for CR and \
         LF, once. eventsource-client's parser is private, so it is measured through a connection in memory.",
    );
    page
}

pub(super) fn finish(
    mut page: Page,
    cells: &[Cell],
    linear: &[Linear],
    instructions: Option<Vec<Vec<Option<f64>>>>,
    allocations: &Allocations,
    out: &Out,
) -> Outcome {
    let peers: Vec<&Peer> = PEERS.iter().collect();
    page.machine();
    page.chart("million LLM events per second in chunks of 16 KiB");
    page.table(&["corpus", "an event is"], &corpora_rows());
    page.section("Nanoseconds for an event");
    page.paragraph(
        "Bold: a peer is faster than our owned events. *wrong*: the result differs from the standard's. \
         *slow*: a pass would take more than 3 s. *drops*: it can't return comments. Ratios are the time of \
         the fastest peer divided by ours: above 1, ours is faster. Spread: the largest interquartile range \
         of the decoders in the row, relative to the median.",
    );
    for chunk in CHUNKS {
        page.paragraph(&format!("In chunks of {}:", size(chunk)));
        let rows: Vec<Vec<String>> = of_chunk(cells, chunk)
            .map(|cell| row(&peers, cell))
            .collect();
        page.table(&head(&peers), &rows);
    }
    page.section("Geometric means of the ratios");
    page.paragraph("Without \"comments, kept\", which most peers don't support.");
    means(&mut page, &peers, cells, &CHUNKS);
    page.section("One event of any length");
    page.paragraph(
        "Nanoseconds per byte, for one event with one `data:` line. For a linear decoder all numbers in a row \
         are the same. *slow*: longer than 3 s.",
    );
    for part in linear {
        page.paragraph(&format!("In chunks of {}:", size(part.chunk)));
        page.table(&linear_head(), &linear_rows(part));
    }
    counted(&mut page, instructions, allocations);
    page.finish(out, &chart(&peers, cells))
}

pub(super) fn quick(peers: &[&Peer], cells: &[Cell]) {
    let mut page = Page::new("decode", "Decoders, quick run: nanoseconds for an event");
    let mut chunks: Vec<usize> = cells.iter().map(|cell| cell.chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    for chunk in &chunks {
        page.paragraph(&format!("In chunks of {}:", size(*chunk)));
        let rows: Vec<Vec<String>> = of_chunk(cells, *chunk)
            .map(|cell| row(peers, cell))
            .collect();
        page.table(&head(peers), &rows);
    }
    page.paragraph("Geometric means of the ratios, above 1 where ours is faster:");
    means(&mut page, peers, cells, &chunks);
    page.machine();
    page.print();
}

fn of_chunk(cells: &[Cell], chunk: usize) -> impl Iterator<Item = &Cell> {
    cells.iter().filter(move |cell| cell.chunk == chunk)
}

fn corpora_rows() -> Vec<Vec<String>> {
    let row = |corpus: corpora::Corpus| vec![corpus.name.into(), corpus.about.into()];
    corpora::all(1 << 10).into_iter().map(row).collect()
}

fn named(peer: &Peer) -> String {
    match peer.ours {
        true => peer.name.to_owned(),
        false => format!("{} {}", peer.name, version(peer.name)),
    }
}

fn head(peers: &[&Peer]) -> Vec<String> {
    let mut head = vec!["corpus".to_owned(), "floor".to_owned()];
    head.extend(peers.iter().map(|peer| named(peer)));
    head.extend(["ratio, lent", "ratio, owned", "spread"].map(str::to_owned));
    head
}

fn row(peers: &[&Peer], cell: &Cell) -> Vec<String> {
    let mut row = vec![cell.corpus.to_owned(), short(cell.floor)];
    let owned = of(peers, cell, OWNED).unwrap_or(f64::NAN);
    for (peer, timing) in peers.iter().zip(&cell.timings) {
        row.push(match timing {
            Timing::Nanos(nanos) if !peer.ours && *nanos < owned => {
                format!("**{}**", short(*nanos))
            }
            timing => shown(*timing),
        });
    }
    let best = best(peers, cell);
    for ours in [LENT, OWNED] {
        let ratio = best
            .zip(of(peers, cell, ours))
            .map(|(best, ours)| best / ours);
        row.push(ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
    }
    row.push(format!("{:.0} %", cell.spread * 100.0));
    row
}

fn shown(timing: Timing) -> String {
    match timing {
        Timing::Nanos(nanos) => short(nanos),
        Timing::Wrong => "*wrong*".into(),
        Timing::Slow => "*slow*".into(),
        Timing::Drops => "*drops*".into(),
    }
}

fn of(peers: &[&Peer], cell: &Cell, name: &str) -> Option<f64> {
    let index = peers.iter().position(|peer| peer.name == name)?;
    cell.timings[index].nanos()
}

/// The fastest peer.
fn best(peers: &[&Peer], cell: &Cell) -> Option<f64> {
    let others = peers
        .iter()
        .zip(&cell.timings)
        .filter(|(peer, _)| !peer.ours);
    others
        .filter_map(|(_, timing)| timing.nanos())
        .min_by(f64::total_cmp)
}

fn means(page: &mut Page, peers: &[&Peer], cells: &[Cell], chunks: &[usize]) {
    let mut head = vec!["".to_owned()];
    head.extend(chunks.iter().map(|chunk| size(*chunk)));
    head.push("all".into());
    let compared = |cell: &&Cell| !cell.comments;
    let mut rows = Vec::new();
    let others = peers.iter().filter(|peer| !peer.ours);
    let against = others.map(|peer| Some(peer.name));
    for against in [None].into_iter().chain(against) {
        for ours in [LENT, OWNED] {
            let ratio = |cell: &Cell| {
                let theirs = match against {
                    Some(name) => of(peers, cell, name),
                    None => best(peers, cell),
                };
                Some(theirs? / of(peers, cell, ours)?)
            };
            let mut row = vec![format!(
                "{} to {ours}",
                against.unwrap_or("the fastest peer of each cell")
            )];
            let mean = |cells: &mut dyn Iterator<Item = &Cell>| {
                format!("{:.2}", geometric_mean(cells.filter_map(ratio)))
            };
            for chunk in chunks {
                row.push(mean(&mut of_chunk(cells, *chunk).filter(compared)));
            }
            row.push(mean(&mut cells.iter().filter(compared)));
            rows.push(row);
        }
    }
    page.table(&head, &rows);
}

fn linear_head() -> Vec<String> {
    let mut head = vec!["decoder".to_owned()];
    head.extend(LENGTHS.map(size));
    head
}

fn linear_rows(part: &Linear) -> Vec<Vec<String>> {
    let row = |(index, peer): (usize, &Peer)| {
        let timings = part.timings.iter().map(|timings| shown(timings[index]));
        [named(peer)].into_iter().chain(timings).collect()
    };
    PEERS.iter().enumerate().map(row).collect()
}

fn counted(page: &mut Page, instructions: Option<Vec<Vec<Option<f64>>>>, counted: &Allocations) {
    let mut head = vec!["corpus".to_owned()];
    head.extend(PEERS.iter().map(named));
    let names = corpora::all(1 << 10)
        .into_iter()
        .map(|corpus| corpus.name.to_owned());
    let names: Vec<String> = names.collect();
    page.section("Instructions for an event");
    match instructions {
        Some(counted) => {
            page.paragraph(&format!(
                "Counted by callgrind, in chunks of {}. Bold: fewer than ours with owned events.",
                size(counts::CHUNK)
            ));
            let owned = PEERS
                .iter()
                .position(|peer| peer.name == OWNED)
                .unwrap_or(0);
            let cell = |peer: &Peer, number: Option<f64>, ours: Option<f64>| match number {
                Some(number) if !peer.ours && Some(number) < ours => {
                    format!("**{}**", short(number))
                }
                Some(number) => short(number),
                None => "-".into(),
            };
            let rows = names.iter().zip(&counted).map(|(name, numbers)| {
                let cells = PEERS.iter().zip(numbers);
                let cells = cells.map(|(peer, number)| cell(peer, *number, numbers[owned]));
                [name.clone()].into_iter().chain(cells).collect()
            });
            page.table(&head, &rows.collect::<Vec<_>>());
        }
        None => page.paragraph("Not counted: valgrind isn't installed here."),
    }
    page.section("Allocations for an event");
    page.paragraph(&format!(
        "Number of allocations (a buffer that grows counts again), and bytes in brackets; in chunks of {}.",
        size(counts::CHUNK)
    ));
    let rows = names
        .into_iter()
        .zip(&counted.per_event)
        .map(|(name, numbers)| {
            let cells = numbers
                .iter()
                .map(|(number, bytes)| format!("{} ({})", short(*number), short(bytes.round())));
            [name].into_iter().chain(cells).collect()
        });
    page.table(&head, &rows.collect::<Vec<_>>());
    page.paragraph(
        "Bytes on the heap that one kept event of 9 B (`data: x`) holds once everything else is dropped:",
    );
    let rows = PEERS
        .iter()
        .zip(&counted.held)
        .filter(|(peer, _)| peer.last.is_some());
    let rows = rows.map(|(peer, held)| vec![named(peer), short(held.0), short(held.1)]);
    page.table(
        &[
            "decoder",
            "from a chunk of 16 KiB of them",
            "after an event of 1 MiB",
        ],
        &rows.collect::<Vec<_>>(),
    );
}

fn chart(peers: &[&Peer], cells: &[Cell]) -> String {
    let cell = cells
        .iter()
        .find(|cell| cell.corpus == "LLM" && cell.chunk == 16 << 10);
    let rate = |nanos: f64| 1e3 / nanos;
    let mut rows: Vec<(String, f64)> = Vec::new();
    if let Some(cell) = cell {
        rows.push(("floor: ends of lines only".into(), rate(cell.floor)));
        for (peer, timing) in peers.iter().zip(&cell.timings) {
            let nanos = timing.nanos();
            rows.extend(nanos.map(|nanos| (peer.name.to_owned(), rate(nanos))));
        }
    }
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    bars(
        "million LLM events of 235 B per second, chunks of 16 KiB",
        &rows,
    )
}

//! Checks that the figures in the documentation are the measured ones.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use super::paused::COUNTS;
use super::scenarios::SCENARIOS;
use super::thousand::{
    CRASH_LOOPS, Seeds, first_reconnects, peak, reconnects_in_a_crash_loop, slices,
};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reliability/storms.md"
);
const BEGIN: &str = "<!-- measured: storms -->\n";
const END: &str = "<!-- end of measured -->\n";

fn range(counts: &[usize]) -> String {
    let (min, max) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    match min == max {
        true => min.to_string(),
        false => format!("{min}–{max}"),
    }
}

fn measured() -> String {
    let mut text = String::from(
        "\n| what the server does with each connection | first minute | each of minutes 6 to 10 |\n|---|---|---|\n",
    );
    for (scenario, counts) in SCENARIOS.iter().zip(&*COUNTS) {
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for counts in counts {
            first.push(counts[0]);
            later.extend_from_slice(&counts[5..]);
        }
        let (most, most_later) = ((scenario.most)(), scenario.most_later);
        let (first, later) = (range(&first), range(&later));
        let name = scenario.name;
        writeln!(
            text,
            "| {name} | {first} ({most}) | {later} ({most_later}) |"
        )
        .unwrap();
    }
    text += "\nA thousand clients lose the same server at the same moment. The time of each reconnect, in milliseconds after the loss;\neach # is four clients:\n\n```text\n";
    let times = first_reconnects(Seeds::Fixed, ":\n");
    for (at, count) in slices(&times, Duration::from_millis(50)) {
        let (at, marks) = (at.as_millis(), "#".repeat(count.div_ceil(4)));
        writeln!(text, "{at:>4}  {count:>3}  {marks}").unwrap();
    }
    text += "```\n\nThe same clients with a server that crashes repeatedly and restarts immediately. The most connections in minutes 6 to 10:\n\n| crashes every | in one second | in 100 ms |\n|---|---|---|\n";
    for crashes in &CRASH_LOOPS {
        let times = reconnects_in_a_crash_loop(Seeds::Fixed, crashes.every);
        let (every, second) = (
            crashes.every.as_secs(),
            peak(&times, Duration::from_secs(1)),
        );
        let tenth = peak(&times, Duration::from_millis(100));
        let (most, most_tenth) = (crashes.most_in_a_second, crashes.most_in_100_ms);
        writeln!(
            text,
            "| {every} s | {second} ({most}) | {tenth} ({most_tenth}) |"
        )
        .unwrap();
    }
    text += "\n";
    text
}

#[test]
fn documented_figures_match_the_measured_ones() {
    let docs = fs::read_to_string(FILE).unwrap();
    let (before, rest) = docs.split_once(BEGIN).expect("no marker for the figures");
    let (documented, after) = rest.split_once(END).expect("no end marker");
    let measured = measured();
    if documented != measured {
        if std::env::var_os("EVERSTREAM_BLESS").is_some() {
            fs::write(FILE, [before, BEGIN, &measured, END, after].concat()).unwrap();
            return;
        }
        panic!(
            "docs/reliability/storms.md differs from the measurement; EVERSTREAM_BLESS=1 updates it:\n{measured}"
        );
    }
}

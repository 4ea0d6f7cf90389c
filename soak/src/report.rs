//! The results of a run, and whether it passed.

use std::fmt;
use std::time::Duration;

use crate::messages::{ClientCounts, ServerCounts};
use crate::sample::Sample;
use crate::trend::{Allowance, MIN_SAMPLES, Trend};

/// 5 % and 4 MiB (in KiB).
const MEMORY: Allowance = Allowance {
    factor: 1.05,
    plus: 4.0 * 1024.0,
};
const FDS: Allowance = Allowance {
    factor: 1.05,
    plus: 16.0,
};
const THREADS: Allowance = Allowance {
    factor: 1.0,
    plus: 2.0,
};

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    pub(crate) blocking: u64,
    pub(crate) lasted: Duration,
    /// The number of the last event of each stream.
    pub(crate) last: u64,
    pub(crate) counts: ClientCounts,
    pub(crate) served: ServerCounts,
    pub(crate) samples: Vec<Sample>,
}

impl Report {
    pub(crate) fn points(&self, value: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
        let point = |sample: &Sample| (sample.at.as_secs_f64(), value(sample));
        self.samples.iter().map(point).collect()
    }

    fn trend(&self, value: impl Fn(&Sample) -> f64) -> Option<Trend> {
        Trend::of(&self.points(value))
    }

    /// Long enough to judge growth, and for every fault to occur.
    fn is_long(&self) -> bool {
        self.samples.len() >= MIN_SAMPLES
    }

    /// Why the run failed; empty if it passed.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let counts = &self.counts;
        for (number, what) in [
            (counts.lost, "lost"),
            (counts.duplicated, "duplicated"),
            (counts.out_of_order, "out of order"),
            (counts.corrupted, "corrupted"),
        ] {
            if number > 0 {
                failures.push(format!("{number} events {what}"));
            }
        }
        // A second way to count: the total of all streams.
        let expected = self.streams * self.last + counts.replayed;
        if failures.is_empty() && counts.events < expected {
            failures.push(format!(
                "{expected} events expected, {} received",
                counts.events
            ));
        }
        if counts.gave_up > 0 {
            failures.push(format!("{} iterations ended with an error", counts.gave_up));
        }
        if self.served.bad_requests > 0 {
            failures.push(format!("{} bad requests", self.served.bad_requests));
        }
        if self.last == 0 {
            failures.push("no event was sent".to_owned());
        }
        if self.is_long() {
            failures.extend(self.growth());
            for (fault, times) in &self.served.faults {
                if *times == 0 {
                    failures.push(format!("this never happened: {fault}"));
                }
            }
            if self.served.restarts == 0 {
                failures.push("no server restarted".to_owned());
            }
        }
        failures
    }

    fn growth(&self) -> Vec<String> {
        let trends = [
            ("RSS", self.trend(|it| it.rss as f64), MEMORY),
            ("heap", self.trend(|it| it.heap as f64), MEMORY),
            ("descriptors", self.trend(|it| it.fds as f64), FDS),
            ("threads", self.trend(|it| it.threads as f64), THREADS),
        ];
        let mut failures = Vec::new();
        for (name, trend, allowance) in trends {
            if !trend.is_some_and(|trend| trend.is_flat(allowance)) {
                failures.push(format!("{name} not flat"));
            }
        }
        failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counts, served) = (&self.counts, &self.served);
        let minutes = self.lasted.as_secs_f64() / 60.0;
        let asynchronous = self.streams - self.blocking;
        writeln!(f)?;
        line(
            f,
            "streams",
            format!(
                "{} ({asynchronous} async, {} blocking)",
                self.streams, self.blocking
            ),
        )?;
        line(f, "minutes", format!("{minutes:.1}"))?;
        line(f, "events per stream", self.last)?;
        line(
            f,
            "events received",
            format!("{} ({} MiB of data)", counts.events, counts.bytes >> 20),
        )?;
        line(f, "connections", served.connections)?;
        line(f, "requests", served.requests)?;
        line(f, "streams started", counts.starts)?;
        line(f, "clients created", counts.clients)?;

        writeln!(f, "\nfaults of the servers")?;
        for (fault, times) in &served.faults {
            line(f, fault, times)?;
        }
        line(f, "restart of a server", served.restarts)?;
        line(f, "restart of all servers at once", served.restarts_of_all)?;
        line(f, "silence of all servers at once", served.silences_of_all)?;
        line(f, "Handle::interrupt", counts.interrupts)?;
        line(f, "Handle::close", counts.closes)?;
        writeln!(f, "\nreported by the clients")?;
        for (fault, times) in &counts.faults {
            line(f, fault, times)?;
        }

        writeln!(f, "\nevents")?;
        line(f, "lost", counts.lost)?;
        line(f, "duplicated", counts.duplicated)?;
        line(f, "out of order", counts.out_of_order)?;
        line(f, "corrupted", counts.corrupted)?;
        line(f, "repeated by servers", counts.replayed)?;

        writeln!(f, "\nthe clients' process")?;
        writeln!(
            f,
            "  {:<22}{:>9}{:>9}{:>9}{:>9}{:>11}{:>10}{:>12}",
            "", "start", "warm", "end", "max", "median 2/4", " 4/4", "per hour"
        )?;
        row(f, "RSS, MiB", self.trend(|it| it.rss as f64 / 1024.0))?;
        row(
            f,
            "allocated, MiB",
            self.trend(|it| it.heap as f64 / 1024.0),
        )?;
        row(f, "descriptors", self.trend(|it| it.fds as f64))?;
        row(f, "threads", self.trend(|it| it.threads as f64))?;
        if !self.is_long() {
            writeln!(
                f,
                "  not judged: {} samples, {MIN_SAMPLES} are needed",
                self.samples.len()
            )?;
        }

        for problem in &counts.problems {
            writeln!(f, "\nproblem: {problem}")?;
        }
        let failures = self.failures();
        if failures.is_empty() {
            return writeln!(f, "\npassed (seed {})", self.seed);
        }
        writeln!(f, "\nFAILED (seed {}): {}", self.seed, failures.join("; "))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<34}{value}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, trend: Option<Trend>) -> fmt::Result {
    let Some(trend) = trend else { return Ok(()) };
    writeln!(
        f,
        "  {name:<22}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{:>11.1}{:>10.1}{:>+12.2}",
        trend.first,
        trend.warm,
        trend.last,
        trend.max,
        trend.second_quarter,
        trend.last_quarter,
        trend.per_hour
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(samples: u64, rss: impl Fn(u64) -> u64, fds: impl Fn(u64) -> u64) -> Report {
        let sample = |at| Sample {
            at: Duration::from_secs(at),
            rss: rss(at),
            heap: 70_000,
            fds: fds(at),
            threads: 10,
            reconnects_per_second: 1.0,
        };
        let counts = ClientCounts {
            events: 40,
            ..ClientCounts::default()
        };
        let served = ServerCounts {
            restarts: 1,
            ..ServerCounts::default()
        };
        Report {
            seed: 1,
            streams: 4,
            blocking: 1,
            lasted: Duration::from_secs(samples),
            last: 10,
            counts,
            served,
            samples: (0..samples).map(sample).collect(),
        }
    }

    #[test]
    fn a_run_without_problems_passes() {
        assert_eq!(report(400, |_| 90_000, |_| 2_000).failures(), [""; 0]);
    }

    #[test]
    fn growth_of_memory_and_of_descriptors_are_separate_failures() {
        let growing = report(400, |at| 90_000 + at * 100, |at| 2_000 + at);
        assert_eq!(growing.failures(), ["RSS not flat", "descriptors not flat"]);
    }

    #[test]
    fn events_that_never_arrive_fail_the_run_even_without_a_gap() {
        let mut report = report(400, |_| 90_000, |_| 2_000);
        report.counts.events = 39;
        assert_eq!(report.failures(), ["40 events expected, 39 received"]);
    }

    #[test]
    fn a_fault_that_never_happened_fails_a_long_run_but_not_a_short_one() {
        let mut short = report(10, |_| 90_000, |_| 2_000);
        short.served.faults.insert("silence".to_owned(), 0);
        assert!(short.failures().is_empty());
        let mut long = report(400, |_| 90_000, |_| 2_000);
        long.served.faults.insert("silence".to_owned(), 0);
        assert_eq!(long.failures(), ["this never happened: silence"]);
    }
}

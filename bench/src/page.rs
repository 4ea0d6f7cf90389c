//! The pages in `docs/bench`: tables, and what they were measured on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::targets::{self, Quantity, Verdict};
use crate::{Outcome, process};

#[derive(clap::Args)]
pub struct Out {
    /// The folder of the page and its chart; without it they are only printed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub struct Page {
    suite: &'static str,
    text: String,
    load: String,
    effort: String,
    missed: Vec<&'static str>,
}

impl Page {
    /// Create it before measuring: it records the machine's load.
    pub fn new(suite: &'static str, title: &str) -> Page {
        let text = format!("# {title}\n\n");
        let load = process::load();
        let effort = String::new();
        Page {
            suite,
            text,
            load,
            effort,
            missed: Vec::new(),
        }
    }

    /// The number and the size of the runs that were measured.
    pub fn effort(&mut self, text: impl Into<String>) {
        self.effort = text.into();
    }

    pub fn paragraph(&mut self, text: &str) {
        self.text.push_str(&format!("{text}\n\n"));
    }

    pub fn section(&mut self, title: &str) {
        self.text.push_str(&format!("## {title}\n\n"));
    }

    pub fn table<C: AsRef<str>>(&mut self, head: &[C], rows: &[Vec<String>]) {
        let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        self.text
            .push_str(&row(head.iter().map(AsRef::as_ref).collect()));
        self.text
            .push_str(&format!("|{}\n", "---|".repeat(head.len())));
        for cells in rows {
            self.text
                .push_str(&row(cells.iter().map(String::as_str).collect()));
        }
        self.text.push('\n');
    }

    /// The suite's targets, and what was measured.
    pub fn targets(&mut self, measured: &[(Quantity, f64)]) {
        self.section("Targets");
        self.paragraph(
            "Medians are compared. Where both of our clients are measured, the worse figure counts. The \
             suite fails if a target is missed.",
        );
        let verdicts = targets::judge(self.suite, measured);
        let missed = verdicts.iter().filter(|it| !it.is_reached());
        self.missed = missed.map(|it| it.target.about).collect();
        let row = |verdict: &Verdict| {
            let about = verdict.target.about.to_owned();
            let state = verdict.state().to_owned();
            vec![about, verdict.limit(), verdict.measured(), state]
        };
        let rows: Vec<_> = verdicts.iter().map(row).collect();
        self.table(&["target", "limit", "measured", ""], &rows);
    }

    pub fn chart(&mut self, about: &str) {
        self.paragraph(&format!("![{about}]({}.svg)", self.suite));
    }

    /// The runs, the machine and its load.
    pub fn machine(&mut self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let mut text = format!(
            "{system} {processor}, {cores} cores; the load average was {} at the start and {} at the end, \
             including the benchmark itself.",
            self.load,
            process::load()
        );
        text.push_str(" Compare the ratios: absolute values are this machine's.");
        self.paragraph(format!("{} {text}", self.effort).trim_start());
    }

    pub fn print(&self) {
        println!("{}", self.text.trim_end());
    }

    /// Prints the page, and writes it and its chart if there is a folder. An error if a target was missed.
    pub fn finish(self, out: &Out, chart: &str) -> Outcome {
        self.print();
        let text = format!("{}\n", self.text.trim_end());
        if let Some(folder) = &out.out {
            fs::create_dir_all(folder)?;
            let file = |ending| Path::new(folder).join(format!("{}.{ending}", self.suite));
            fs::write(file("md"), text)?;
            fs::write(file("svg"), chart)?;
        }
        if self.missed.is_empty() {
            return Ok(());
        }
        Err(format!("targets missed: {}", self.missed.join("; ")).into())
    }
}

/// The version of a package in this program; the newest, if there are two.
pub fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = "";
    while let Some(line) = lines.next() {
        if line == name {
            found = lines.next().unwrap_or_default();
        }
    }
    found.trim_start_matches("version = ").trim_matches('"')
}

/// A number of bytes.
pub fn size(bytes: usize) -> String {
    match bytes {
        it if it % (1 << 20) == 0 => format!("{} MiB", it >> 20),
        it if it % (1 << 10) == 0 => format!("{} KiB", it >> 10),
        it => format!("{it} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_are_built() {
        assert_eq!(version("everstream-bench"), env!("CARGO_PKG_VERSION"));
        assert!(version("reqwest").starts_with("0.13."));
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(1_460), "1460 B");
        assert_eq!(size(1 << 18), "256 KiB");
    }
}

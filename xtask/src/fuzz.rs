//! `cargo xtask fuzz`: libFuzzer over the targets of `fuzz/`, on a nightly toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{sh, tool};

/// The same fuzzer on every machine; raised by hand.
const VERSION: &str = "0.13.2";

const SECONDS: u64 = 60;

/// What libFuzzer is told besides the time. An input that takes a minute is one that hangs.
const OPTIONS: &[&str] = &[
    "-max_len=4096",
    "-timeout=60",
    "-report_slow_units=60",
    "-print_final_stats=1",
];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let known = targets()?;
    let Request { targets, seconds } = Request::parse(args, &known)?;
    sh::capture(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])).map_err(
        |error| {
            format!(
                "fuzzing needs a nightly compiler: `rustup toolchain install nightly` ({error})"
            )
        },
    )?;
    let tool = tool::find_or_install("cargo-fuzz", VERSION)?;
    let work = sh::target()?.join("fuzz");

    let cargo_fuzz = |subcommand: &str| {
        let mut command = Command::new("rustup");
        command
            .args(["run", "nightly"])
            .arg(&tool)
            .arg(subcommand)
            .arg("--fuzz-dir")
            .arg(sh::root().join("fuzz/libfuzzer"))
            .arg("--target-dir")
            .arg(work.join("build"))
            // Or it would be the cargo that runs us.
            .env_remove("CARGO")
            .current_dir(sh::root());
        command
    };
    sh::run(&mut cargo_fuzz("build"))?;

    let mut runs = Vec::new();
    for target in &targets {
        runs.push(Run::of(target, seconds, &work, cargo_fuzz("run"))?);
    }
    println!();
    for run in &runs {
        println!("{}", run.summary());
    }
    if runs.iter().all(|run| run.failure.is_none()) {
        return Ok(());
    }
    for run in &runs {
        run.explain();
    }
    Err(sh::Reported.into())
}

/// The targets there are, by the files of their programs.
fn targets() -> sh::Outcome<Vec<String>> {
    let mut names: Vec<String> = files(&sh::root().join("fuzz/libfuzzer/fuzz_targets"))?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn files(folder: &Path) -> sh::Outcome<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        files.insert(entry?.path());
    }
    Ok(files)
}

/// What the user asked for.
#[derive(Debug, PartialEq)]
struct Request {
    targets: Vec<String>,
    /// For each.
    seconds: u64,
}

impl Request {
    fn parse(args: &[String], known: &[String]) -> Result<Self, sh::UsageError> {
        let (mut targets, mut seconds) = (Vec::new(), SECONDS);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--seconds" {
                seconds = args
                    .next()
                    .and_then(|value| value.parse().ok())
                    // libFuzzer takes 0 for "without end".
                    .filter(|seconds| *seconds > 0)
                    .ok_or_else(|| sh::UsageError("--seconds needs a whole number above 0".into()))?;
            } else if known.contains(arg) {
                targets.push(arg.clone());
            } else {
                let known = known.join(", ");
                let problem = format!("there is no fuzz target `{arg}`; there are {known}");
                return Err(sh::UsageError(problem));
            }
        }
        if targets.is_empty() {
            targets = known.to_vec();
        }
        Ok(Request { targets, seconds })
    }
}

/// One target's.
struct Run {
    target: String,
    executions: Option<u64>,
    per_second: Option<u64>,
    corpus: usize,
    crashes: Vec<PathBuf>,
    failure: Option<String>,
}

impl Run {
    fn of(target: &str, seconds: u64, work: &Path, mut command: Command) -> sh::Outcome<Self> {
        // What is found goes to the first folder; what is committed is only read.
        let corpus = work.join("corpus").join(target);
        let committed = sh::root().join("fuzz/corpus").join(target);
        let crashes = sh::root().join("fuzz/crashes").join(target);
        for folder in [&corpus, &committed, &crashes] {
            fs::create_dir_all(folder)?;
        }
        let before = files(&crashes)?;
        let log = work.join(format!("{target}.log"));
        command
            .arg(target)
            .args([&corpus, &committed])
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(OPTIONS)
            // The separator at its end makes it a folder.
            .arg(format!("-artifact_prefix={}/", crashes.display()));
        let failure = sh::logged(&mut command, &log).err();
        let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok(Run {
            target: target.to_owned(),
            executions: stat(&output, "number_of_executed_units"),
            per_second: stat(&output, "average_exec_per_sec"),
            corpus: files(&corpus)?.len(),
            crashes: files(&crashes)?.difference(&before).cloned().collect(),
            failure: failure.map(|error| error.to_string()),
        })
    }

    fn summary(&self) -> String {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        format!(
            "{}: {} executions, {}/s, corpus of {}, {} new crashes",
            self.target,
            number(self.executions),
            number(self.per_second),
            self.corpus,
            self.crashes.len()
        )
    }

    /// What went wrong, and how to see it again.
    fn explain(&self) {
        let Some(failure) = &self.failure else { return };
        eprintln!("\n{}: {failure}", self.target);
        for crash in &self.crashes {
            let path = crash.strip_prefix(sh::root()).unwrap_or(crash);
            eprintln!("  {} breaks it", path.display());
        }
        if !self.crashes.is_empty() {
            eprintln!("  repeat it with: cargo test -p everstream-fuzz --test replay");
        }
    }
}

/// One of the numbers that libFuzzer prints at its end.
fn stat(output: &str, name: &str) -> Option<u64> {
    let line = |line: &str| {
        let (found, value) = line.strip_prefix("stat::")?.split_once(':')?;
        (found == name).then(|| value.trim().parse().ok())?
    };
    output.lines().rev().find_map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Request, String> {
        let known = ["a", "b"].map(String::from);
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        Request::parse(&args, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn all_targets_run_for_a_minute_unless_others_are_named() {
        let request = |targets: &[&str], seconds| Request {
            targets: targets.iter().map(|name| name.to_string()).collect(),
            seconds,
        };
        assert_eq!(parse(&[]), Ok(request(&["a", "b"], 60)));
        assert_eq!(parse(&["b", "--seconds", "5"]), Ok(request(&["b"], 5)));
        for wrong in [
            &["c"][..],
            &["--seconds"],
            &["--seconds", "0"],
            &["--seconds", "x"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_numbers_at_the_end_are_found() {
        let output = "Done 7 runs in 1 second(s)\nstat::number_of_executed_units: 7\n\
                      stat::average_exec_per_sec:     3\n";
        assert_eq!(stat(output, "number_of_executed_units"), Some(7));
        assert_eq!(stat(output, "average_exec_per_sec"), Some(3));
        assert_eq!(stat(output, "peak_rss_mb"), None);
    }
}

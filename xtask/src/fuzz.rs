//! `cargo xtask fuzz`: libFuzzer over the targets of `fuzz/`, on a nightly toolchain.

use std::fs;
use std::process::Command;

use crate::{sh, tool};

/// The same fuzzer on every machine; raised by hand.
const VERSION: &str = "0.13.2";

const SECONDS: u64 = 60;

/// libFuzzer's options apart from the time. An input that takes a minute counts as a hang.
const OPTIONS: &[&str] = &[
    "-max_len=4096",
    "-timeout=60",
    "-report_slow_units=60",
    "-print_final_stats=1",
];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let (targets, seconds) = parse(args, &targets()?)?;
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
            // cargo-fuzz would run the cargo that runs this program.
            .env_remove("CARGO")
            .current_dir(sh::root());
        command
    };
    sh::run(&mut cargo_fuzz("build"))?;

    let mut failures = Vec::new();
    for target in &targets {
        // libFuzzer writes new inputs to the first folder, and only reads the committed ones.
        let corpus = work.join("corpus").join(target);
        let committed = sh::root().join("fuzz/corpus").join(target);
        let crashes = sh::root().join("fuzz/crashes").join(target);
        for folder in [&corpus, &committed, &crashes] {
            fs::create_dir_all(folder)?;
        }
        let seeds = sh::root().join("fuzz/seeds").join(target);
        let mut run = cargo_fuzz("run");
        run.arg(target)
            .args([&corpus, &committed])
            .args(seeds.exists().then_some(seeds))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(OPTIONS)
            // The slash makes it a folder.
            .arg(format!("-artifact_prefix={}/", crashes.display()));
        if let Err(error) = sh::logged(&mut run, &work.join(format!("{target}.log"))) {
            failures.push(error.to_string());
        }
    }
    if failures.is_empty() {
        println!("fuzz: ok");
        return Ok(());
    }
    let failures = failures.join("\n  ");
    Err(format!(
        "fuzzing found problems:\n  {failures}\nThe inputs are in fuzz/crashes; repeat them with: \
         cargo test -p everstream-fuzz --test replay"
    )
    .into())
}

/// All targets, by the files of their programs.
fn targets() -> sh::Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(sh::root().join("fuzz/libfuzzer/fuzz_targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The targets to run, and the seconds for each.
fn parse(args: &[String], known: &[String]) -> Result<(Vec<String>, u64), sh::UsageError> {
    let (mut targets, mut seconds) = (Vec::new(), SECONDS);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args.next().and_then(|value| value.parse().ok());
            // For libFuzzer, 0 means no limit.
            seconds = value
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
    Ok((targets, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_run_for_a_minute_unless_others_are_named() {
        let owned =
            |args: &[&str]| -> Vec<String> { args.iter().map(|it| it.to_string()).collect() };
        let parse = |args: &[&str]| parse(&owned(args), &owned(&["a", "b"])).ok();
        assert_eq!(parse(&[]), Some((owned(&["a", "b"]), 60)));
        assert_eq!(parse(&["b", "--seconds", "5"]), Some((owned(&["b"]), 5)));
        for wrong in [
            &["c"][..],
            &["--seconds"],
            &["--seconds", "0"],
            &["--seconds", "x"],
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}

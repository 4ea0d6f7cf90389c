//! `cargo xtask bench SUITE`: measures, and writes the pages in `docs/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{apt, chart, python, sh, targets};

const USAGE: &str = "\
usage: cargo xtask bench SUITE [ARGUMENT...]

  decode [--quick]  decoders on chunks in memory; --quick takes less than a minute
  client            CPU, instructions and latency of clients over loopback
  idle              thousands of idle streams
  relay [--events N] [--rounds N]
                    the relay into PostgreSQL, Redis and NATS, next to programs that write blindly
  python [--events N] [--rounds N]
                    the Python clients
  targets [FOLDER]  whether the pages of `client` and `idle` reach every target; the folder of the pages is
                    docs/bench unless it is named
  check             formatting, clippy and the tests of the benchmark itself

  An ARGUMENT goes to the suite; `--help` lists what it takes.
";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let (suite, rest) = args.split_first().ok_or_else(usage)?;
    match suite.as_str() {
        "python" => measure_python(rest),
        "relay" => measure_relay(rest),
        "decode" | "client" | "idle" => measure(suite, rest),
        "targets" => check_targets(rest),
        "check" => check(rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(usage().into()),
    }
}

fn usage() -> sh::UsageError {
    sh::UsageError(format!("bench takes what to measure\n\n{USAGE}"))
}

/// Cargo in the benchmark's own workspace.
fn cargo(command: &str) -> sh::Outcome<Command> {
    let mut cargo = sh::cargo([command]);
    cargo
        .current_dir(sh::root().join("bench"))
        .env("CARGO_TARGET_DIR", sh::target()?);
    Ok(cargo)
}

fn pages() -> PathBuf {
    sh::root().join("docs").join("bench")
}

fn measure(suite: &str, args: &[String]) -> sh::Outcome {
    sh::run(cargo("build")?.args(["--profile", "dist", "--locked"]))?;
    let program = sh::target()?.join("dist").join("everstream-bench");
    let elsewhere = args.iter().any(|arg| arg.starts_with("--out"));
    let mut command = Command::new(program);
    command.arg(suite);
    if !elsewhere {
        command.arg("--out").arg(pages());
    }
    sh::run(command.args(args))
}

/// Of this workspace: nothing is compared with it that others don't build.
fn measure_relay(args: &[String]) -> sh::Outcome {
    apt::engines(&sh::target()?.join("apt.log"))?;
    let package = ["--package", "everstream-relay-bench"];
    sh::run(sh::cargo(["build", "--profile", "dist", "--locked"]).args(package))?;
    let program = sh::target()?.join("dist").join("everstream-relay-bench");
    let mut command = Command::new(program);
    command.arg("all");
    if !args.iter().any(|arg| arg.starts_with("--out")) {
        command.arg("--out").arg(pages());
    }
    sh::run(command.args(args))
}

fn measure_python(args: &[String]) -> sh::Outcome {
    let mut command = python::benchmark(args)?;
    if args.iter().any(|arg| arg == "-h" || arg == "--help") {
        return sh::run(&mut command);
    }
    sh::announce(&command);
    let rows = sh::capture(command.stderr(Stdio::inherit()))?;
    let rows: Vec<(String, f64)> = serde_json::from_str(&rows)?;
    let chart = chart::bars("thousand events per second of CPU", &rows);
    Ok(fs::write(pages().join("python.svg"), chart)?)
}

fn check_targets(args: &[String]) -> sh::Outcome {
    let folder = match args {
        [] => pages(),
        [folder] => Path::new(folder).to_owned(),
        _ => return Err(usage().into()),
    };
    let mut missed = false;
    for suite in targets::SUITES {
        let path = folder.join(suite).with_extension("md");
        let page = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for verdict in targets::judge_page(suite, &page) {
            let (state, about) = (verdict.state(), verdict.target.about);
            let (measured, limit) = (verdict.measured(), verdict.limit());
            println!("{state:<12}  {suite}, {about}: {measured} ({limit})");
            missed |= !verdict.is_reached();
        }
    }
    match missed {
        true => Err(sh::Reported.into()),
        false => Ok(()),
    }
}

fn check(args: &[String]) -> sh::Outcome {
    sh::no_arguments("bench check", args)?;
    sh::run(cargo("fmt")?.arg("--check"))?;
    sh::run(cargo("clippy")?.args(["--locked", "--all-targets", "--", "-D", "warnings"]))?;
    sh::run(cargo("test")?.args(["--locked", "--quiet"]))
}

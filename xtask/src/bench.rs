//! `cargo xtask bench SUITE`: measures, and writes the pages in `docs/bench`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{apt, chart, python, sh};

const USAGE: &str = "\
usage: cargo xtask bench SUITE [ARGUMENT...]

  decode [--quick]  decoders on chunks in memory; --quick takes less than a minute
  client            CPU, instructions and latency of clients over loopback; fails if a target is missed
  idle              thousands of idle streams; the same
  relay [--events N] [--rounds N]
                    the relay into PostgreSQL, Redis and NATS, next to programs that don't check what they write
  python [--events N] [--rounds N]
                    the Python clients
  check             formatting, clippy and the tests of the benchmark itself

  Arguments are passed to the suite; `--help` lists them.
";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let (suite, rest) = args.split_first().ok_or_else(usage)?;
    match suite.as_str() {
        "python" => measure_python(rest),
        "relay" => measure_relay(rest),
        "decode" | "client" | "idle" => measure(suite, rest),
        "check" => check(rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(usage().into()),
    }
}

fn usage() -> sh::UsageError {
    sh::UsageError(format!("which suite?\n\n{USAGE}"))
}

/// Cargo in the workspace of the benchmark.
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
    sh::run(cargo("build")?.args(["--profile", "optimized", "--locked"]))?;
    let program = sh::target()?.join("optimized").join("everstream-bench");
    let elsewhere = args.iter().any(|arg| arg.starts_with("--out"));
    let mut command = Command::new(program);
    command.arg(suite);
    if !elsewhere {
        command.arg("--out").arg(pages());
    }
    sh::run(command.args(args))
}

/// This benchmark is part of the main workspace, because its peers are dependencies of the relay anyway.
fn measure_relay(args: &[String]) -> sh::Outcome {
    apt::engines(&sh::target()?.join("apt.log"))?;
    let package = ["--package", "everstream-relay-bench"];
    sh::run(sh::cargo(["build", "--profile", "optimized", "--locked"]).args(package))?;
    let program = sh::target()?
        .join("optimized")
        .join("everstream-relay-bench");
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

fn check(args: &[String]) -> sh::Outcome {
    sh::no_arguments("bench check", args)?;
    sh::run(cargo("fmt")?.arg("--check"))?;
    sh::run(cargo("clippy")?.args(["--locked", "--all-targets", "--", "-D", "warnings"]))?;
    sh::run(cargo("test")?.args(["--locked", "--quiet"]))
}

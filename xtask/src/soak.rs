//! `cargo xtask soak`: follows thousands of streams through every kind of failure.

use std::process::Command;

use crate::{apt, sh};

/// `--relay`, or the arguments of `everstream-soak`.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    if args == ["--relay"] {
        return relay_kills();
    }
    let package = ["build", "--release", "--package", "everstream-soak"];
    sh::run(&mut sh::cargo(package))?;
    let mut soak = Command::new(sh::target()?.join("release").join("everstream-soak"));
    soak.args(args);
    if !args.iter().any(|arg| arg.starts_with("--svg")) {
        soak.arg("--svg").arg(sh::target()?.join("soak.svg"));
    }
    sh::run(&mut soak)
}

/// Runs the relay with each engine, under load: kills, failovers, full logs and emptied ones.
fn relay_kills() -> sh::Outcome {
    apt::engines(&sh::target()?.join("apt.log"))?;
    sh::run(&mut sh::cargo([
        "test",
        "--package",
        "everstream-cli",
        "--features",
        "relay-postgres,relay-redis,relay-nats",
        "--test",
        "all",
        "soak",
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]))
}

//! `cargo xtask soak`: thousands of streams through every kind of break, each event accounted for.

use std::process::Command;

use crate::sh;

/// The arguments are those of `everstream-soak`, which checks and lists them.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let package = ["build", "--release", "--package", "everstream-soak"];
    sh::run(&mut sh::cargo(package))?;
    let mut soak = Command::new(sh::target()?.join("release").join("everstream-soak"));
    soak.args(args);
    if !args.iter().any(|arg| arg.starts_with("--svg")) {
        soak.arg("--svg").arg(sh::target()?.join("soak.svg"));
    }
    sh::run(&mut soak)
}

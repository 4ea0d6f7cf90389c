//! `cargo xtask features` and `minimal-versions`: check the published crates with cargo-hack and
//! cargo-minimal-versions.

use std::process::Command;

use crate::{sh, tool};

/// Both versions are raised by hand.
const HACK: &str = "0.6.46";
const MINIMAL_VERSIONS: &str = "0.1.38";

/// The features that change the behavior of `everstream` instead of adding to it.
const TESTED: &str = "http,rustls-no-provider";

/// Parts of the names of the tests that run with each of these features: unit tests and the tests of
/// features. The other tests need more features.
const TESTS: &[&str] = &[
    "tests::",
    "features",
    "in_every_build",
    "http_follows_a_url",
    "without_a_provider",
];

pub(crate) fn features(args: &[String]) -> sh::Outcome {
    sh::no_arguments("features", args)?;
    let mut clippy = published("clippy")?;
    // Features named `__...` aren't meant to be used alone. `lint` checks all features together.
    clippy.args(["--each-feature", "--exclude-features", "__tls"]);
    clippy.args(["--exclude-all-features", "--", "-D", "warnings"]);
    sh::run(&mut clippy)?;
    let mut test = hack()?;
    test.args(["test", "--package", "everstream", "--lib", "--tests"]);
    test.args(["--each-feature", "--include-features", TESTED]);
    test.args(["--exclude-no-default-features", "--"]);
    sh::run(test.args(TESTS))?;
    // The command without `jq` and `top`. The first step checks it with each of them.
    let command = [
        "test",
        "--package",
        "everstream-cli",
        "--no-default-features",
    ];
    sh::run(&mut sh::cargo(command))?;
    println!("features: ok");
    Ok(())
}

pub(crate) fn minimal_versions(args: &[String]) -> sh::Outcome {
    sh::no_arguments("minimal-versions", args)?;
    let tool = tool::find_or_install("cargo-minimal-versions", MINIMAL_VERSIONS)?;
    // It runs `cargo hack`, which cargo finds in the path.
    hack()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tool::folder()?).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders)?;
    for features in ["--all-features", "--no-default-features"] {
        // Only direct dependencies: the oldest releases of indirect ones may not build today.
        let mut check = Command::new(&tool);
        check.args(["minimal-versions", "check", "--direct"]);
        check.args(["--workspace", "--ignore-private", features]);
        check.env("CARGO_TARGET_DIR", sh::target()?.join("minimal-versions"));
        sh::run(check.env("PATH", &path).current_dir(sh::root()))?;
    }
    println!("minimal-versions: ok");
    Ok(())
}

/// `cargo hack`, without a subcommand.
pub(crate) fn hack() -> sh::Outcome<Command> {
    let mut command = Command::new(tool::find_or_install("cargo-hack", HACK)?);
    command.arg("hack").current_dir(sh::root());
    Ok(command)
}

/// A subcommand of cargo for all published crates.
fn published(subcommand: &str) -> sh::Outcome<Command> {
    let mut command = hack()?;
    command.args([subcommand, "--workspace", "--ignore-private", "--locked"]);
    Ok(command)
}

//! `cargo xtask deny`: licences, duplicate versions and sources of the dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sh;

/// The same verdict on every machine; raised by hand.
const VERSION: &str = "0.20.2";

/// Fetching the advisories takes seconds where it works at all.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("deny", args)?;
    let tool = cargo_deny()?;
    let deny = |args: &[&str]| {
        let mut command = Command::new(&tool);
        command.args(args).current_dir(sh::root());
        command
    };

    sh::run(&mut deny(&["check", "licenses", "bans", "sources"]))?;

    // The advisories lie in a git repository, which a closed network may not reach;
    // that is no fault of the tree.
    let mut fetch = sh::Guard::start_with(
        "cargo-deny",
        &deny(&["fetch", "db"]),
        Stdio::null(),
        Stdio::null(),
    )?;
    if fetch.wait(FETCH_LIMIT).is_ok_and(|status| status.success()) {
        sh::run(&mut deny(&["check", "--disable-fetch", "advisories"]))
    } else {
        println!("advisories NOT CHECKED: their database cannot be fetched from here");
        Ok(())
    }
}

/// Finds cargo-deny, or builds it.
fn cargo_deny() -> sh::Outcome<PathBuf> {
    let tools = sh::target()?.join("tools");
    let own = tools.join("bin").join("cargo-deny");
    for candidate in [own.as_path(), Path::new("cargo-deny")] {
        let version = sh::capture(Command::new(candidate).arg("--version"));
        if version.is_ok_and(|text| text.split_whitespace().last() == Some(VERSION)) {
            return Ok(candidate.to_path_buf());
        }
    }

    // Unoptimised, it is built in half the time and checks this tree as fast as anyone
    // can notice.
    let build = tools.join("build");
    let mut install = sh::cargo(["install", "cargo-deny", "--locked", "--debug"]);
    install
        .args(["--version", &format!("={VERSION}")])
        .args(["--config", "profile.dev.debug=false"])
        .arg("--root")
        .arg(&tools)
        .arg("--target-dir")
        .arg(&build);
    sh::run(&mut install)?;
    // Hundreds of megabytes that nothing uses again.
    std::fs::remove_dir_all(&build)?;
    Ok(own)
}

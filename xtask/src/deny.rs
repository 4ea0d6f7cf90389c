//! `cargo xtask deny`: licences, duplicate versions and sources of the dependencies.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{sh, tool};

/// The same verdict on every machine; raised by hand.
const VERSION: &str = "0.20.2";

/// Fetching the advisories takes seconds where it works at all.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("deny", args)?;
    let deny = tool::find_or_install("cargo-deny", VERSION)?;
    let deny = |args: &[&str]| {
        let mut command = Command::new(&deny);
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

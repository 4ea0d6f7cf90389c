//! `cargo xtask deny`: licenses, duplicate versions and sources of the dependencies.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{sh, tool};

/// The same results on every machine; raised by hand.
const VERSION: &str = "0.20.2";

/// Fetching the advisories takes seconds, if it works.
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
    // The tests in a browser are a workspace of their own.
    let browser = [
        "--manifest-path",
        "browser/Cargo.toml",
        "--config",
        "deny.toml",
    ];
    let checks = ["check", "licenses", "bans", "sources"];
    sh::run(&mut deny(&[&browser[..], &checks].concat()))?;

    // The advisories are in a git repository, which may not be reachable. That isn't an error of the
    // dependencies.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// These pages state the number of crates for the default features, as counted on Linux.
    #[test]
    fn pages_state_the_right_number_of_crates_for_the_default_features() {
        let mut tree = sh::cargo(["tree", "--package", "everstream", "--edges", "normal"]);
        tree.args(["--prefix", "none", "--no-dedupe", "--locked", "--offline"]);
        let output = tree.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let listed = String::from_utf8(output.stdout).unwrap();
        let count = listed.lines().collect::<BTreeSet<_>>().len();
        assert!(count <= 90, "{count}");
        for (page, words) in [
            ("README.md", format!(" {count} crates ")),
            ("COMPARE.md", format!("75; {count} with defaults")),
            ("COMPARE.md", format!("and {count} with its defaults")),
        ] {
            let text = std::fs::read_to_string(sh::root().join(page)).unwrap();
            assert!(text.contains(&words), "{page} doesn't say {words:?}");
        }
    }
}

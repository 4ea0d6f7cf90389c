//! `cargo xtask features`: every published crate with each of its features alone.

use crate::{published, sh};

/// Those in which something differs that a test of `everstream` shows.
const TESTED: &[&str] = &["http", "rustls-no-provider"];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("features", args)?;
    for package in published::crates()? {
        // Without any, first.
        let features = std::iter::once("").chain(package.features.iter().map(String::as_str));
        for feature in features {
            cargo("clippy", &package.name, feature, &["--", "-D", "warnings"])?;
        }
    }
    for feature in TESTED {
        let tests = ["--lib", "--test", "features"];
        cargo("test", "everstream", feature, &tests)?;
    }
    println!("features: ok");
    Ok(())
}

fn cargo(command: &str, package: &str, feature: &str, rest: &[&str]) -> sh::Outcome {
    let mut command = sh::cargo([command, "--package", package, "--no-default-features"]);
    command.args(["--features", feature]).args(rest);
    sh::run(&mut command)
}

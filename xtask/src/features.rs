//! `cargo xtask features`: `everstream` with each of its features alone.

use crate::sh;

const FEATURES: &[&str] = &[
    "",
    "http",
    "rustls",
    "rustls-no-provider",
    "native-tls",
    "http2",
    "system-proxy",
    "socks",
    "gzip",
    "brotli",
    "zstd",
    "json",
    "serde",
    "tracing",
];

/// Those in which something differs that a test shows.
const TESTED: &[&str] = &["http", "rustls-no-provider"];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("features", args)?;
    for feature in FEATURES {
        cargo("clippy", feature, &["--", "-D", "warnings"])?;
    }
    for feature in TESTED {
        cargo("test", feature, &["--lib", "--test", "features"])?;
    }
    println!("features: ok");
    Ok(())
}

fn cargo(command: &str, feature: &str, rest: &[&str]) -> sh::Outcome {
    let mut command = sh::cargo([command, "--package", "everstream", "--no-default-features"]);
    command.args(["--features", feature]).args(rest);
    sh::run(&mut command)
}

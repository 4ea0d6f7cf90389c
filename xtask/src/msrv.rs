//! `cargo xtask msrv`: the published crates with the oldest Rust that they support.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) use crate::published::RUST_VERSION as VERSION;
use crate::published::{self, NEWER_RUST};
use crate::{hack, sh};

/// One of its features needs a newer Rust.
const COMMAND: &str = "everstream-cli";
const COMMAND_NEWER_RUST: &str = "relay-nats";
/// All other features.
const COMMAND_FEATURES: &str = "default,jq,relay-postgres,relay-redis,top";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("msrv", args)?;
    // An error if a crate states another version.
    let crates = published::crates()?;
    let folder = sh::target()?.join("msrv");
    // Not `cargo hack --rust-version`, which needs a toolchain named `1.85`: rustup doesn't link a custom
    // toolchain under such a name.
    let oldest = toolchain(&folder)?;
    for arguments in oldest_checks() {
        let mut check = hack::hack()?;
        check.args(arguments).envs(oldest.clone());
        sh::run(check.env("CARGO_TARGET_DIR", folder.join("build")))?;
    }
    for newer in crates.iter().filter(|it| it.rust_version != VERSION) {
        let (name, version) = (&newer.name, &newer.rust_version);
        let Some(toolchain) = installed(version) else {
            println!("{name} NOT CHECKED: rustup toolchain install {version}");
            continue;
        };
        let command = ["--package", COMMAND, "--features", COMMAND_NEWER_RUST];
        for what in [&["--package", name][..], &command] {
            let mut check = hack::hack()?;
            check.args(["check", "--locked"]).args(what);
            check.envs(toolchain.clone());
            sh::run(check.env("CARGO_TARGET_DIR", folder.join("build")))?;
        }
    }
    println!("msrv: ok");
    Ok(())
}

/// The checks with the oldest Rust: all features and no features, except for those that need a newer
/// Rust.
fn oldest_checks() -> Vec<Vec<&'static str>> {
    let check = ["check", "--locked"];
    let all = ["--workspace", "--ignore-private"];
    let without = NEWER_RUST.iter().flat_map(|it| ["--exclude", *it]);
    let workspace = |rest: &[&'static str]| {
        let arguments = check.into_iter().chain(all).chain(without.clone());
        arguments.chain(rest.iter().copied()).collect::<Vec<_>>()
    };
    // cargo-hack can exclude a feature only from checks of each feature alone.
    let command = ["--package", COMMAND, "--features", COMMAND_FEATURES];
    vec![
        workspace(&["--all-features", "--exclude", COMMAND]),
        workspace(&["--no-default-features"]),
        check.into_iter().chain(command).collect(),
    ]
}

/// The variables that select an installed toolchain of rustup for cargo-hack.
fn installed(version: &str) -> Option<Vec<(&'static str, OsString)>> {
    let rustup = |program| {
        let mut which = Command::new("rustup");
        which.args(["which", "--toolchain", version, program]);
        // Otherwise the query would install the toolchain.
        sh::capture(which.env("RUSTUP_AUTO_INSTALL", "0")).ok()
    };
    let variable = |name, path: String| (name, path.trim().into());
    Some(vec![
        variable("CARGO", rustup("cargo")?),
        variable("RUSTC", rustup("rustc")?),
    ])
}

/// The same for the oldest toolchain, which is downloaded if it isn't installed.
fn toolchain(folder: &Path) -> sh::Outcome<Vec<(&'static str, OsString)>> {
    if let Some(toolchain) = installed(VERSION) {
        return Ok(toolchain);
    }
    let root = folder.join(format!("rust-{VERSION}"));
    if !root.exists() {
        // Older Debian releases have newer Rust releases as `rustc-web`, for browsers.
        let either = unpack(folder, &root, &packages(""));
        let either = either.or_else(|_| unpack(folder, &root, &packages("-web")));
        either.map_err(|error| {
            format!("{error}\nor, with rustup: rustup toolchain install {VERSION}")
        })?;
    }
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = ["usr/lib", "lib"].map(|it| root.join(it).join(&machine));
    Ok(vec![
        ("CARGO", root.join("usr/bin/cargo").into()),
        ("RUSTC", root.join("usr/bin/rustc").into()),
        ("LD_LIBRARY_PATH", std::env::join_paths(libraries)?),
    ])
}

/// Downloads these packages from Debian, with those that they depend on, and unpacks them. Installs
/// nothing. `VERSION` in a name is the oldest Rust.
pub(crate) fn unpack(folder: &Path, root: &Path, packages: &[impl AsRef<str>]) -> sh::Outcome {
    let (debs, unfinished) = (folder.join("debs"), folder.join("unfinished"));
    fs::create_dir_all(debs.join("partial"))?;
    let log = folder.join("apt.log");
    // A new system has no package lists. Only root may fetch them, so a failure is ignored.
    let _ = sh::logged(Command::new("apt-get").arg("update"), &log);
    download(packages, &debs, &log)?;
    sh::empty_folder(&unfinished)?;
    for entry in fs::read_dir(&debs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            let mut extract = Command::new("dpkg");
            sh::capture(extract.arg("--extract").arg(&path).arg(&unfinished))?;
        }
    }
    fs::remove_dir_all(debs)?;
    // Last, so that an incomplete toolchain is downloaded again.
    Ok(fs::rename(unfinished, root)?)
}

/// The packages of the oldest Rust.
fn packages(suffix: &str) -> [String; 4] {
    [
        "rustc#",
        "cargo#",
        "libstd-rust#-dev",
        "libstd-rust#-VERSION",
    ]
    .map(|package| format!("{}=VERSION.*", package.replace('#', suffix)))
}

fn download(packages: &[impl AsRef<str>], debs: &Path, log: &Path) -> sh::Outcome {
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--download-only", "--yes"]);
    apt.args(["--no-install-recommends", "--allow-downgrades"]);
    apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]);
    apt.args(["-o", &format!("Dir::Cache::archives={}", debs.display())]);
    let names = packages.iter().map(AsRef::as_ref);
    apt.args(names.map(|package: &str| package.replace("VERSION", VERSION)));
    sh::logged(&mut apt, log)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_feature_of_the_command_is_checked_with_the_oldest_rust_or_needs_a_newer_one() {
        let metadata = ["metadata", "--no-deps", "--locked", "--format-version", "1"];
        let metadata = sh::capture(&mut sh::cargo(metadata)).unwrap();
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let command = packages.iter().find(|it| it["name"] == COMMAND).unwrap();
        let features = command["features"].as_object().unwrap().keys();
        let mut features: Vec<&str> = features.map(String::as_str).collect();
        features.sort_unstable();
        let mut known: Vec<&str> = COMMAND_FEATURES.split(',').collect();
        known.push(COMMAND_NEWER_RUST);
        known.sort_unstable();
        assert_eq!(features, known);
    }
}

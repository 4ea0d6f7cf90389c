//! `cargo xtask msrv`: the published crates with the oldest Rust that they support.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::published::{self, NEWER_RUST, RUST_VERSION as VERSION};
use crate::{hack, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("msrv", args)?;
    // Finds a crate that states another version.
    let crates = published::crates()?;
    let folder = sh::target()?.join("msrv");
    // Not `cargo hack --rust-version`: it needs a toolchain that rustup knows as `1.85`, and rustup
    // links no other one under such a name.
    let oldest = toolchain(&folder)?;
    for features in ["--all-features", "--no-default-features"] {
        let mut check = hack::published("check")?;
        for newer in NEWER_RUST {
            check.args(["--exclude", newer]);
        }
        check.arg(features).envs(oldest.clone());
        sh::run(check.env("CARGO_TARGET_DIR", folder.join("build")))?;
    }
    for newer in crates.iter().filter(|it| it.rust_version != VERSION) {
        let (name, version) = (&newer.name, &newer.rust_version);
        let Some(toolchain) = installed(version) else {
            println!("{name} NOT CHECKED: rustup toolchain install {version}");
            continue;
        };
        let mut check = hack::hack()?;
        check.args(["check", "--package", name, "--locked"]);
        check.envs(toolchain);
        sh::run(check.env("CARGO_TARGET_DIR", folder.join("build")))?;
    }
    println!("msrv: ok");
    Ok(())
}

/// The variables by which cargo-hack finds a toolchain that rustup has.
fn installed(version: &str) -> Option<Vec<(&'static str, OsString)>> {
    let rustup = |program| {
        let mut which = Command::new("rustup");
        which.args(["which", "--toolchain", version, program]);
        // Without this, asking for a toolchain would install it.
        sh::capture(which.env("RUSTUP_AUTO_INSTALL", "0")).ok()
    };
    let variable = |name, path: String| (name, path.trim().into());
    Some(vec![
        variable("CARGO", rustup("cargo")?),
        variable("RUSTC", rustup("rustc")?),
    ])
}

/// The same for the oldest one, which is downloaded if rustup doesn't have it.
fn toolchain(folder: &Path) -> sh::Outcome<Vec<(&'static str, OsString)>> {
    if let Some(toolchain) = installed(VERSION) {
        return Ok(toolchain);
    }
    let root = folder.join(format!("rust-{VERSION}"));
    if !root.exists() {
        unpack(folder, &root).map_err(|error| {
            format!("{error}\nor, where rustup can: rustup toolchain install {VERSION}")
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

/// Downloads that release from Debian, with the packages it needs that this system lacks, and
/// unpacks them all. Nothing is installed.
fn unpack(folder: &Path, root: &Path) -> sh::Outcome {
    let (debs, unfinished) = (folder.join("debs"), folder.join("unfinished"));
    fs::create_dir_all(debs.join("partial"))?;
    let log = folder.join("apt.log");
    // A new system has no lists of packages. Only root may fetch them.
    let _ = sh::logged(Command::new("apt-get").arg("update"), &log);
    // Older releases of Debian have newer releases of Rust as `rustc-web`, to build browsers with.
    download("", &debs, &log).or_else(|_| download("-web", &debs, &log))?;
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

fn download(suffix: &str, debs: &Path, log: &Path) -> sh::Outcome {
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--download-only", "--yes"]);
    apt.args(["--no-install-recommends", "--allow-downgrades"]);
    apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]);
    apt.args(["-o", &format!("Dir::Cache::archives={}", debs.display())]);
    for package in [
        "rustc#",
        "cargo#",
        "libstd-rust#-dev",
        "libstd-rust#-VERSION",
    ] {
        let package = package.replace('#', suffix).replace("VERSION", VERSION);
        apt.arg(format!("{package}={VERSION}.*"));
    }
    sh::logged(&mut apt, log)
}

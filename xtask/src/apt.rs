//! Debian packages with the third-party programs of the tests.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sh;

/// Installed by the package redis-server.
pub(crate) const REDIS: &str = "/usr/bin/redis-server";

/// Installs the engines that the tests of the relay need, unless they are in the path or where Debian
/// installs them.
pub(crate) fn engines(log: &Path) -> sh::Outcome {
    let in_path = |program: &OsStr| sh::capture(Command::new(program).arg("--version")).is_ok();
    let mut wanted = vec![
        (REDIS, "redis-server"),
        ("/usr/sbin/nats-server", "nats-server"),
    ];
    wanted.retain(|(file, _)| !in_path(Path::new(file).file_name().unwrap_or_default()));
    if !in_path("postgres".as_ref()) && !has_postgres() {
        // The path depends on the version.
        wanted.push(("/usr/lib/postgresql/VERSION/bin/postgres", "postgresql"));
    }
    install(&wanted, log)
}

/// Debian has a folder for each version, which may hold only clients.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions = versions.filter_map(Result::ok);
    versions.any(|version| version.path().join("bin/postgres").exists())
}

/// Installs packages whose files are missing. `wanted` has pairs of a file and its package.
pub(crate) fn install(wanted: &[(&str, &str)], log: &Path) -> sh::Outcome {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(
            format!("this needs the Debian packages {packages}, and there is no apt-get").into(),
        );
    }
    if sh::capture(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("run this as root first: apt-get install {packages}").into());
    }
    sh::logged(Command::new("apt-get").arg("update"), log)?;
    sh::logged(
        Command::new("apt-get")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
        log,
    )
}

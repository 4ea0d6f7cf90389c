//! Debian packages, for what is tested against programs of others.

use std::path::Path;
use std::process::Command;

use crate::sh;

/// Of the package redis-server.
pub(crate) const REDIS: &str = "/usr/bin/redis-server";

/// Installs the packages of which a file is missing: pairs of a file and its package.
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
        return Err(format!("this needs Debian's packages {packages}, but has no apt-get").into());
    }
    if sh::capture(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("as root, first: apt-get install {packages}").into());
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

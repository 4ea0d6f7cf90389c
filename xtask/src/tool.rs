//! Cargo's plug-ins, in one version each, below the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh;

/// Finds a tool in this version, or builds it.
pub(crate) fn find_or_install(name: &str, version: &str) -> sh::Outcome<PathBuf> {
    let own = folder()?.join(name);
    // As cargo calls it: some know no option without the name of the subcommand.
    let version_of = [name.trim_start_matches("cargo-"), "--version"];
    for candidate in [own.as_path(), Path::new(name)] {
        let found = sh::capture(Command::new(candidate).args(version_of));
        if found.is_ok_and(|text| text.split_whitespace().last() == Some(version)) {
            return Ok(candidate.to_path_buf());
        }
    }

    // Unoptimised, it is built in half the time and works as fast as anyone can notice.
    let tools = sh::target()?.join("tools");
    let build = tools.join("build");
    let mut install = sh::cargo(["install", name, "--locked", "--debug"]);
    install
        .args(["--version", &format!("={version}")])
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

/// Where those that were built here are.
pub(crate) fn folder() -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join("tools").join("bin"))
}

//! Cargo's plug-ins, in one version each, in the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh;

/// Finds this version of a tool, or builds it.
pub(crate) fn find_or_install(name: &str, version: &str) -> sh::Outcome<PathBuf> {
    let own = folder()?.join(name);
    // With the name of the subcommand, as cargo does: some accept no option without it.
    let version_of = [name.trim_start_matches("cargo-"), "--version"];
    for candidate in [own.as_path(), Path::new(name)] {
        let found = sh::capture(Command::new(candidate).args(version_of));
        if found.is_ok_and(|text| text.split_whitespace().last() == Some(version)) {
            return Ok(candidate.to_path_buf());
        }
    }

    // An unoptimized build takes half the time, and the tool is fast enough.
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
    // It has hundreds of megabytes, and isn't used again.
    std::fs::remove_dir_all(&build)?;
    Ok(own)
}

/// The folder of the tools that were built here.
pub(crate) fn folder() -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join("tools").join("bin"))
}

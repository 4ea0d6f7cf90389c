//! A workspace of the published crates alone, to be built apart from this one.

use std::fs;
use std::path::Path;

use crate::sh;

/// The workspace's manifest, with these members.
pub(crate) fn manifest(members: &str) -> sh::Outcome<String> {
    let manifest = fs::read_to_string(sh::root().join("Cargo.toml"))?;
    let manifest = replace_line(
        &manifest,
        "members = ",
        &format!("members = [\"{members}\"]"),
    )?;
    let manifest = replace_line(&manifest, "exclude = ", "")?;
    replace_line(&manifest, "default-members = ", "")
}

/// The line that starts so becomes another one.
fn replace_line(text: &str, start: &str, with: &str) -> sh::Outcome<String> {
    match text.lines().find(|line| line.starts_with(start)) {
        Some(line) => Ok(text.replacen(line, with, 1)),
        None => Err(format!("Cargo.toml has no line that starts with `{start}`").into()),
    }
}

/// An empty folder, whatever was there.
pub(crate) fn empty(folder: &Path) -> sh::Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// Copies a folder; one that isn't there is none.
pub(crate) fn tree(from: &Path, to: &Path) -> sh::Outcome {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => tree(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

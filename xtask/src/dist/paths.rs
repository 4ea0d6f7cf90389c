//! The paths of the machine that builds, which must not be in the files of a release.
//!
//! The messages of panics name the source files of dependencies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sh;

/// Flags with which the compiler writes other paths. The last one that matches a path applies.
pub(super) fn flags() -> sh::Outcome<String> {
    let root = sh::root();
    let mut renamed = Vec::new();
    if let Some(home) = std::env::home_dir() {
        renamed.push((home, "~"));
    }
    // Of each registry, whose name is in the path: `tokio-1.49.0/src/...` is left.
    let sources = sh::cargo_home()?.join("registry").join("src");
    for registry in fs::read_dir(sources)? {
        renamed.push((registry?.path(), ""));
    }
    renamed.push((root, "."));
    let mut flags = Vec::new();
    for (path, name) in renamed {
        let path = path.display().to_string();
        if path.contains(char::is_whitespace) {
            return Err(format!("{path}: there must be no space in this path").into());
        }
        flags.push(format!("--remap-path-prefix={path}={name}"));
    }
    Ok(flags.join(" "))
}

/// Fails if a file below `folder` contains the path of the repository, or of the user's files.
pub(super) fn check(folder: &Path) -> sh::Outcome {
    let mut private = vec![sh::root(), sh::target()?, sh::cargo_home()?];
    private.extend(std::env::home_dir());
    // For a user without a home.
    private.retain(|it| it.parent().is_some());
    for file in files(folder)? {
        if let Some(path) = named(&fs::read(&file)?, &private) {
            let (file, path) = (file.display(), path.display());
            return Err(format!("{file} contains the path {path} of this machine").into());
        }
    }
    println!("{}: no paths of this machine", folder.display());
    Ok(())
}

/// The first of these folders that is in a file.
fn named<'a>(content: &[u8], folders: &'a [PathBuf]) -> Option<&'a PathBuf> {
    folders.iter().find(|folder| {
        let path = format!("{}/", folder.display());
        content
            .windows(path.len())
            .any(|window| window == path.as_bytes())
    })
}

/// All files below a folder, sorted.
pub(super) fn files(folder: &Path) -> sh::Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_path_of_this_machine_is_found() {
        let folders = [PathBuf::from("/home/me"), PathBuf::from("/src/everstream")];
        let program = |path: &str| [b"\0\xffpanicked at ", path.as_bytes(), b"\0"].concat();
        for path in ["/home/me/.cargo/registry/src/a.rs", "/src/everstream/b.rs"] {
            assert!(named(&program(path), &folders).is_some(), "{path}");
        }
        for path in ["tokio-1.49.0/src/a.rs", "/home/me2/a.rs", "/home/me"] {
            assert_eq!(named(&program(path), &folders), None, "{path}");
        }
    }
}

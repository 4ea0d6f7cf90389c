//! `cargo xtask package`: packs the published packages, checks their contents and builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::published::{self, Crate};
use crate::{api, python, sh};

/// Files of every package.
const REQUIRED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Files that cargo adds.
const OF_CARGO: &[&str] = &[".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];

/// Folders that a package may have.
const FOLDERS: &[&str] = &["src/", "examples/", "guides/"];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("package", args)?;
    let crates = published::crates()?;
    forget_earlier(&crates)?;
    sh::run(&mut pack(&crates))?;
    for it in &crates {
        contents(it)?;
    }
    documentation(&crates)?;
    python::sdist()?;
    println!("package: ok");
    Ok(())
}

/// All at once, so that each is built from its archive against the archives of the others (cargo
/// 1.90). Includes changes that aren't committed yet.
pub(crate) fn pack(crates: &[Crate]) -> Command {
    let mut package = sh::cargo(["package", "--locked", "--allow-dirty"]);
    for it in crates {
        package.args(["--package", &it.name]);
    }
    package
}

/// Deletes what cargo has unpacked and built earlier. It reuses that, because a version in a registry
/// never changes; here the same version is packed repeatedly.
fn forget_earlier(crates: &[Crate]) -> sh::Outcome {
    for registry in folders(&sh::cargo_home()?.join("registry").join("src"))? {
        // A registry without a host is a folder, such as that of `cargo package`.
        if name(&registry).starts_with('-') {
            for it in crates {
                let unpacked = registry.join(format!("{}-{}", it.name, it.version));
                if unpacked.exists() {
                    fs::remove_dir_all(unpacked)?;
                }
            }
        }
    }
    for built in folders(&sh::target()?.join("debug").join(".fingerprint"))? {
        if crates.iter().any(|it| is_of(name(&built), &it.name)) {
            fs::remove_dir_all(built)?;
        }
    }
    Ok(())
}

/// Whether the name of a folder is that of the crate and a hash.
fn is_of(folder: &str, name: &str) -> bool {
    folder
        .rsplit_once('-')
        .is_some_and(|(before, _)| before == name)
}

/// The entries of a folder; none if it doesn't exist.
fn folders(of: &Path) -> sh::Outcome<Vec<PathBuf>> {
    if !of.exists() {
        return Ok(Vec::new());
    }
    Ok(fs::read_dir(of)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

fn name(folder: &Path) -> &str {
    folder
        .file_name()
        .and_then(|it| it.to_str())
        .unwrap_or_default()
}

/// The folder where cargo has unpacked the archive.
fn unpacked(package: &Crate) -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join("package").join(package.folder()))
}

fn contents(package: &Crate) -> sh::Outcome {
    let mut list = sh::cargo([
        "package",
        "--allow-dirty",
        "--list",
        "--package",
        &package.name,
    ]);
    let listed = sh::capture(&mut list)?;
    let files: Vec<&str> = listed.lines().collect();
    let problems = problems(&files);
    if !problems.is_empty() {
        return Err(format!("{}: {}", package.name, problems.join("; ")).into());
    }
    let folder = unpacked(package)?;
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        // They are links to those of the repository. Some systems check links out as text files.
        if fs::read(folder.join(license))? != fs::read(sh::root().join(license))? {
            return Err(format!("{}: {license} isn't the license", package.name).into());
        }
    }
    let archive = folder.with_file_name(format!("{}-{}.crate", package.name, package.version));
    let size = fs::metadata(&archive)?.len() / 1024;
    println!("{}: {} files, {size} KiB", package.name, files.len());
    Ok(())
}

/// Files that are missing, or that a package must not have.
fn problems(files: &[&str]) -> Vec<String> {
    let missing = REQUIRED.iter().filter(|it| !files.contains(it));
    let missing = missing.map(|it| format!("{it} is missing"));
    let known = |file: &&&str| {
        let named = REQUIRED.contains(file) || OF_CARGO.contains(file);
        !named && !FOLDERS.iter().any(|folder| file.starts_with(folder))
    };
    let strange = files.iter().filter(known);
    missing
        .chain(strange.map(|it| format!("{it} doesn't belong there")))
        .collect()
}

/// Builds the documentation from the packages, like docs.rs: it includes files that a build doesn't
/// read.
fn documentation(crates: &[Crate]) -> sh::Outcome {
    let folder = sh::target()?.join("package");
    let members = crates.iter().map(|it| format!("\"{}\", ", it.folder()));
    let members: String = members.collect();
    let head = format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n");
    write_manifest(&folder, &head, crates)?;
    let mut doc = sh::cargo(["doc", "--workspace", "--lib", "--all-features", "--no-deps"]);
    doc.current_dir(&folder)
        .env("CARGO_TARGET_DIR", sh::target()?);
    // With this name set, the documentation shows the feature of an item.
    sh::run(api::with_unstable_rustdoc(
        &mut doc,
        "--cfg docsrs -D warnings",
    )?)
}

/// Writes a manifest that begins with `head` and takes the crates from folders next to it.
pub(crate) fn write_manifest(folder: &Path, head: &str, crates: &[Crate]) -> sh::Outcome {
    let patches = crates
        .iter()
        .map(|it| format!("{} = {{ path = \"{}\" }}\n", it.name, it.folder()));
    let patches: String = patches.collect();
    // The profiles of this workspace, so that dependencies aren't rebuilt.
    let manifest = fs::read_to_string(sh::root().join("Cargo.toml"))?;
    let (_, profiles) = manifest.split_once("[profile.").unwrap_or_default();
    let manifest = format!("{head}\n[patch.crates-io]\n{patches}\n[profile.{profiles}");
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(sh::root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_one_crate_are_distinguished_from_those_of_another() {
        assert!(is_of("everstream-00e9b261ba8ae8fd", "everstream"));
        assert!(is_of("everstream-core-00e9b261ba8ae8fd", "everstream-core"));
        assert!(!is_of("everstream-core-00e9b261ba8ae8fd", "everstream"));
    }

    #[test]
    fn a_package_without_a_license_or_with_tests_is_refused() {
        let files = [
            "Cargo.toml",
            "README.md",
            "LICENSE-MIT",
            "src/lib.rs",
            "tests/big.txt",
        ];
        let expected = [
            "LICENSE-APACHE is missing",
            "tests/big.txt doesn't belong there",
        ];
        assert_eq!(problems(&files), expected);
    }
}

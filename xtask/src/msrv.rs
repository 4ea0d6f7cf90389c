//! `cargo xtask msrv`: the published crates with the oldest Rust that they say they build with.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{published, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("msrv", args)?;
    let crates = published::crates()?;
    let version = &crates[0].rust_version;
    if let Some(other) = crates.iter().find(|it| it.rust_version != *version) {
        return Err(format!("{} states another rust-version than {version}", other.name).into());
    }
    let folder = sh::target()?.join("msrv");
    let toolchain = Toolchain::find(version, &folder)?;
    println!("{}", toolchain.release(version)?);
    for package in &crates {
        for features in ["--all-features", "--no-default-features"] {
            let mut check = toolchain.cargo();
            check
                .args(["check", "--locked", "--package", &package.name, features])
                .arg("--target-dir")
                .arg(folder.join("build"))
                .current_dir(sh::root());
            sh::run(&mut check)?;
        }
    }
    println!("msrv: ok");
    Ok(())
}

enum Toolchain {
    /// By its name.
    Rustup(String),
    /// Of Debian, unpacked into a folder of ours: the system has none of it.
    Unpacked(PathBuf),
}

impl Toolchain {
    fn find(version: &str, folder: &Path) -> sh::Outcome<Toolchain> {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", version, "cargo", "--version"]);
        // Looking doesn't install.
        if sh::capture(rustup.env("RUSTUP_AUTO_INSTALL", "0")).is_ok() {
            return Ok(Toolchain::Rustup(version.to_owned()));
        }
        let root = folder.join(format!("rust-{version}"));
        if !root.exists() {
            unpack(version, folder, &root).map_err(|error| {
                format!("{error}\nor, where rustup can: rustup toolchain install {version}")
            })?;
        }
        Ok(Toolchain::Unpacked(root))
    }

    fn cargo(&self) -> Command {
        match self {
            Toolchain::Rustup(name) => {
                let mut command = Command::new("rustup");
                command.args(["run", name, "cargo"]);
                command
            }
            Toolchain::Unpacked(root) => {
                let programs = root.join("usr/bin");
                let mut command = Command::new(programs.join("cargo"));
                command
                    .env("RUSTC", programs.join("rustc"))
                    .env("RUSTDOC", programs.join("rustdoc"))
                    .env("LD_LIBRARY_PATH", libraries(root));
                command
            }
        }
    }

    /// What it says of itself; an error if that is another release.
    fn release(&self, version: &str) -> sh::Outcome<String> {
        let said = sh::capture(self.cargo().arg("--version"))?;
        match said.starts_with(&format!("cargo {version}.")) {
            true => Ok(said.trim().to_owned()),
            false => Err(format!("this is no Rust {version}: {said}").into()),
        }
    }
}

/// The folders of shared libraries, which Debian names after the machine.
fn libraries(root: &Path) -> OsString {
    let mut folders = OsString::new();
    for parent in ["usr/lib", "lib"] {
        for entry in fs::read_dir(root.join(parent))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().contains("-linux-") {
                folders.push(entry.path());
                folders.push(":");
            }
        }
    }
    folders
}

/// Downloads Debian's packages of that release, and what they need that this system lacks, and
/// unpacks them. Nothing is installed.
fn unpack(version: &str, folder: &Path, root: &Path) -> sh::Outcome {
    fs::create_dir_all(folder.join("debs/partial"))?;
    let log = folder.join("apt.log");
    let (suffix, release) = match candidate(version)? {
        Some(found) => found,
        None => {
            // A new system has no lists of packages. Only root may fetch them.
            let _ = sh::logged(Command::new("apt-get").arg("update"), &log);
            candidate(version)?.ok_or(format!("Debian's packages have no Rust {version} here"))?
        }
    };
    let mut download = Command::new("apt-get");
    download
        .args([
            "install",
            "--download-only",
            "--yes",
            "--no-install-recommends",
        ])
        .args(["--allow-downgrades", "-o", "Debug::NoLocking=1"])
        .args(["-o", "APT::Sandbox::User=", "-o"])
        .arg(format!(
            "Dir::Cache::archives={}",
            folder.join("debs").display()
        ))
        .args([
            format!("rustc{suffix}={release}"),
            format!("cargo{suffix}={release}"),
            format!("libstd-rust{suffix}-dev={release}"),
            format!("libstd-rust{suffix}-{version}={release}"),
        ]);
    sh::logged(&mut download, &log)?;
    let unfinished = folder.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    for entry in fs::read_dir(folder.join("debs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            let mut extract = Command::new("dpkg");
            sh::capture(extract.arg("--extract").arg(&path).arg(&unfinished))?;
            fs::remove_file(&path)?;
        }
    }
    // Last, so that a broken one is made again.
    Ok(fs::rename(unfinished, root)?)
}

/// Which of Debian's packages have that release of Rust: what their names end in, and their version.
fn candidate(version: &str) -> sh::Outcome<Option<(&'static str, String)>> {
    for suffix in ["", "-web"] {
        let mut command = Command::new("apt-cache");
        let listed = sh::capture(command.args(["madison", &format!("rustc{suffix}")]))?;
        for line in listed.lines() {
            let release = line.split('|').nth(1).unwrap_or_default().trim();
            if release.starts_with(&format!("{version}.")) {
                return Ok(Some((suffix, release.to_owned())));
            }
        }
    }
    Ok(None)
}

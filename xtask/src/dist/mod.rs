//! `cargo xtask dist`: the files of a release, each installed where nothing else is. Linux only.
//!
//! - `wheel.rs`: the Python wheel; `package` makes the source distribution
//! - `command.rs`: the command, with its pages and completions, as a tarball
//! - `debian.rs`: the same as a Debian package
//! - `paths.rs`: no file contains paths of the machine that builds
//! - `licenses.rs`: the license texts of the crates in the command
//! - `root.rs`: a fresh Debian to install the command into
//! - `crates.rs`: the `.crate` files, and a program that depends on them

mod command;
mod crates;
mod debian;
mod licenses;
mod paths;
mod root;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{python, sh};

/// In the target folder. No profile of cargo has this name.
const ARTIFACTS: &str = "dist";

const CHECKSUMS: &str = "SHA256SUMS";

/// The oldest glibc that the wheel and the command run with. Rust needs no older one.
const GLIBC: (u32, u32) = (2, 17);

/// What the steps share.
struct Context {
    /// Where the artifacts are collected.
    artifacts: PathBuf,
    /// Everything else that a run writes.
    folder: PathBuf,
    /// Of the virtual environment with the tools.
    python: PathBuf,
    /// The target that the artifacts are for, such as `x86_64-unknown-linux-gnu`.
    triple: String,
}

type Step = fn(&Context) -> sh::Outcome;

const STEPS: [(&str, Step); 3] = [
    ("python", wheel::run),
    ("command", command::run),
    ("crates", crates::run),
];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let known = |arg: &&String| STEPS.iter().any(|(name, _)| name == arg);
    if let Some(unknown) = args.iter().find(|arg| !known(arg)) {
        let what = format!("`cargo xtask dist` makes python, command or crates, not `{unknown}`");
        return Err(sh::UsageError(what).into());
    }
    let target = sh::target()?;
    let folder = target.join("dist-trials");
    fs::create_dir_all(&folder)?;
    let artifacts = target.join(ARTIFACTS);
    if args.is_empty() {
        sh::empty_folder(&artifacts)?;
    }
    fs::create_dir_all(&artifacts)?;
    let requirements = sh::root().join("python").join("requirements-dist.txt");
    let context = Context {
        python: python::venv(&target.join("python").join("dist"), &requirements)?,
        triple: triple()?,
        artifacts,
        folder,
    };
    for (name, step) in STEPS {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            step(&context)?;
        }
    }
    checksums(&context.artifacts)
}

/// The target of the compiler's own machine.
fn triple() -> sh::Outcome<String> {
    let version = sh::capture(Command::new("rustc").arg("-vV"))?;
    let triple = version.lines().find_map(|it| it.strip_prefix("host: "));
    match triple {
        Some(triple) if triple.ends_with("-linux-gnu") => Ok(triple.to_owned()),
        _ => Err("this needs Linux with glibc".into()),
    }
}

/// Writes the checksums, and shows each artifact with its size.
fn checksums(artifacts: &Path) -> sh::Outcome {
    let mut names = Vec::new();
    for entry in fs::read_dir(artifacts)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != CHECKSUMS {
            names.push((name, entry.metadata()?.len()));
        }
    }
    names.sort();
    let mut sum = Command::new("sha256sum");
    sum.args(names.iter().map(|(name, _)| name));
    let sums = sh::capture(sum.current_dir(artifacts))?;
    fs::write(artifacts.join(CHECKSUMS), sums)?;
    println!("\n{}:", artifacts.display());
    for (name, size) in names {
        println!("{size:>10} {name}");
    }
    Ok(())
}

impl Context {
    /// A command that finds the tools of the virtual environment, and builds the profile
    /// `optimized` for the target.
    fn tool(&self, mut command: Command) -> sh::Outcome<Command> {
        let bin = self.python.parent().unwrap_or(Path::new(""));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(&path));
        command
            .env("PATH", std::env::join_paths(path)?)
            .env("CARGO_TARGET_DIR", sh::target()?)
            // Smaller; backtraces of panics have no names then.
            .env("CARGO_PROFILE_OPTIMIZED_STRIP", "symbols")
            // Cargo adds these to the flags in its configuration; the others would replace both.
            .env(self.flags_variable(), paths::flags()?)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        Ok(command)
    }

    /// The variable with the target's flags for the compiler.
    fn flags_variable(&self) -> String {
        let triple = self.triple.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{triple}_RUSTFLAGS")
    }

    /// The folder of the target's profile `optimized`.
    fn profile(&self) -> sh::Outcome<PathBuf> {
        Ok(sh::target()?.join(&self.triple).join("optimized"))
    }
}

/// In seconds since 1970. With it, the same sources make the same archive.
fn time_of_commit() -> sh::Outcome<String> {
    let mut log = Command::new("git");
    log.args(["log", "-1", "--format=%ct"])
        .current_dir(sh::root());
    Ok(sh::capture(&mut log)?.trim().to_owned())
}

/// Replaces each file by a compressed one, without its name and time, as Debian wants it.
fn compress(files: &[PathBuf]) -> sh::Outcome {
    sh::capture(Command::new("gzip").args(["-9", "--no-name"]).args(files))?;
    Ok(())
}

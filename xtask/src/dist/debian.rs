//! The Debian package, from the same files as the tarball. `package.metadata.deb` of the command's `Cargo.toml` says
//! what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, compress, time_of_commit};
use crate::{python, sh, tool};

/// Debian wants an address too, which the project doesn't have: `DEBEMAIL` is that of the person who
/// builds the package, as in Debian's tools.
const MAINTAINER: &str = "The Everstream authors";

/// Of the package itself. A package of Debian, whose revisions begin at 1, would be newer.
const REVISION: &str = "0upstream1";

/// What lintian says about a maintainer without an address.
const WITHOUT_ADDRESS: &str = "malformed-contact,syntax-error-in-debian-changelog";

pub(super) fn run(context: &Context) -> sh::Outcome<PathBuf> {
    changelogs(&context.profile()?.join("debian"))?;
    let out = context.folder.join("debian");
    sh::empty_folder(&out)?;
    let mut deb = context.tool(Command::new(tool::find_or_install("cargo-deb", "3.8.0")?))?;
    deb.args(["--package", "everstream-cli", "--no-build", "--no-strip"])
        .args(["--profile", "optimized", "--target", &context.triple])
        .args(["--deb-revision", REVISION, "--maintainer", &maintainer()])
        .arg("--output")
        .arg(&out)
        .current_dir(sh::root());
    sh::run(&mut deb)?;
    let built = python::only_file(&out)?;
    let package = context
        .artifacts
        .join(built.file_name().unwrap_or_default());
    fs::copy(built, &package)?;
    lint(&package)?;
    Ok(package)
}

/// Writes the project's changelog and that of the package into this folder.
fn changelogs(folder: &Path) -> sh::Outcome {
    sh::empty_folder(folder)?;
    let version = env!("CARGO_PKG_VERSION");
    let mut date = Command::new("date");
    date.args(["--utc", "--rfc-email", "--date"])
        .arg(format!("@{}", time_of_commit()?));
    let entry = format!(
        "everstream ({version}-{REVISION}) unstable; urgency=medium\n\n  * Built from the sources of {version}; see \
         changelog.gz.\n\n -- {}  {}",
        maintainer(),
        sh::capture(&mut date)?,
    );
    let (own, package) = (folder.join("changelog"), folder.join("changelog.Debian"));
    fs::copy(sh::root().join("CHANGELOG.md"), &own)?;
    fs::write(&package, entry)?;
    compress(&[own, package])
}

fn address() -> Option<String> {
    std::env::var("DEBEMAIL").ok().filter(|it| !it.is_empty())
}

fn maintainer() -> String {
    match address() {
        Some(address) => format!("{MAINTAINER} <{address}>"),
        None => MAINTAINER.to_owned(),
    }
}

/// Debian's check of packages, if it is installed.
fn lint(package: &Path) -> sh::Outcome {
    if sh::capture(Command::new("lintian").arg("--version")).is_err() {
        println!("Debian package: not checked, because lintian isn't installed");
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]);
    if address().is_none() {
        println!("Debian package: the maintainer has no address; DEBEMAIL sets one");
        lintian.args(["--suppress-tags", WITHOUT_ADDRESS]);
    }
    sh::run(lintian.arg(package))
}

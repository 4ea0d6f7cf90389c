//! The Debian package, from the same files as the tarball.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, GLIBC, paths};
use crate::sh;

/// Debian wants an address too, which the project doesn't have: `DEBEMAIL` is that of the person who
/// builds the package, as in Debian's tools.
const MAINTAINER: &str = "The Everstream authors";

/// Of the package itself. A package of Debian, whose revisions begin at 1, would be newer.
const REVISION: &str = "0upstream1";

/// What lintian says about a maintainer without an address.
const WITHOUT_ADDRESS: &str = "malformed-contact,syntax-error-in-debian-changelog";

const DESCRIPTION: &str = "\
follow event streams (Server-Sent Events) from a terminal
 Reconnects with backoff, resumes after the last event id, and never repeats a
 POST unless asked to. Filters events, runs commands for them, records and
 replays streams, watches many at once, checks servers, and stores feeds in
 PostgreSQL, Redis or NATS.
";

/// Files whose places below `/usr` differ from those below `/usr/local`.
const MOVED: [(&str, &str); 2] = [
    ("share/zsh/site-functions", "share/zsh/vendor-completions"),
    (
        "share/doc/everstream/CHANGELOG.md",
        "share/doc/everstream/changelog",
    ),
];

/// Packs `tree`, and returns the path of the package.
pub(super) fn pack(context: &Context, tree: &Path) -> sh::Outcome<PathBuf> {
    let root = context.folder.join("debian");
    sh::empty_folder(&root)?;
    let usr = root.join("usr");
    sh::run(Command::new("cp").arg("-r").arg(tree).arg(&usr))?;
    for (from, to) in MOVED {
        fs::rename(usr.join(from), usr.join(to))?;
    }
    documents(&usr.join("share/doc/everstream"))?;
    let files = paths::files(&usr)?;
    fs::create_dir(root.join("DEBIAN"))?;
    fs::write(root.join("DEBIAN/control"), control(&files)?)?;
    fs::write(root.join("DEBIAN/md5sums"), sums(&root, &files)?)?;
    sh::run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&root))?;

    let package =
        context
            .artifacts
            .join(format!("everstream_{}_{}.deb", version(), architecture()?));
    let mut deb = Command::new("dpkg-deb");
    deb.args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&root)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", super::time_of_commit()?);
    sh::run(&mut deb)?;
    lint(&package)?;
    Ok(package)
}

/// Debian's own changelog, and the licenses in one file. Debian has the text of the Apache license.
fn documents(folder: &Path) -> sh::Outcome {
    let mit = fs::read_to_string(folder.join("LICENSE-MIT"))?;
    let (_, mit) = mit.split_once("\n\n").ok_or("an unknown MIT license")?;
    let time = format!("@{}", super::time_of_commit()?);
    let date = |format: &str| {
        let mut date = Command::new("date");
        sh::capture(date.args(["--utc", "--date", &time, format]))
    };
    let copyright = format!(
        "Everstream {}, copyright {} by {MAINTAINER}, under either of two licenses.\n\n\
         {mit}\nAlternatively, under the Apache License, Version 2.0:\n\
         /usr/share/common-licenses/Apache-2.0\n\n\
         THIRD-PARTY-LICENSES.txt has the licenses of the crates in the program.\n",
        env!("CARGO_PKG_VERSION"),
        date("+%Y")?.trim(),
    );
    fs::write(folder.join("copyright"), copyright)?;
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::remove_file(folder.join(license))?;
    }
    let changelog = format!(
        "everstream ({}) unstable; urgency=medium\n\n  * Built from the sources of {}; see \
         changelog.gz.\n\n -- {}  {}",
        version(),
        env!("CARGO_PKG_VERSION"),
        maintainer(),
        date("--rfc-email")?,
    );
    fs::write(folder.join("changelog.Debian"), changelog)?;
    super::compress(&[folder.join("changelog.Debian"), folder.join("changelog")])
}

fn control(files: &[PathBuf]) -> sh::Outcome<String> {
    let mut size = 0;
    for file in files {
        size += fs::metadata(file)?.len().div_ceil(1024);
    }
    Ok(format!(
        "Package: everstream\nVersion: {}\nArchitecture: {}\nMaintainer: {}\n\
         Installed-Size: {size}\nSection: net\nPriority: optional\n\
         Depends: libc6 (>= {}.{})\n\
         Recommends: ca-certificates\n\
         Description: {DESCRIPTION}",
        version(),
        architecture()?,
        maintainer(),
        GLIBC.0,
        GLIBC.1,
    ))
}

/// Their paths are relative to the root.
fn sums(root: &Path, files: &[PathBuf]) -> sh::Outcome<String> {
    let mut sum = Command::new("md5sum");
    for file in files {
        sum.arg(file.strip_prefix(root)?);
    }
    sh::capture(sum.current_dir(root))
}

fn version() -> String {
    format!("{}-{REVISION}", env!("CARGO_PKG_VERSION"))
}

fn architecture() -> sh::Outcome<String> {
    let printed = sh::capture(Command::new("dpkg").arg("--print-architecture"))?;
    Ok(printed.trim().to_owned())
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

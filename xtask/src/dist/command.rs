//! The command as a tarball and as a Debian package.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, GLIBC, compress, debian, licenses, paths, root, time_of_commit};
use crate::sh;

/// Every engine of `relay`.
const FEATURES: &str = "relay-postgres,relay-redis,relay-nats";

/// The shells, and the files where they look for completions, below `share`.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/everstream"),
    ("zsh", "zsh/site-functions/_everstream"),
    ("fish", "fish/vendor_completions.d/everstream.fish"),
];

/// The README is that of the crate, because the repository's is for a clone.
const DOCUMENTS: [&str; 4] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "crates/everstream-cli/README.md",
];

pub(super) fn run(context: &Context) -> sh::Outcome {
    build(context, FEATURES)?;
    let profile = context.profile()?;
    let command = profile.join("everstream");
    check_glibc(&fs::read(&command)?)?;
    let tree = profile.join("tree");
    fill(&tree, &command)?;
    let texts = tree.join("share/doc/everstream/THIRD-PARTY-LICENSES.txt");
    let folder = sh::root().join("crates/everstream-cli");
    licenses::write(&context.triple, &folder, FEATURES, &texts)?;
    paths::check(&tree)?;
    let tarball = tarball(context, &tree)?;
    let package = debian::run(context)?;

    let unpack = ["tar", "--strip-components=1", "-C", "/usr/local", "-xzf"];
    root::try_out(context, &tarball, &unpack)?;
    root::try_out(context, &package, &["dpkg", "-i"])
}

fn build(context: &Context, features: &str) -> sh::Outcome {
    let target = format!("{}.{}.{}", context.triple, GLIBC.0, GLIBC.1);
    let mut build = context.tool(Command::new(
        context.python.with_file_name("cargo-zigbuild"),
    ))?;
    build
        .args(["zigbuild", "--locked", "--profile", "optimized"])
        .args(["--package", "everstream-cli", "--features", features])
        .args(["--target", &target])
        .current_dir(sh::root());
    sh::run(&mut build)
}

/// The versions of glibc's symbols are in the program as text.
fn check_glibc(program: &[u8]) -> sh::Outcome {
    let start = format!("GLIBC_{}.", GLIBC.0);
    let newest = program
        .windows(start.len())
        .enumerate()
        .filter(|(_, window)| *window == start.as_bytes())
        .filter_map(|(at, window)| {
            let rest = program[at + window.len()..].iter();
            let digits = rest.take_while(|it| it.is_ascii_digit());
            String::from_utf8(digits.copied().collect())
                .ok()?
                .parse::<u32>()
                .ok()
        })
        .max();
    match newest {
        Some(minor) if minor <= GLIBC.1 => {
            println!("command: needs {start}{minor}");
            Ok(())
        }
        Some(minor) => Err(format!("the command needs {start}{minor}").into()),
        None => Err("the command has no symbols of glibc".into()),
    }
}

/// Lays the files out as below `/usr/local`.
fn fill(tree: &Path, command: &Path) -> sh::Outcome {
    sh::empty_folder(tree)?;
    let place = |path: &str| -> sh::Outcome<_> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap_or(tree))?;
        Ok(path)
    };
    fs::copy(command, place("bin/everstream")?)?;
    for document in DOCUMENTS {
        let name = document.rsplit('/').next().unwrap_or(document);
        let place = place(&format!("share/doc/everstream/{name}"))?;
        fs::copy(sh::root().join(document), place)?;
    }
    for (shell, path) in COMPLETIONS {
        let script = sh::capture(Command::new(command).args(["completions", shell]))?;
        fs::write(place(&format!("share/{path}"))?, script)?;
    }
    let pages = place("share/man/man1")?;
    sh::capture(Command::new(command).arg("man").arg(&pages))?;
    compress(&paths::files(&pages)?)
}

fn tarball(context: &Context, tree: &Path) -> sh::Outcome<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("everstream-{version}-{}", context.triple);
    let tarball = context.artifacts.join(format!("{name}.tar.gz"));
    let time = time_of_commit()?;
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "--numeric-owner", "--sort=name"])
        .args(["--mode=u=rwX,go=rX", &format!("--mtime=@{time}")])
        .args([format!("--transform=s,^\\.,{name},"), "-C".into()])
        .arg(tree)
        .arg("-czf")
        .args([tarball.as_os_str(), OsStr::new(".")]);
    sh::run(&mut tar)?;
    Ok(tarball)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_a_newer_glibc_is_refused() {
        assert!(check_glibc(b"\0GLIBC_2.2.5\0GLIBC_2.17\0").is_ok());
        let error = check_glibc(b"\0GLIBC_2.17\0GLIBC_2.34\0").unwrap_err();
        assert_eq!(error.to_string(), "the command needs GLIBC_2.34");
    }
}

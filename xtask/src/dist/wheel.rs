//! The Python packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Context, GLIBC, licenses, paths};
use crate::{python, sh};

/// The minor versions to look for, as `python3.N`.
const VERSIONS: std::ops::RangeInclusive<u32> = 10..=15;

pub(super) fn run(context: &Context) -> sh::Outcome {
    let platform = format!("manylinux_{}_{}", GLIBC.0, GLIBC.1);
    let out = context.folder.join("wheel");
    sh::empty_folder(&out)?;
    let mut maturin = context.tool(python::maturin(&context.python, &out, "optimized")?)?;
    maturin.args(["--zig", "--compatibility", &platform]);
    // The name is one of `license-files`. Removed afterwards, because only built files need it.
    let texts = python::package().join("LICENSE-THIRD-PARTY.txt");
    licenses::write(&context.triple, &python::package(), "", &texts)?;
    let built = sh::run(&mut maturin);
    fs::remove_file(texts)?;
    built?;
    let wheel = python::only_file(&out)?;
    audit(context, &wheel, &platform)?;
    let unpacked = context.folder.join("unpacked");
    sh::empty_folder(&unpacked)?;
    let mut unpack = Command::new(&context.python);
    unpack.args(["-m", "zipfile", "-e"]);
    sh::capture(unpack.arg(&wheel).arg(&unpacked))?;
    paths::check(&unpacked)?;

    let mut tried = Vec::new();
    for minor in VERSIONS {
        let interpreter = format!("python3.{minor}");
        // A pyenv shim exists for versions that aren't selected, too.
        if sh::capture(Command::new(&interpreter).arg("--version")).is_ok() {
            let folder = context.folder.join(&interpreter);
            python::try_out(&interpreter, &wheel, &folder)?;
            tried.push(interpreter);
        } else {
            println!("wheel: {interpreter} isn't installed, and wasn't tried");
        }
    }
    if tried.is_empty() {
        return Err("no python3.N is in the path to try the wheel with".into());
    }
    println!("wheel: works with {}", tried.join(", "));

    for artifact in [wheel, python::sdist()?] {
        fs::copy(
            &artifact,
            context
                .artifacts
                .join(artifact.file_name().unwrap_or_default()),
        )?;
    }
    Ok(())
}

/// What the wheel really needs, as opposed to what its name says.
fn audit(context: &Context, wheel: &Path, platform: &str) -> sh::Outcome {
    let mut show = Command::new(&context.python);
    show.args(["-m", "auditwheel", "show"]).arg(wheel);
    let shown = sh::capture(&mut show)?;
    println!("{}", shown.trim());
    // It wraps its lines.
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    match shown.contains(&format!("following platform tag: \"{platform}_")) {
        true => Ok(()),
        false => Err(format!("the wheel isn't {platform}").into()),
    }
}

//! The Python packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Context, GLIBC, licenses, paths};
use crate::{python, sh};

/// The minor versions to look for, as `python3.N`.
const VERSIONS: std::ops::RangeInclusive<u32> = 10..=15;

/// The end of the name of the file with the crates and their licenses (PEP 770).
const LIST: &str = ".cyclonedx.json";

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
    remove_paths(context, &out)?;
    let wheel = python::only_file(&out)?;
    audit(context, &wheel, &platform)?;

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

/// Replaces the repository's path in the list of crates that maturin adds to the wheel in `folder`.
fn remove_paths(context: &Context, folder: &Path) -> sh::Outcome {
    let wheel = python::only_file(folder)?;
    let unpacked = context.folder.join("unpacked");
    sh::empty_folder(&unpacked)?;
    let tool = |command: &str| {
        let mut tool = Command::new(&context.python);
        tool.args(["-m", "wheel", command]);
        tool
    };
    sh::capture(tool("unpack").arg("--dest").arg(&unpacked).arg(&wheel))?;
    let root = sh::root().display().to_string();
    for file in paths::files(&unpacked)? {
        if file.to_string_lossy().ends_with(LIST) {
            let list = fs::read_to_string(&file)?;
            fs::write(&file, list.replace(&root, "/everstream"))?;
        }
    }
    paths::check(&unpacked)?;
    fs::remove_file(wheel)?;
    let mut pack = tool("pack");
    pack.arg("--dest-dir").arg(folder);
    pack.env("SOURCE_DATE_EPOCH", super::time_of_commit()?);
    sh::capture(pack.arg(python::only_file(&unpacked)?))?;
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

//! `cargo xtask minimal-versions`: the published crates with the oldest dependencies that their
//! manifests admit.

use std::fs;

use crate::{copy, published, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("minimal-versions", args)?;
    let folder = sh::target()?.join("minimal-versions");
    let workspace = folder.join("workspace");
    let crates = published::crates()?;
    copy::empty(&workspace)?;
    for package in &crates {
        let there = workspace.join("crates").join(&package.name);
        for part in ["src", "guides"] {
            copy::tree(&package.folder.join(part), &there.join(part))?;
        }
        let manifest = fs::read_to_string(package.folder.join("Cargo.toml"))?;
        fs::write(there.join("Cargo.toml"), without_tests(&manifest))?;
    }

    let cargo = |args: &[&str]| {
        let mut command = sh::cargo(args);
        command
            .current_dir(&workspace)
            .env("CARGO_TARGET_DIR", folder.join("build"));
        command
    };
    for package in &crates {
        // What isn't published, the command beside the library, and what tests need would raise the
        // versions. Siblings that it depends on become members by themselves, so that they must state
        // the same bound for what both use.
        let member = format!("crates/{}", package.name);
        fs::write(workspace.join("Cargo.toml"), copy::manifest(&member)?)?;
        let lock = workspace.join("Cargo.lock");
        if lock.exists() {
            fs::remove_file(lock)?;
        }
        // The option is an unstable one of cargo's. What is built shall be built as users do.
        let mut resolve = cargo(&["update", "--quiet", "-Z", "direct-minimal-versions"]);
        sh::run(resolve.env("RUSTC_BOOTSTRAP", "1"))?;
        for features in ["--all-features", "--no-default-features"] {
            sh::run(&mut cargo(&[
                "check",
                "--locked",
                "--package",
                &package.name,
                features,
            ]))?;
        }
    }
    println!("minimal-versions: ok");
    Ok(())
}

/// A manifest without the tables that name tests and examples, and what they need.
fn without_tests(manifest: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = ["[dev-dependencies]", "[[test]]", "[[example]]"].contains(&line);
        }
        if !within {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_need_is_left_out() {
        let manifest = "[dependencies]\na = \"1\"\n\n[dev-dependencies]\nb = \"2\"\n\
            [[test]]\nname = \"t\"\n[lints]\nworkspace = true\n";
        let expected = "[dependencies]\na = \"1\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(without_tests(manifest), expected);
    }
}

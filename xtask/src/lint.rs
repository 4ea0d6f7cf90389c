//! `cargo xtask lint`: everything a machine can say about the sources.

use crate::{api, deny, python, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("lint", args)?;

    let mut doc = sh::cargo([
        "doc",
        "--workspace",
        "--all-features",
        "--no-deps",
        // The command and the library share the name `everstream`, and so the same
        // folder of pages; the library's are the ones that people read.
        "--lib",
    ]);
    doc.env("RUSTDOCFLAGS", "-D warnings");

    let mut steps = [
        sh::cargo(["fmt", "--all", "--check"]),
        sh::cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ]),
        // Code behind a feature gate is often used from outside of it by mistake, and
        // a build with everything switched on cannot tell.
        sh::cargo([
            "clippy",
            "--package",
            "everstream",
            "--all-targets",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ]),
        sh::cargo([
            "clippy",
            "--package",
            "everstream-cli",
            "--all-targets",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ]),
        doc,
    ];

    // All steps run, so that one round shows all there is to mend.
    let mut failures = Vec::new();
    for step in &mut steps {
        if let Err(error) = sh::run(step) {
            failures.push(error.to_string());
        }
    }
    match api::check() {
        Ok(api::Verdict::Same) => {}
        Ok(api::Verdict::OtherRust(why)) => println!("api NOT CHECKED: {why}"),
        Err(error) => failures.push(error.to_string()),
    }
    match python::lints() {
        Ok(checks) => {
            for mut check in checks {
                if let Err(error) = sh::run(&mut check) {
                    failures.push(error.to_string());
                }
            }
        }
        Err(error) => failures.push(error.to_string()),
    }
    if let Err(error) = deny::run(&[]) {
        failures.push(error.to_string());
    }
    if failures.is_empty() {
        println!("lint: ok");
        Ok(())
    } else {
        Err(format!("lint found problems:\n  {}", failures.join("\n  ")).into())
    }
}

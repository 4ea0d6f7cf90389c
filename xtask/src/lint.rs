//! `cargo xtask lint`: all checks of the sources.

use crate::{api, deny, prose, python, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("lint", args)?;

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
        // Code outside a feature gate often uses what is behind it. A build with all features
        // doesn't show that.
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
    ];

    // All steps run, so that one run reports every problem.
    let mut failures = Vec::new();
    match prose::check() {
        Ok(problems) => failures.extend(problems.iter().map(ToString::to_string)),
        Err(error) => failures.push(error.to_string()),
    }
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

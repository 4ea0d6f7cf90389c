//! `cargo xtask test`: all tests, and one line that sums them up.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{apt, docs, python, sh};

/// Far more than pytest takes.
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("test", args)?;
    let mut total = Tally::default();
    let mut failures = Vec::new();
    match docs::check() {
        Ok(problems) => {
            total.failed += problems.len() as u64;
            failures.extend(problems.iter().map(ToString::to_string));
        }
        Err(error) => failures.push(format!("docs: {error}")),
    }
    // The tests of the relay need these, and fail with the reason if one is missing.
    let engines = sh::target().and_then(|target| apt::engines(&target.join("apt.log")));
    if let Err(error) = engines {
        failures.push(format!("engines: {error}"));
    }
    if let Err(error) = run_tests(&mut total, &mut failures) {
        failures.push(error.to_string());
    }
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    // Last, also if stdout and stderr are the same.
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 && failures.is_empty() {
        Ok(())
    } else {
        Err(sh::Reported.into())
    }
}

/// An error if the tests can't be built; tests that fail are added to `failures`.
fn run_tests(total: &mut Tally, failures: &mut Vec<String>) -> sh::Outcome {
    const ALL: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];
    sh::run(sh::cargo(ALL).arg("--no-run"))?;
    // The tests in Python and Rust mostly wait, so both run at the same time, once all are built.
    let python = python::tests().and_then(|[pytest, contract]| {
        let log = sh::target()?.join("python/test/pytest.log");
        Ok((Background::start("pytest", &pytest, log)?, contract))
    });
    let mut smallest = sh::cargo(["test", "--package", "everstream", "--no-default-features"]);
    smallest.args(["--lib", "--tests", "--no-fail-fast"]);
    let mut steps = vec![
        ("all features", sh::cargo(ALL)),
        ("no default features", smallest),
    ];
    let pytest = match python {
        Ok((pytest, contract)) => {
            steps.push(("contract tests of Python", contract));
            Some(pytest)
        }
        Err(error) => {
            failures.push(format!("python: {error}"));
            None
        }
    };
    for (name, mut command) in steps {
        if let Err(error) = stream(&mut command, total) {
            failures.push(format!("{name}: {error}"));
        }
    }
    if let Some(Err(error)) = pytest.map(|it| it.finish(total, io::stdout())) {
        failures.push(format!("python: {error}"));
    }
    Ok(())
}

/// A program that runs while others do. Its output is shown once it has ended.
struct Background {
    shown: String,
    log: PathBuf,
    process: sh::Guard,
}

impl Background {
    fn start(name: &str, command: &Command, log: PathBuf) -> sh::Outcome<Background> {
        eprintln!("\n$ {} (in the background)", sh::shown(command));
        let file = File::create(&log)?;
        let process = sh::Guard::start_with(name, command, file.try_clone()?.into(), file.into())?;
        Ok(Background {
            shown: sh::shown(command),
            log,
            process,
        })
    }

    /// Waits for the program, copies its output and counts the results.
    fn finish(mut self, total: &mut Tally, mut out: impl Write) -> sh::Outcome {
        let status = self.process.wait(LIMIT);
        eprintln!("\n$ {}", self.shown);
        let output = fs::read(&self.log)?;
        out.write_all(&output)?;
        Counter::default().feed(&output, total);
        let status = status?;
        if status.success() {
            return Ok(());
        }
        Err(format!("`{}` ended with {status}", self.shown).into())
    }
}

/// Runs a step, passes its output through and counts the results.
fn stream(command: &mut Command, total: &mut Tally) -> sh::Outcome {
    sh::announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| sh::not_started(command, &error))?;
    if let Some(mut stdout) = child.stdout.take() {
        let mut counter = Counter::default();
        let mut buffer = [0; 8192];
        loop {
            let read = stdout.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            let mut out = io::stdout().lock();
            out.write_all(&buffer[..read])?;
            out.flush()?;
            counter.feed(&buffer[..read], total);
        }
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", sh::shown(command)).into())
    }
}

/// The results of all steps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Finds result lines in a stream of bytes.
#[derive(Default)]
struct Counter {
    line: Vec<u8>,
}

impl Counter {
    fn feed(&mut self, bytes: &[u8], total: &mut Tally) {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line);
            if let Some((passed, failed)) = result_line(&line).or_else(|| pytest_line(&line)) {
                total.passed += passed;
                total.failed += failed;
            }
            self.line.clear();
        }
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; 0 ignored; ...`.
fn result_line(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |name: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(name)?.trim().parse().ok())
    };
    Some((count("passed")?, count("failed")?))
}

/// Reads `1 failed, 233 passed, 2 skipped in 19.39s`. pytest's errors, outside of tests, count as
/// failures.
fn pytest_line(line: &str) -> Option<(u64, u64)> {
    let (counts, time) = line.rsplit_once(" in ")?;
    time.split_once('s')?.0.parse::<f64>().ok()?;
    let (mut passed, mut failed) = (0, 0);
    for count in counts.split(", ") {
        let (number, what) = count.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match what {
            "passed" => passed += number,
            "failed" | "error" | "errors" => failed += number,
            _ => {}
        }
    }
    Some((passed, failed))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::published;

    /// All files below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            match entry.unwrap().path() {
                path if path.is_dir() => found.extend(files(&path)),
                path => found.push(path),
            }
        }
        found
    }

    /// Cargo doesn't look for test files here (`autotests = false`), so a file without a `mod` line
    /// would be skipped silently.
    #[test]
    fn every_test_file_is_part_of_a_test_program() {
        for package in published::crates().unwrap() {
            let folder = sh::root().join("crates").join(&package.name);
            let mut sources = files(&folder.join("tests"));
            sources.retain(|path| path.extension().is_some_and(|it| it == "rs"));
            assert!(!sources.is_empty(), "{folder:?}");
            let mut all = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            for source in &sources {
                all += &fs::read_to_string(source).unwrap();
            }
            for source in &sources {
                let mut module = source.with_extension("");
                if module.ends_with("mod") {
                    module.pop();
                }
                let (folder, name) = (module.parent().unwrap(), module.file_name().unwrap());
                let name = name.to_str().unwrap();
                let parents = [
                    folder.join("main.rs"),
                    folder.join("mod.rs"),
                    folder.with_extension("rs"),
                ];
                let declared = parents
                    .iter()
                    .filter_map(|parent| fs::read_to_string(parent).ok())
                    .any(|parent| parent.contains(&format!("mod {name};")));
                // In `path` or `include!`.
                let named = all.contains(&format!("{name}.rs\""));
                let source = source.display();
                assert!(declared || named, "no `mod {name};` for {source}");
            }
        }
    }

    #[test]
    fn results_are_summed_over_lines_cut_anywhere() {
        let output = b"running 3 tests\n\
            test a ... ok\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        for cut in 0..output.len() {
            let (mut counter, mut total) = (Counter::default(), Tally::default());
            counter.feed(&output[..cut], &mut total);
            counter.feed(&output[cut..], &mut total);
            let expected = Tally {
                passed: 7,
                failed: 2,
            };
            assert_eq!(total, expected, "cut at {cut}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_in_the_background_is_counted_when_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut total = Tally::default();
        for (script, succeeds) in [
            ("echo 2 passed in 0.10s", true),
            ("echo 1 failed, 3 passed in 0.10s; exit 1", false),
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let program = Background::start("sh", &command, log.clone()).unwrap();
            assert_eq!(
                program.finish(&mut total, io::sink()).is_ok(),
                succeeds,
                "{script}"
            );
        }
        let expected = Tally {
            passed: 5,
            failed: 1,
        };
        assert_eq!(total, expected);
    }

    #[test]
    fn results_of_pytest_are_counted() {
        assert_eq!(pytest_line("234 passed in 19.39s"), Some((234, 0)));
        assert_eq!(
            pytest_line("1 failed, 2 passed, 3 skipped, 4 errors in 61.00s (0:01:01)"),
            Some((2, 5))
        );
        assert_eq!(pytest_line("no tests ran in 0.01s"), None);
        assert_eq!(pytest_line("all is passed in 5 parts"), None);
    }

    #[test]
    fn lines_that_only_look_like_results_are_not_counted() {
        assert_eq!(result_line("  test result: ok. 3 passed; 0 failed"), None);
        assert_eq!(result_line("test result: ok."), None);
        assert_eq!(result_line("test result: ok. many passed; 0 failed"), None);
    }
}

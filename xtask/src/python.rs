//! The Python package: `cargo xtask python` and `wheel`, and the steps of `test` and `lint` for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh;

/// The oldest Python that the package supports.
const OLDEST: (u32, u32) = (3, 10);

/// Creates a virtual environment, unless it exists with these requirements. Returns its Python.
pub(crate) fn venv(folder: &Path, requirements: &Path) -> sh::Outcome<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin").join("python");
    let stamp = venv.join("installed.txt");
    let wanted = fs::read(requirements)?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    fs::create_dir_all(folder)?;
    let log = folder.join("pip.log");
    empty_venv(&interpreter()?, &venv, &log)?;
    sh::logged(pip(&python).arg("-r").arg(requirements), &log)?;
    // Written last, so that an incomplete installation is repeated.
    fs::write(&stamp, wanted)?;
    Ok(python)
}

fn empty_venv(interpreter: &str, venv: &Path, log: &Path) -> sh::Outcome {
    sh::logged(
        Command::new(interpreter)
            .args(["-m", "venv", "--clear"])
            .arg(venv),
        log,
    )
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"]);
    pip
}

/// The Python interpreter that `PYTHON` names, or `python3`.
fn interpreter() -> sh::Outcome<String> {
    let name = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let (major, minor) = OLDEST;
    let check = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    match sh::capture(Command::new(&name).args(["-c", &check])) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!(
            "`{name}` isn't Python {major}.{minor} or newer; set PYTHON to one that is"
        )
        .into()),
    }
}

pub(crate) fn package() -> PathBuf {
    sh::root().join("python")
}

fn folder(name: &str) -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join("python").join(name))
}

/// Builds a wheel into an empty folder. Returns its path.
fn build(python: &Path, out: &Path, profile: &str) -> sh::Outcome<PathBuf> {
    sh::empty_folder(out)?;
    sh::run(&mut maturin(python, out, profile)?)?;
    only_file(out)
}

pub(crate) fn maturin(python: &Path, out: &Path, profile: &str) -> sh::Outcome<Command> {
    let mut maturin = Command::new(python);
    maturin
        .args(["-m", "maturin", "build", "--locked", "--profile", profile])
        .arg("--out")
        .arg(out)
        .env("CARGO_TARGET_DIR", sh::target()?)
        .current_dir(package());
    Ok(maturin)
}

pub(crate) fn only_file(folder: &Path) -> sh::Outcome<PathBuf> {
    let entries = fs::read_dir(folder)?;
    let files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => Err(format!("expected exactly one file in {}", folder.display()).into()),
    }
}

fn install(python: &Path, wheel: &Path, log: &Path) -> sh::Outcome {
    let arguments = ["--force-reinstall", "--no-deps"];
    sh::logged(pip(python).args(arguments).arg(wheel), log)
}

/// More than two cores can run at once, because the tests mostly wait.
const TEST_PROCESSES: &str = "3";

/// Builds and installs the package. Returns the commands that test it: its own tests, and those of
/// the contract-test service.
pub(crate) fn tests() -> sh::Outcome<[Command; 2]> {
    let folder = folder("test")?;
    let python = venv(&folder, &package().join("requirements-test.txt"))?;
    let wheel = build(&python, &folder.join("wheel"), "dev")?;
    install(&python, &wheel, &folder.join("install.log"))?;
    let mut pytest = Command::new(&python);
    pytest
        .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
        .args(["--numprocesses", TEST_PROCESSES, "--dist", "worksteal"])
        .current_dir(package());
    // The workspace's build of these tests, which `cargo xtask test` has made already.
    let mut contract = sh::cargo(["test", "--workspace", "--all-features"]);
    contract
        .args(["--test", "service", "--", "--ignored"])
        .env("EVERSTREAM_PYTHON", python);
    Ok([pytest, contract])
}

/// `cargo xtask python`.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("python", args)?;
    for mut tests in tests()? {
        sh::run(&mut tests)?;
    }
    Ok(())
}

/// The Python service of the contract tests, relative to the package's folder.
const SERVICE: &str = "../contract-tests/python";

/// The checks of the Python sources, and of the type stubs against the installed package.
pub(crate) fn lints() -> sh::Outcome<Vec<Command>> {
    let folder = folder("lint")?;
    let requirements = package().join("requirements-lint.txt");
    let python = venv(&folder, &requirements)?;
    let wheel = build(&python, &folder.join("wheel"), "dev")?;
    install(&python, &wheel, &folder.join("install.log"))?;
    let stubtest = [
        "mypy.stubtest",
        "--mypy-config-file=pyproject.toml",
        "--allowlist=stubtest-allowlist.txt",
        "everstream",
        "pytest_everstream",
    ];
    let checks: [&[&str]; 4] = [
        &["ruff", "format", "--check", "--no-cache", ".", SERVICE],
        &["ruff", "check", "--no-cache", ".", SERVICE],
        &["mypy", "--cache-dir=/dev/null"],
        &stubtest,
    ];
    let commands = checks.map(|arguments| {
        let mut command = Command::new(&python);
        command.arg("-m").args(arguments).current_dir(package());
        command
    });
    Ok(commands.into())
}

/// Builds the optimized package, installs it with the clients to compare with, and returns the
/// command that compares them.
pub(crate) fn benchmark(args: &[String]) -> sh::Outcome<Command> {
    let folder = folder("bench")?;
    let python = venv(&folder, &package().join("requirements-bench.txt"))?;
    let wheel = build(&python, &folder.join("wheel"), "optimized")?;
    install(&python, &wheel, &folder.join("install.log"))?;
    let mut command = Command::new(python);
    command
        .arg("bench/run.py")
        .args(args)
        .current_dir(package());
    Ok(command)
}

/// `cargo xtask wheel`: builds an optimized wheel, and tries it in an empty environment.
pub(crate) fn wheel(args: &[String]) -> sh::Outcome {
    sh::no_arguments("wheel", args)?;
    let python = venv(&folder("test")?, &package().join("requirements-test.txt"))?;
    let wheel = build(&python, &sh::target()?.join("wheels"), "optimized")?;

    try_out(&interpreter()?, &wheel, &folder("wheel")?)?;
    println!("{}", wheel.display());
    Ok(())
}

/// Files that the source distribution must contain, including the crates that it is built from.
const SDIST: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "crates/everstream/src/lib.rs",
    "crates/everstream-core/src/lib.rs",
    "crates/everstream-http/src/lib.rs",
    "crates/everstream-testing/src/lib.rs",
    "python/src/lib.rs",
    "python/everstream/__init__.py",
    "python/everstream/_native.pyi",
    "python/everstream/py.typed",
    "python/pytest_everstream/__init__.py",
];

/// Whether a file must not be distributed: integration tests and benchmarks. Unit tests are part of
/// `src`, so they are.
fn is_repository_only(file: &str) -> bool {
    let mut folders = file.split('/').take_while(|it| *it != "src");
    folders.any(|it| it == "tests" || it == "bench")
}

/// Checks the source distribution: its contents, and that it builds and works in an empty environment.
/// Returns its path.
pub(crate) fn sdist() -> sh::Outcome<PathBuf> {
    let python = venv(&folder("test")?, &package().join("requirements-test.txt"))?;
    let folder = folder("sdist")?;
    let out = folder.join("out");
    sh::empty_folder(&out)?;
    let mut maturin = Command::new(python);
    maturin
        .args(["-m", "maturin", "sdist", "--out"])
        .arg(&out)
        .current_dir(package());
    sh::run(&mut maturin)?;
    let archive = only_file(&out)?;
    let listed = sh::capture(Command::new("tar").arg("-tzf").arg(&archive))?;
    let files: Vec<&str> = listed
        .lines()
        .filter_map(|it| Some(it.split_once('/')?.1))
        .collect();
    if let Some(missing) = SDIST.iter().find(|it| !files.contains(it)) {
        return Err(format!("{missing} is missing from the source distribution").into());
    }
    if let Some(unexpected) = files.iter().find(|it| is_repository_only(it)) {
        return Err(format!("{unexpected} must not be in the source distribution").into());
    }
    try_out(&interpreter()?, &archive, &folder)?;
    println!("{}: {} files", archive.display(), files.len());
    Ok(archive)
}

/// Installs a wheel or a source distribution into an empty environment, and uses it from an empty folder.
pub(crate) fn try_out(interpreter: &str, package: &Path, folder: &Path) -> sh::Outcome {
    let trial = folder.join("empty");
    sh::empty_folder(&trial)?;
    let log = folder.join("install.log");
    empty_venv(interpreter, &folder.join("venv"), &log)?;
    let python = folder.join("venv").join("bin").join("python");
    let mut install = pip(&python);
    // The cache might hold a wheel built from an earlier version.
    install
        .arg("--no-cache-dir")
        .arg(package)
        // A source distribution is built without optimization, to save time. Without `--locked`,
        // because its lock file names crates that it doesn't include.
        .env("MATURIN_PEP517_ARGS", "--profile dev")
        .env("CARGO_TARGET_DIR", sh::target()?)
        .current_dir(&trial);
    if package.extension().is_some_and(|it| it == "whl") {
        // No compiler: nothing is built.
        install.env("PATH", "");
    }
    sh::logged(&mut install, &log)?;
    let mut trial_run = Command::new(&python);
    trial_run
        .args(["-W", "error", "-c", TRIAL])
        .current_dir(&trial);
    let output = sh::capture(&mut trial_run)?;
    // A wheel of `xtask dist` has a third license file.
    match output.trim().trim_end_matches(" LICENSE-THIRD-PARTY.txt") {
        "hello hello hello LICENSE-APACHE LICENSE-MIT" => Ok(()),
        said => Err(format!(
            "unexpected output of the trial of {}: {said:?}",
            package.display()
        )
        .into()),
    }
}

/// Threads, asyncio, and the replacement of launchdarkly-eventsource.
const TRIAL: &str = "\
import asyncio
from importlib.metadata import files

import everstream.compat
from everstream import AsyncSSEClient, SSEClient
from everstream.testing import Reply, SSEServer

everstream.compat.install_as_ld_eventsource()
import ld_eventsource
from ld_eventsource.config import ConnectStrategy

async def first(url):
    async with AsyncSSEClient(url) as client:
        return (await anext(client.events)).data

with SSEServer() as server:
    server.otherwise(Reply.stream().event('hello'))
    with SSEClient(server.url()) as client:
        data = [next(client.events).data]
    data.append(asyncio.run(first(server.url())))
    client = ld_eventsource.SSEClient(connect=ConnectStrategy.http(server.url()))
    data.append(next(client.events).data)
    client.close()
licenses = sorted(path.name for path in files('everstream') if 'LICENSE' in path.name)
print(*data, *licenses)
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_tests_are_distributed_and_integration_tests_are_not() {
        for file in [
            "tests/test_docs.py",
            "crates/everstream/tests/main.rs",
            "python/bench/run.py",
        ] {
            assert!(is_repository_only(file), "{file}");
        }
        for file in [
            "crates/everstream/src/connect/net/tests/direct.rs",
            "python/everstream/testing.py",
        ] {
            assert!(!is_repository_only(file), "{file}");
        }
    }
}

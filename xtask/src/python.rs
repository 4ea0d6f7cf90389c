//! The Python package: `cargo xtask wheel`, and what `test` and `lint` do with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sh;

/// The oldest that the package serves.
const OLDEST: (u32, u32) = (3, 10);

/// Makes a virtual environment, once per set of requirements; returns its Python.
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
    empty_venv(&venv, &log)?;
    sh::logged(pip(&python).arg("-r").arg(requirements), &log)?;
    // Last, so that a broken installation is made again.
    fs::write(&stamp, wanted)?;
    Ok(python)
}

fn empty_venv(venv: &Path, log: &Path) -> sh::Outcome {
    sh::logged(
        Command::new(interpreter()?)
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

/// The Python that `PYTHON` names, or `python3`.
fn interpreter() -> sh::Outcome<String> {
    let name = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let (major, minor) = OLDEST;
    let check = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    match sh::capture(Command::new(&name).args(["-c", &check])) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!(
            "`{name}` isn't a Python {major}.{minor} or newer; name one with PYTHON=..."
        )
        .into()),
    }
}

fn package() -> PathBuf {
    sh::root().join("python")
}

fn folder(name: &str) -> sh::Outcome<PathBuf> {
    Ok(sh::target()?.join("python").join(name))
}

/// Builds a wheel into a folder that holds nothing else; returns it.
fn build(python: &Path, out: &Path, profile: &str) -> sh::Outcome<PathBuf> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let mut maturin = Command::new(python);
    maturin
        .args(["-m", "maturin", "build", "--locked", "--profile", profile])
        .arg("--out")
        .arg(out)
        .env("CARGO_TARGET_DIR", sh::target()?)
        .current_dir(package());
    sh::run(&mut maturin)?;
    let wheels: Vec<PathBuf> = fs::read_dir(out)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    match wheels.as_slice() {
        [wheel] => Ok(wheel.clone()),
        _ => Err(format!("{} doesn't hold one wheel", out.display()).into()),
    }
}

fn install(python: &Path, wheel: &Path, log: &Path) -> sh::Outcome {
    let arguments = ["--force-reinstall", "--no-deps"];
    sh::logged(pip(python).args(arguments).arg(wheel), log)
}

/// Builds the package as it is installed, and returns the commands that test it: its own tests, and
/// those of the contract-test service with its client.
pub(crate) fn tests() -> sh::Outcome<[Command; 2]> {
    let folder = folder("test")?;
    let python = venv(&folder, &package().join("requirements-test.txt"))?;
    let wheel = build(&python, &folder.join("wheel"), "dev")?;
    install(&python, &wheel, &folder.join("install.log"))?;
    let mut pytest = Command::new(&python);
    pytest
        .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
        .current_dir(package());
    let mut contract = sh::cargo(["test", "--package", "everstream-contract-tests"]);
    contract
        .args(["--all-features", "--test", "service", "--", "--ignored"])
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

/// Of the contract tests, from the package's folder.
const SERVICE: &str = "../contract-tests/python";

/// The checks of the Python sources, and of the types that are told of the package as it is
/// installed.
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

/// Builds the package optimised beside the clients that it is compared with, and returns the command
/// that does so.
pub(crate) fn benchmark(args: &[String]) -> sh::Outcome<Command> {
    let folder = folder("bench")?;
    let python = venv(&folder, &package().join("requirements-bench.txt"))?;
    let wheel = build(&python, &folder.join("wheel"), "release")?;
    install(&python, &wheel, &folder.join("install.log"))?;
    let mut command = Command::new(python);
    command
        .arg("bench/run.py")
        .args(args)
        .current_dir(package());
    Ok(command)
}

/// `cargo xtask wheel`: an optimised wheel, tried where nothing else is installed.
pub(crate) fn wheel(args: &[String]) -> sh::Outcome {
    sh::no_arguments("wheel", args)?;
    let python = venv(&folder("test")?, &package().join("requirements-test.txt"))?;
    let wheel = build(&python, &sh::target()?.join("wheels"), "release")?;

    let trial = folder("wheel")?;
    fs::create_dir_all(&trial)?;
    let log = trial.join("install.log");
    empty_venv(&trial.join("venv"), &log)?;
    let python = trial.join("venv").join("bin").join("python");
    install(&python, &wheel, &log)?;
    let said = sh::capture(
        Command::new(&python)
            .args(["-W", "error", "-c", TRIAL])
            .current_dir(&trial),
    )?;
    if said.trim() != "hello" {
        return Err(format!("the wheel was tried, and said {said:?}").into());
    }
    println!("{}", wheel.display());
    Ok(())
}

const TRIAL: &str = "\
from everstream import SSEClient
from everstream.testing import Reply, SSEServer

with SSEServer() as server:
    server.enqueue(Reply.stream().event('hello'))
    with SSEClient(server.url()) as client:
        print(next(client.events).data)
";

//! `cargo xtask wasm`: the client in a real browser: headless Chromium, on a page and in a worker. Also
//! clippy for this target, and the size of a minimal client.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{apt, msrv, sh};

const TARGET: &str = "wasm32-unknown-unknown";
const CHROMIUM: &str = "/usr/bin/chromium";

/// Debian's packages of a Rust that can compile for browsers. The source must be that of the compiler.
const PACKAGES: &[&str] = &[
    "rustc-web=VERSION.*",
    "rust-web-clippy=VERSION.*",
    "rust-web-src=VERSION.*",
    "libstd-rust-web-dev=VERSION.*",
    "libstd-rust-web-VERSION=VERSION.*",
    "libllvm19",
];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("wasm", args)?;
    let folder = sh::target()?.join("wasm");
    fs::create_dir_all(&folder)?;
    apt::install(&[(CHROMIUM, "chromium")], &folder.join("apt.log"))?;
    let manifest = sh::root().join("browser/Cargo.toml");

    let runner = |subcommand: &str| {
        let mut cargo = sh::cargo([subcommand, "--package", "browser-runner"]);
        cargo.arg("--manifest-path").arg(&manifest);
        cargo.env("CARGO_TARGET_DIR", &folder);
        cargo
    };
    // Meanwhile, because it has nothing in common with the rest.
    let mut runner_build = runner("build").arg("--quiet").spawn()?;

    let compiler = match has_target()? {
        true => None,
        false => Some(toolchain(&folder)?),
    };
    let guest = sh::cargo(["build", "--release", "--package", "browser-guest"]);
    let mut guest = for_browser(guest, &folder, compiler.as_deref());
    sh::run(guest.arg("--manifest-path").arg(&manifest))?;
    lint(&folder, compiler.as_deref())?;

    runner_build.wait()?;
    let out = folder.join("served");
    sh::empty_folder(&out)?;
    let mut run = runner("run");
    run.arg("--").arg(folder.join(TARGET).join("release"));
    sh::run(run.arg(out).arg(CHROMIUM))?;
    println!("wasm: ok");
    Ok(())
}

/// Runs fmt, and clippy for this target, which also shows that the libraries compile for it with all features, and
/// the engine without the standard library.
fn lint(folder: &Path, compiler: Option<&[(&'static str, OsString)]>) -> sh::Outcome {
    let fmt = [
        "fmt",
        "--all",
        "--check",
        "--manifest-path",
        "browser/Cargo.toml",
    ];
    sh::run(&mut sh::cargo(fmt))?;
    for package in [
        ["everstream-core", "--no-default-features"],
        ["everstream", "--all-features"],
    ] {
        let clippy = match compiler {
            None => sh::cargo(["clippy"]),
            // That of rustup belongs to another compiler.
            Some(_) => {
                let mut clippy = Command::new(folder.join("rust/usr/bin/cargo-clippy"));
                clippy.arg("clippy").current_dir(sh::root());
                clippy
            }
        };
        let mut clippy = for_browser(clippy, folder, compiler);
        clippy.arg("--package").args(package);
        // The oldest clippy warns of what the newest allows.
        clippy.args(["--", "-D", "warnings", "-A", "clippy::precedence"]);
        sh::run(&mut clippy)?;
    }
    Ok(())
}

/// Adds the arguments and variables that a command of cargo needs to compile for browsers.
fn for_browser(
    mut cargo: Command,
    folder: &Path,
    compiler: Option<&[(&'static str, OsString)]>,
) -> Command {
    cargo.args(["--target", TARGET]);
    if let Some(variables) = compiler {
        cargo.args(["-Z", "build-std=std,panic_abort"]);
        cargo.envs(variables.iter().cloned());
    }
    cargo.env("CARGO_TARGET_DIR", folder);
    cargo
}

/// Whether the installed Rust has the standard library for browsers.
fn has_target() -> sh::Outcome<bool> {
    let mut rustc = Command::new("rustc");
    let libraries = sh::capture(rustc.args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(libraries.trim()).exists())
}

/// The variables that select Debian's compiler, which builds the standard library from its source. It is
/// downloaded if it isn't there yet.
fn toolchain(folder: &Path) -> sh::Outcome<Vec<(&'static str, OsString)>> {
    let root = folder.join("rust");
    if !root.join("usr/bin/cargo-clippy").exists() {
        sh::empty_folder(&root)?;
        msrv::unpack(folder, &root, PACKAGES)
            .map_err(|error| format!("{error}\nor, with rustup: rustup target add {TARGET}"))?;
    }
    let rustlib = root.join("usr/lib/rustlib");
    let sources = rustlib.join("src/rust");
    if !sources.exists() {
        fs::create_dir_all(rustlib.join("src"))?;
        let from = root
            .join("usr/src")
            .join(format!("rustc-{}.0", msrv::VERSION));
        #[cfg(unix)]
        std::os::unix::fs::symlink(from, sources)?;
        #[cfg(not(unix))]
        return Err(format!("only on Debian: {} {}", from.display(), sources.display()).into());
    }
    let sysroot = sh::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let host = format!(
        "lib/rustlib/{}-unknown-linux-gnu/bin/rust-lld",
        std::env::consts::ARCH
    );
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    Ok(vec![
        ("RUSTC", root.join("usr/bin/rustc").into()),
        ("LD_LIBRARY_PATH", root.join(machine).into()),
        // For `-Z`.
        ("RUSTC_BOOTSTRAP", "1".into()),
        // Debian's is in yet another package.
        (
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
            Path::new(sysroot.trim()).join(host).into(),
        ),
    ])
}

//! `cargo xtask wasm`: the client in a real browser: headless Chromium, on a page and in a worker. Also
//! clippy for this target, the size of a minimal client, the Leptos example, and a comparison of clients.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interop::programs::{self, CHROMIUM};
use crate::{apt, msrv, sh};

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages of a Rust that can compile for browsers. The source must be that of the compiler.
const PACKAGES: &[&str] = &[
    "rustc-web=VERSION.*",
    "rust-web-clippy=VERSION.*",
    "rust-web-src=VERSION.*",
    "libstd-rust-web-dev=VERSION.*",
    "libstd-rust-web-VERSION=VERSION.*",
    "libllvm19",
];

const USAGE: &str = "\
usage: cargo xtask wasm [--lint | --examples | --bench [--events N] [--rounds N]]

  without an option  the tests, the guide's programs, and the size of a minimal client
  --lint             fmt, and clippy for the browser
  --examples         the Leptos example
  --bench            the speed and the size of clients, into docs/bench/browser.md
";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => Workplace::new()?.run_tests(),
        ["--lint"] => Workplace::new()?.lint(),
        ["--examples"] => Workplace::new()?.run_examples(),
        ["--bench", ref options @ ..] => {
            let [mut events, mut rounds] = ["300000", "7"];
            for option in options.chunks(2) {
                match *option {
                    ["--events", number] => events = number,
                    ["--rounds", number] => rounds = number,
                    _ => return Err(sh::UsageError(USAGE.to_owned()).into()),
                }
            }
            Workplace::new()?.measure(events, rounds)
        }
        _ => Err(sh::UsageError(USAGE.to_owned()).into()),
    }
}

/// Where everything is built, and what is installed.
struct Workplace {
    folder: PathBuf,
    manifest: PathBuf,
    /// The variables and the arguments that select a compiler, unless the installed one will do.
    compiler: Option<Vec<(&'static str, OsString)>>,
}

impl Workplace {
    fn new() -> sh::Outcome<Workplace> {
        let folder = sh::target()?.join("wasm");
        fs::create_dir_all(&folder)?;
        apt::install(&[CHROMIUM], &folder.join("apt.log"))?;
        let compiler = match has_target()? {
            true => None,
            false => Some(toolchain(&folder)?),
        };
        let manifest = sh::root().join("browser/Cargo.toml");
        Ok(Workplace {
            folder,
            manifest,
            compiler,
        })
    }

    fn run_tests(&self) -> sh::Outcome {
        // Meanwhile, because it has nothing in common with the rest.
        let mut runner_build = self.native("build", "browser-runner");
        let mut runner_build = runner_build.arg("--quiet").spawn()?;
        self.build(&["--package", "browser-guest", "--release"])?;
        runner_build.wait()?;
        self.run_runner()?;
        self.host("guide", &[])?;
        println!("wasm: ok");
        Ok(())
    }

    fn run_examples(&self) -> sh::Outcome {
        self.build(&["--package", "browser-leptos", "--release"])?;
        self.host("leptos", &[])?;
        println!("wasm: ok");
        Ok(())
    }

    fn measure(&self, events: &str, rounds: &str) -> sh::Outcome {
        let npm = programs::node_modules(&self.folder, &sh::root().join("browser/bench"))?;
        // Apart from each other, so that no program has more features of a library than it asks for.
        self.build(&["--package", "browser-guest", "--release"])?;
        self.build(&["--package", "browser-bench", "--release"])?;
        self.build(&["--package", "browser-bench", "--profile", "speed"])?;
        let page = sh::root().join("docs/bench/browser.md");
        let options = [events.as_ref(), rounds.as_ref(), npm.as_os_str()];
        self.host("bench", &[&options[..], &[page.as_os_str()]].concat())
    }

    /// Compiles programs for the browser.
    fn build(&self, arguments: &[&str]) -> sh::Outcome {
        let mut build = self.for_browser(sh::cargo(["build"]));
        build.arg("--manifest-path").arg(&self.manifest);
        sh::run(build.args(arguments))
    }

    /// Runs fmt, and clippy for this target, which also shows that the libraries compile for it with all features,
    /// and the engine without the standard library. Then clippy of `guest`, and of `runner` and `host`.
    fn lint(&self) -> sh::Outcome {
        let mut fmt = sh::cargo(["fmt", "--all", "--check", "--manifest-path"]);
        sh::run(fmt.arg(&self.manifest))?;
        for package in [
            ["everstream-core", "--no-default-features"],
            ["everstream", "--all-features"],
        ] {
            let mut clippy = self.clippy();
            sh::run(without_warnings(clippy.arg("--package").args(package)))?;
        }
        // Not the others for this target, whose dependencies would take minutes.
        let mut clippy = self.clippy();
        clippy.arg("--manifest-path").arg(&self.manifest);
        sh::run(without_warnings(
            clippy.args(["--package", "browser-guest"]),
        ))?;
        // These run on this machine.
        let mut clippy = self.native("clippy", "browser-runner");
        sh::run(without_warnings(clippy.args(["--package", "browser-host"])))
    }

    /// Clippy for this target.
    fn clippy(&self) -> Command {
        let clippy = match self.compiler {
            None => sh::cargo(["clippy"]),
            // That of rustup belongs to another compiler.
            Some(_) => {
                let mut clippy = Command::new(self.folder.join("rust/usr/bin/cargo-clippy"));
                clippy.arg("clippy").current_dir(sh::root());
                clippy
            }
        };
        self.for_browser(clippy)
    }

    /// Adds the arguments and variables that a command of cargo needs to compile for browsers.
    fn for_browser(&self, mut cargo: Command) -> Command {
        cargo.args(["--target", TARGET]);
        if let Some(variables) = &self.compiler {
            cargo.args(["-Z", "build-std=std,panic_abort"]);
            cargo.envs(variables.iter().cloned());
        }
        cargo.env("CARGO_TARGET_DIR", &self.folder);
        cargo
    }

    fn run_runner(&self) -> sh::Outcome {
        let out = self.folder.join("served");
        sh::empty_folder(&out)?;
        let mut runner = self.native("run", "browser-runner");
        runner
            .arg("--")
            .arg(self.folder.join(TARGET).join("release"))
            .arg(out)
            .arg(CHROMIUM.0);
        sh::run(&mut runner)
    }

    fn host(&self, mode: &str, options: &[&OsStr]) -> sh::Outcome {
        let out = self.folder.join("shown");
        sh::empty_folder(&out)?;
        let mut host = self.native("run", "browser-host");
        host.args(["--", mode])
            .arg(self.folder.join(TARGET))
            .arg(out)
            .arg(CHROMIUM.0)
            .args(options);
        sh::run(&mut host)
    }

    /// A program that serves pages to Chromium.
    fn native(&self, subcommand: &str, package: &str) -> Command {
        let mut cargo = sh::cargo([subcommand, "--package", package]);
        cargo.arg("--manifest-path").arg(&self.manifest);
        cargo.env("CARGO_TARGET_DIR", &self.folder);
        cargo
    }
}

/// Makes warnings of clippy errors.
fn without_warnings(clippy: &mut Command) -> &mut Command {
    // The oldest clippy warns of what the newest allows.
    clippy.args(["--", "-D", "warnings", "-A", "clippy::precedence"])
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

#[cfg(test)]
mod tests {
    const GUIDE: &str = include_str!("../../crates/everstream/guides/browser.md");
    /// `cargo xtask wasm` runs them.
    const PROGRAMS: [&str; 2] = [
        include_str!("../../browser/guest/src/bin/guide.rs"),
        include_str!("../../browser/guest/src/bin/guide_reload.rs"),
    ];

    #[test]
    fn the_code_of_the_guide_is_that_of_the_programs_that_run_in_the_browser() {
        let mut blocks = 0;
        for block in GUIDE.split("```rs\n").skip(1) {
            let code = block.split("```").next().unwrap();
            assert!(PROGRAMS.iter().any(|it| it.ends_with(code)), "{code}");
            blocks += 1;
        }
        assert_eq!(blocks, 2);
    }
}

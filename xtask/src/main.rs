//! The project's own commands: `cargo xtask <command>`.

mod api;
mod apt;
mod bench;
// Shared with `bench`, which is another workspace.
#[allow(unreachable_pub)]
#[path = "../../bench/src/chart.rs"]
mod chart;
mod deny;
mod dist;
mod docs;
mod fuzz;
mod hack;
mod interop;
mod lint;
mod msrv;
mod package;
mod pictures;
mod prose;
mod published;
mod python;
mod sh;
mod soak;
mod start;
mod test;
mod tool;
mod wasm;

use std::process::ExitCode;

struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> sh::Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "lint",
        about: "Formatting, clippy, rustdoc, public interface, Python types and dependencies; warnings are errors",
        run: lint::run,
    },
    Command {
        name: "test",
        about: "All tests, in Rust and Python; the last line is `N passed, N failed`",
        run: test::run,
    },
    Command {
        name: "python",
        about: "Only the tests of the Python package (part of test)",
        run: python::run,
    },
    Command {
        name: "wheel",
        about: "Builds the optimized Python package into target/wheels, and tries it",
        run: python::wheel,
    },
    Command {
        name: "dist",
        about: "Builds the files of a release into target/dist, and installs each",
        run: dist::run,
    },
    Command {
        name: "deny",
        about: "Only the dependency rules of deny.toml (part of lint)",
        run: deny::run,
    },
    Command {
        name: "docs",
        about: "Links, headings, test files and commands named in the pages (part of test)",
        run: docs::run,
    },
    Command {
        name: "prose",
        about: "Lists phrases and spellings to replace: [PATH...]",
        run: prose::run,
    },
    Command {
        name: "features",
        about: "Checks each published crate with each of its features alone",
        run: hack::features,
    },
    Command {
        name: "package",
        about: "Packs the Rust and Python packages, checks their contents and builds them",
        run: package::run,
    },
    Command {
        name: "api",
        about: "Compares the public interface of the libraries with docs/api; --update writes it",
        run: api::run,
    },
    Command {
        name: "msrv",
        about: "Checks the published crates with the oldest supported Rust, which it downloads",
        run: msrv::run,
    },
    Command {
        name: "minimal-versions",
        about: "Checks the published crates with the oldest supported dependencies",
        run: hack::minimal_versions,
    },
    Command {
        name: "interop",
        about: "Runs the everstream command against third-party servers, proxies and clients",
        run: interop::run,
    },
    Command {
        name: "bench",
        about: "Benchmarks, into docs/bench: decode [--quick], client, idle, relay, python; check",
        run: bench::run,
    },
    Command {
        name: "wasm",
        about: "Runs the client in headless Chromium, and measures a minimal program's size; Debian or rustup",
        run: wasm::run,
    },
    Command {
        name: "pictures",
        about: "Takes the pictures in docs/pictures",
        run: pictures::run,
    },
    Command {
        name: "start",
        about: "Measures how fast the everstream command starts, and its memory; Linux",
        run: start::run,
    },
    Command {
        name: "fuzz",
        about: "Runs all fuzz targets, or some: [TARGET...] [--seconds N], 60 s each by default",
        run: fuzz::run,
    },
    Command {
        name: "soak",
        about: "Follows thousands of streams through every kind of failure; --relay for the relay",
        run: soak::run,
    },
];

fn main() -> ExitCode {
    if let Some(status) = api::act_as_rustdoc() {
        return status;
    }
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let Some((name, rest)) = args.split_first() else {
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("error: no command `{name}`\n\n{}", usage());
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<sh::Reported>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is::<sh::UsageError>() { 2 } else { 1 })
        }
    }
}

fn command_names() -> Vec<&'static str> {
    COMMANDS.iter().map(|command| command.name).collect()
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask <command>\n\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<17}{}\n", command.name, command.about));
    }
    text
}

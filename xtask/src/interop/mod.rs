//! `cargo xtask interop`: the `everstream` command against servers that are not ours.
//!
//! Each scenario starts a real server, follows a stream with the real command, makes
//! the connection fail in some way, and compares what the command printed with what the
//! server was given: every event exactly once, in order. `readers` and `proxies` are the other way
//! round: clients and proxies that are not ours, at `everstream serve` and `replay`. `check` runs `everstream
//! check` against servers that are healthy and setups that aren't.

mod check;
mod cut;
mod follow;
mod mcp;
mod nginx;
pub(crate) mod programs;
mod proxies;
mod readers;
mod report;
mod server;
mod starlette;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::sh;
use report::Report;

const USAGE: &str = "usage: cargo xtask interop [nginx] [starlette] [mcp] [readers] [proxies] [check] [--command PATH]

  Without a name, all of them. readers: Chromium, npm's eventsource and Python's
  httpx-sse; proxies: nginx and haproxy before `everstream serve`; check: `everstream check` against eight healthy
  servers and five broken setups, and the list in docs/check.md. Debian packages that are missing are installed
  with apt-get (as root), those of Python and npm below target/interop.

  --command PATH   run this program instead of building everstream
";

/// Far more than any scenario takes on a slow machine; only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the scenarios share.
struct Context {
    /// The program that follows.
    command: PathBuf,
    /// Everything that a run writes lies below it.
    folder: PathBuf,
}

type Suite = fn(&Context, &mut Vec<Report>) -> sh::Outcome;

const SUITES: [(&str, Suite); 6] = [
    ("nginx", nginx::run),
    ("starlette", starlette::run),
    ("mcp", mcp::run),
    ("readers", readers::run),
    ("proxies", proxies::run),
    ("check", check::run),
];

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let usage = |problem: String| sh::UsageError(format!("{problem}\n\n{USAGE}"));
    let (mut wanted, mut command) = (Vec::new(), None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-h" | "--help" => {
                print!("{USAGE}");
                return Ok(());
            }
            "--command" => {
                let path = args.next().map(fs::canonicalize);
                let path = path.ok_or_else(|| usage("--command needs a path".into()))?;
                command = Some(path.map_err(|error| usage(format!("--command: {error}")))?);
            }
            name => match SUITES.iter().find(|suite| suite.0 == name) {
                Some(suite) => wanted.push(*suite),
                None => return Err(usage(format!("no scenarios `{name}`")).into()),
            },
        }
    }
    if wanted.is_empty() {
        wanted.extend(SUITES);
    }
    let command = match command {
        Some(command) => command,
        None => {
            let build = ["build", "--release", "--package", "everstream-cli"];
            sh::run(&mut sh::cargo(build))?;
            sh::target()?.join("release").join("everstream")
        }
    };
    let folder = sh::target()?.join("interop");
    fs::create_dir_all(&folder)?;
    let context = Context { command, folder };

    let mut reports = Vec::new();
    for (_, suite) in wanted {
        suite(&context, &mut reports)?;
    }
    let failed = reports.iter().filter(|report| report.failed()).count();
    println!(
        "\n{} scenarios passed, {failed} failed",
        reports.len() - failed
    );
    match failed {
        0 => Ok(()),
        _ => Err(format!("interop failed; logs are in {}", context.folder.display()).into()),
    }
}

/// Runs one scenario and prints its report. Its failure doesn't stop the others.
fn scenario(reports: &mut Vec<Report>, title: &str, body: impl FnOnce(&mut Report) -> sh::Outcome) {
    println!("\n{title}");
    let mut report = Report::default();
    if let Err(error) = body(&mut report) {
        report.problem(error.to_string());
    }
    report.print();
    reports.push(report);
}

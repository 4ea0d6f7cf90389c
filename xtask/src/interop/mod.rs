//! `cargo xtask interop`: the `everstream` command against servers that are not ours.
//!
//! Each scenario starts a real server, follows a stream with the real command, makes
//! the connection fail in some way, and compares what the command printed with what the
//! server was given: every event exactly once, in order. `readers` and `proxies` are the other way
//! round: clients and proxies that are not ours, at `everstream serve` and `replay`. `check` runs `everstream
//! check` against servers that are healthy and set-ups that aren't.

mod check;
mod cut;
mod follow;
mod http;
pub(crate) mod mcp;
mod nginx;
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
  servers and five broken set-ups, and the table in docs/check.md. Debian packages that are missing are installed
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

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    let Some(wanted) = Wanted::parse(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let runs = wanted.nginx || wanted.starlette || wanted.readers || wanted.proxies || wanted.check;
    let command = match wanted.command {
        Some(path) => fs::canonicalize(&path)
            .map_err(|error| sh::UsageError(format!("--command {}: {error}", path.display())))?,
        None => {
            if runs {
                sh::run(&mut sh::cargo([
                    "build",
                    "--release",
                    "--package",
                    "everstream-cli",
                ]))?;
            }
            sh::target()?.join("release").join("everstream")
        }
    };
    let folder = sh::target()?.join("interop");
    fs::create_dir_all(&folder)?;
    let context = Context { command, folder };

    let mut reports = Vec::new();
    if wanted.nginx {
        nginx::run(&context, &mut reports)?;
    }
    if wanted.starlette {
        starlette::run(&context, &mut reports)?;
    }
    if wanted.mcp {
        mcp::run(&context, &mut reports)?;
    }
    if wanted.readers {
        readers::run(&context, &mut reports)?;
    }
    if wanted.proxies {
        proxies::run(&context, &mut reports)?;
    }
    if wanted.check {
        check::run(&context, &mut reports)?;
    }

    let failed = reports.iter().filter(|report| report.failed()).count();
    println!(
        "\n{} scenarios passed, {failed} failed",
        reports.len() - failed
    );
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("interop failed; logs are in {}", context.folder.display()).into())
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

#[derive(Default)]
struct Wanted {
    nginx: bool,
    starlette: bool,
    mcp: bool,
    readers: bool,
    proxies: bool,
    check: bool,
    command: Option<PathBuf>,
}

impl Wanted {
    /// `None`: only the usage is wanted.
    fn parse(args: &[String]) -> Result<Option<Wanted>, sh::UsageError> {
        let mut wanted = Wanted::default();
        let mut all = true;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let named = match arg.as_str() {
                "nginx" => &mut wanted.nginx,
                "starlette" => &mut wanted.starlette,
                "mcp" => &mut wanted.mcp,
                "readers" => &mut wanted.readers,
                "proxies" => &mut wanted.proxies,
                "check" => &mut wanted.check,
                "--command" => match args.next() {
                    Some(path) => {
                        wanted.command = Some(PathBuf::from(path));
                        continue;
                    }
                    None => {
                        return Err(sh::UsageError(format!("--command needs a path\n\n{USAGE}")));
                    }
                },
                "-h" | "--help" => return Ok(None),
                other => {
                    return Err(sh::UsageError(format!("no scenarios `{other}`\n\n{USAGE}")));
                }
            };
            *named = true;
            all = false;
        }
        Ok(Some(match all {
            true => Wanted {
                nginx: true,
                starlette: true,
                mcp: true,
                readers: true,
                proxies: true,
                check: true,
                ..wanted
            },
            false => wanted,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Wanted>, sh::UsageError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Wanted::parse(&args)
    }

    #[test]
    fn no_name_means_all_servers() {
        let wanted = parse(&["--command", "x"]).unwrap().unwrap();
        assert!(wanted.nginx && wanted.starlette && wanted.mcp && wanted.command.is_some());
        assert!(wanted.readers && wanted.proxies && wanted.check);
        let wanted = parse(&["nginx"]).unwrap().unwrap();
        assert!(wanted.nginx && !wanted.starlette && !wanted.mcp);
    }

    #[test]
    fn a_wrong_argument_is_named() {
        assert!(parse(&["apache"]).is_err_and(|error| error.0.contains("`apache`")));
        assert!(parse(&["--command"]).is_err());
        assert!(parse(&["--help"]).unwrap().is_none());
    }
}

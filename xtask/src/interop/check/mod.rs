//! `everstream check` against healthy servers of others, and against setups that are broken on purpose: no
//! healthy server may fail, and the first finding about a broken one has to name the cause. The result is the
//! list in `docs/check.md`.

mod servers;

use std::fs;
use std::path::Path;
use std::process::Command;

use super::report::Report;
use super::{Context, scenario};
use crate::sh;
use servers::{Programs, SETUPS, Setup};

/// How long each stream is watched: longer than the timeouts of the broken proxy.
const DURATION: &str = "8s";

const PAGE: &str = "docs/check.md";
const BEGIN: &str = "<!-- Written by `cargo xtask interop check` -->\n";
const END: &str = "<!-- End of the list -->\n";

/// What the check has to say about a server.
enum Expected {
    /// It is healthy: nothing fails.
    NoFailure,
    /// It is broken: this finding comes first.
    First(&'static str),
}

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    let folder = context.folder.join("check");
    fs::create_dir_all(&folder)?;
    let programs = Programs::install(&folder)?;
    let (mut verdicts, mut right) = (Vec::new(), true);
    for setup in SETUPS {
        scenario(reports, setup.name, |report| {
            let verdict = examine(context, &programs, setup, report)?;
            verdicts.push((setup.name, verdict));
            Ok(())
        });
        right &= !reports.last().is_some_and(Report::failed);
    }
    match right {
        true => write(&sh::root().join(PAGE), &list(&verdicts)),
        // The report has said what is wrong.
        false => Ok(()),
    }
}

/// Runs the command; returns its verdict.
fn examine(
    context: &Context,
    programs: &Programs,
    setup: &Setup,
    report: &mut Report,
) -> sh::Outcome<String> {
    let running = (setup.start)(programs)?;
    let mut command = Command::new(&context.command);
    command.args(["check", &running.url, "--quiet", "--duration", DURATION]);
    command.args(&running.options);
    let output = command
        .output()
        .map_err(|error| sh::not_started(&command, &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = Found::parse(&text);
    report.fact(&*running.version);
    report.fact(&*found.verdict);
    let first = found.first.as_deref().unwrap_or("none");
    let right = match setup.expected {
        Expected::NoFailure => output.status.success() && !first.starts_with("FAIL"),
        Expected::First(id) => first.split(' ').nth(1) == Some(id),
    };
    report.require(
        right,
        format!(
            "{}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    );
    Ok(found.verdict)
}

/// A line for each verdict, with the servers that got it.
fn list(verdicts: &[(&str, String)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, verdict) in verdicts {
        match groups.iter_mut().find(|(group, _)| group == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    let line = |(verdict, names): (&str, Vec<&str>)| format!("- {}: {verdict}\n", names.join("; "));
    groups.into_iter().map(line).collect()
}

/// The parts of a report.
#[derive(Debug, PartialEq)]
struct Found {
    verdict: String,
    /// Its level and id: `FAIL resume`.
    first: Option<String>,
}

impl Found {
    fn parse(text: &str) -> Found {
        let is_finding = |line: &&str| line.starts_with("FAIL  ") || line.starts_with("warn  ");
        let finding = text.lines().find(is_finding);
        // The verdict may be wrapped.
        let verdict = text
            .lines()
            .take_while(|line| !line.is_empty() && !is_finding(line) && !line.starts_with("http"));
        let words = finding.map(|line| line.split_whitespace().take(2));
        Found {
            verdict: verdict.map(str::trim).collect::<Vec<_>>().join(" "),
            first: words.map(|words| words.collect::<Vec<_>>().join(" ")),
        }
    }
}

/// Replaces the list in the page.
fn write(page: &Path, list: &str) -> sh::Outcome {
    let text = fs::read_to_string(page)?;
    let place = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = place.ok_or_else(|| format!("{} has no list", page.display()))?;
    Ok(fs::write(
        page,
        format!("{before}{BEGIN}\n{list}\n{END}{after}"),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_listed_by_their_verdict() {
        let verdicts = [("a", "good"), ("b", "bad"), ("c", "good")];
        let verdicts = verdicts.map(|(name, verdict)| (name, verdict.to_owned()));
        assert_eq!(list(&verdicts), "- a; c: good\n- b: bad\n");
    }

    #[test]
    fn the_verdict_and_the_first_finding_are_read() {
        let text = "2 problems: can't resume, doesn't stay\nopen; 1 warning: not encrypted\n\
                    FAIL  resume            after \"2\" the server\n                        sent\n\
                    warn  tls               plain HTTP\nhttp://x/: 1 passed\n";
        assert_eq!(
            Found::parse(text),
            Found {
                verdict: "2 problems: can't resume, doesn't stay open; 1 warning: not encrypted"
                    .into(),
                first: Some("FAIL resume".into()),
            }
        );
        let good = Found::parse("no problems\nhttp://x/: 26 passed\n");
        assert_eq!((&*good.verdict, good.first), ("no problems", None));
    }
}

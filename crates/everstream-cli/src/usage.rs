//! Brief usage: the first screen, and corrections for common mistakes.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::args;
use crate::exit::{self, Exit};
use crate::report::Problem;
use crate::typos::distance;

/// The beginning of `--help`. Tests run each of them.
pub(crate) const EXAMPLES: &str = "\
Examples:
  everstream https://example.com/feed --event price --jq .price
  everstream https://example.com/feed --cursor feed.cursor --exec ./handle
  everstream https://example.com/v1/chat --json @prompt.json --until '[DONE]' \\
             --jq '.choices[0].delta.content // empty' -j
  curl -N https://example.com/feed > saved; everstream saved --event price";

/// The end of `--help`.
pub(crate) const MORE: &str = "Exit codes: everstream help exit-codes";

/// The help of `follow`'s argument.
pub(crate) const FOLLOW_URL: &str = "\
The URL of the stream; without a scheme it is http://. Or a saved response body: - for standard \
input, file://..., or the name of an existing file";

/// What `everstream` alone prints, at most a terminal screen.
const SCREEN: &str = "\
everstream follows an event stream (Server-Sent Events): it prints the events,
reconnects when the connection is lost, and resumes after the last event.

Usage: everstream [OPTIONS] URL       follow a stream
       everstream [OPTIONS] FILE      read a saved stream; - is standard input
       everstream COMMAND ...

";

const COMMANDS: &str = "

Commands:
  check URL           examine a server      top URL...   watch many streams
  record URL FILE     save a stream         serve        stream standard input
  replay FILE         play a recording      demo         see it recover

All options: everstream --help, everstream COMMAND --help
Exit codes:  everstream help exit-codes
";

/// What to print instead of running a command, and how the process ends.
pub(crate) enum EarlyExit {
    /// `--help` and `--version`.
    Shown(clap::Error),
    Problem(Problem),
    /// `everstream` alone.
    Screen,
    /// `everstream help exit-codes`.
    ExitCodes,
}

impl EarlyExit {
    pub(crate) fn print(self) -> Exit {
        match self {
            EarlyExit::Shown(text) => text.exit(),
            EarlyExit::Problem(problem) => problem.tell(),
            EarlyExit::Screen => {
                eprint_all(&format!("{SCREEN}{EXAMPLES}{COMMANDS}"));
                Exit::Usage
            }
            EarlyExit::ExitCodes => {
                let text = format!("{}\n", exit::HELP);
                // Errors are ignored.
                _ = crate::completions::write(text.as_bytes());
                Exit::Done
            }
        }
    }
}

fn eprint_all(text: &str) {
    use std::io::Write;

    _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What can be answered without parsing the options.
pub(crate) fn before_parsing(args: &[OsString]) -> Result<(), EarlyExit> {
    let word = |index: usize| args.get(index).and_then(|arg| arg.to_str());
    match (word(1), word(2), args.len()) {
        (None, _, 0..=1) => Err(EarlyExit::Screen),
        (Some("help"), Some("exit-codes"), 3) => Err(EarlyExit::ExitCodes),
        (Some("help"), Some(name), 3)
            if !name.starts_with('-') && name != "help" && !args::is_command(name) =>
        {
            let unknown = unknown_command(name).unwrap_or_else(|| {
                Problem::new(format!("unknown command {name}"))
                    .hint("everstream --help lists the commands")
            });
            Err(EarlyExit::Problem(unknown))
        }
        (Some(first), ..) => no_command(first).map_or(Ok(()), |it| Err(EarlyExit::Problem(it))),
        _ => Ok(()),
    }
}

/// A first word that isn't an option, a command, a file or a URL.
fn no_command(first: &str) -> Option<Problem> {
    let is_word = first.len() > 1 && first.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    if !is_word || first.starts_with('-') || first == "localhost" || first == "help" {
        return None;
    }
    if args::is_command(first) || Path::new(first).exists() {
        return None;
    }
    Some(unknown_command(first).unwrap_or_else(|| {
        Problem::new(format!("{first} isn't a command, a file or a URL")).hint(format!(
            "everstream --help lists the commands; a stream has a URL, such as http://{first}/"
        ))
    }))
}

/// A misspelled command.
fn unknown_command(word: &str) -> Option<Problem> {
    let names = args::names();
    match names
        .iter()
        .map(|name| (distance(word, name), name))
        .min()?
    {
        (1..=2, name) => Some(
            Problem::new(format!("unknown command {word}")).hint(format!("did you mean {name}?")),
        ),
        _ => None,
    }
}

/// A URL that became a part of the command of `--exec`, and jq's `-r`.
pub(crate) fn common_mistake(error: &clap::Error, args: &[OsString]) -> Option<Problem> {
    use clap::error::{ContextKind, ErrorKind};

    let argument = error.get(ContextKind::InvalidArg)?.to_string();
    match error.kind() {
        ErrorKind::MissingRequiredArgument if argument.contains("URL") => {
            let exec = args.iter().position(|arg| arg == "--exec")?;
            let is_open = !args[exec..].iter().any(|arg| arg == ";");
            is_open.then(|| {
                Problem::new("the URL is missing").hint(
                    "--exec takes everything up to ';': write the URL before --exec, or end the \
                     command with ';'",
                )
            })
        }
        ErrorKind::UnknownArgument if matches!(&*argument, "-r" | "--raw-output") => {
            let is_jq = |arg: &&OsString| {
                let arg = arg.to_str().unwrap_or_default();
                arg == "--jq" || arg.starts_with("--jq=")
            };
            args.iter().find(is_jq)?;
            let what = format!("{argument} isn't an option of everstream");
            Some(Problem::new(what).hint("jq's -r is --format data"))
        }
        _ => None,
    }
}

/// A second URL, unless it may be the value of an unquoted header, which may be a secret.
pub(crate) fn second_url(stray: &str, args: &[OsString]) -> Option<Problem> {
    let is_url = stray.starts_with("http://") || stray.starts_with("https://");
    let at = args.iter().position(|arg| arg == OsStr::new(stray))?;
    // If they are equal, the second one is the extra one.
    let at = args[at + 1..]
        .iter()
        .position(|arg| arg == OsStr::new(stray))
        .map_or(at, |next| at + 1 + next);
    let before = args.get(at.wrapping_sub(1)).and_then(|arg| arg.to_str());
    let in_header = before.is_some_and(|before| before.ends_with(':'));
    (is_url && !in_header).then(|| {
        Problem::new("more than one URL: everstream follows one stream at a time")
            .hint("to watch several streams: everstream top URL1 URL2")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_fits_on_a_terminal() {
        let text = format!("{SCREEN}{EXAMPLES}{COMMANDS}");
        assert!(text.lines().count() <= 24, "{}", text.lines().count());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}

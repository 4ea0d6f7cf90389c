//! How the command is used, in brief: the first screen, and what to write instead of a mistake.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::args;
use crate::exit::{self, Exit};
use crate::report::Problem;
use crate::slips::distance;

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

/// How the argument of `follow` is understood.
pub(crate) const FOLLOW_URL: &str = "\
The stream: http://... or https://...; without a scheme it is http://. Or a response body that was \
saved, which is read without a network: - is standard input, and file://..., or without a scheme the name of an existing file, is a \
file";

/// What `everstream` alone prints; no more than fits on a terminal.
const SCREEN: &str = "\
everstream follows an event stream (Server-Sent Events): it prints the events,
reconnects when the connection is lost, and resumes after the last event.

Usage: everstream [OPTIONS] URL       follow a stream
       everstream [OPTIONS] FILE      read a saved one; - is standard input
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

/// Why nothing is done: what to print, and how the process ends.
pub(crate) enum Instead {
    Clap(clap::Error),
    Problem(Problem),
    /// `everstream` alone.
    Screen,
    /// `everstream help exit-codes`.
    ExitCodes,
}

impl Instead {
    pub(crate) fn tell(self) -> Exit {
        match self {
            Instead::Clap(error) => error.exit(),
            Instead::Problem(problem) => problem.tell(),
            Instead::Screen => {
                eprint_all(&format!("{SCREEN}{EXAMPLES}{COMMANDS}"));
                Exit::Usage
            }
            Instead::ExitCodes => {
                let text = format!("{}\n", exit::HELP);
                // Whoever reads has enough.
                _ = crate::completions::write(text.as_bytes());
                Exit::Done
            }
        }
    }
}

impl From<clap::Error> for Instead {
    fn from(error: clap::Error) -> Instead {
        Instead::Clap(error)
    }
}

fn eprint_all(text: &str) {
    use std::io::Write;

    _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What can be answered without looking at the options.
pub(crate) fn before_parsing(args: &[OsString]) -> Result<(), Instead> {
    let word = |index: usize| args.get(index).and_then(|arg| arg.to_str());
    match (word(1), word(2), args.len()) {
        (None, _, 0..=1) => Err(Instead::Screen),
        (Some("help"), Some("exit-codes"), 3) => Err(Instead::ExitCodes),
        (Some(first), ..) => no_command(first).map_or(Ok(()), |it| Err(Instead::Problem(it))),
        _ => Ok(()),
    }
}

/// A first word that is no option, command or file, and nothing like a URL.
fn no_command(first: &str) -> Option<Problem> {
    let is_word = first.len() > 1 && first.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    if !is_word || first.starts_with('-') || first == "localhost" || first == "help" {
        return None;
    }
    if args::is_command(first) || Path::new(first).exists() {
        return None;
    }
    let names = args::names();
    let closest = names.iter().map(|name| (distance(first, name), name)).min();
    Some(match closest {
        Some((1..=2, name)) => Problem::new(format!("there is no command {first}"))
            .hint(format!("did you mean {name}?")),
        _ => Problem::new(format!("{first} is neither a command nor a file nor a URL")).hint(
            format!(
                "everstream --help lists the commands; a stream has a URL, such as http://{first}/"
            ),
        ),
    })
}

/// A second URL, unless it is the value of a header without quotes, which may be a secret.
pub(crate) fn second_url(stray: &str, args: &[OsString]) -> Option<Problem> {
    let is_url = stray.starts_with("http://") || stray.starts_with("https://");
    let at = args.iter().position(|arg| arg == OsStr::new(stray))?;
    // Of two that are the same, the second one is too many.
    let at = args[at + 1..]
        .iter()
        .position(|arg| arg == OsStr::new(stray))
        .map_or(at, |next| at + 1 + next);
    let before = args.get(at.wrapping_sub(1)).and_then(|arg| arg.to_str());
    let in_header = before.is_some_and(|before| before.ends_with(':'));
    (is_url && !in_header).then(|| {
        Problem::new("there is more than one URL, and one stream is followed at a time")
            .hint("everstream top takes many: everstream top URL1 URL2")
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

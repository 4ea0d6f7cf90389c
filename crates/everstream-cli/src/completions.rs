//! `everstream completions SHELL`: what a shell needs to complete the command line.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use crate::args;
use crate::exit::Exit;
use crate::report;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::offered(), "everstream", &mut script);
    if args.shell == Shell::Fish {
        script = accepted_by_fish(&String::from_utf8_lossy(&script)).into_bytes();
    }
    match write(&script) {
        Ok(()) => Exit::Done,
        // The reader closed the output.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            report::error("the output can't be written", Some(&error));
            Exit::Failed
        }
    }
}

/// clap_complete's script without what fish refuses: its `argparse` allows no dot in the name of an option, and a `#`
/// without quotes begins a comment. Either one ends all completions.
fn accepted_by_fish(script: &str) -> String {
    let mut accepted = String::with_capacity(script.len());
    for line in script.lines() {
        match line.split_once("string join \\n ") {
            Some((indent, options)) => {
                let options = options.split(' ').filter(|option| !option.contains('.'));
                accepted.push_str(indent);
                accepted.push_str("string join \\n");
                for option in options {
                    accepted.push(' ');
                    accepted.push_str(option);
                }
            }
            None => accepted.push_str(&line.replace(" -s # ", " -s '#' ")),
        }
        accepted.push('\n');
    }
    accepted
}

/// To standard output.
pub(crate) fn write(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

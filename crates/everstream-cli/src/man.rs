//! `everstream man`: manual pages generated from `--help`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args;
use crate::completions::write;
use crate::exit::{self, Exit};
use crate::report;
use crate::usage;

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of the command and of each subcommand to this directory. Default: the
    /// command's page to standard output.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs) -> Exit {
    let written = match &args.directory {
        None => page(args::definition()).and_then(|page| write(&page)),
        Some(directory) => write_all(directory),
    };
    match written {
        Ok(()) => Exit::Done,
        // The reader closed the output.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            let file = args.directory.as_deref().filter(|it| it.is_file());
            if let Some(file) = file {
                let what = format!("{} is a file, not a directory", file.display());
                report::error(&what, None);
                report::hint("everstream man > everstream.1 writes only the page of the command");
                return Exit::Usage;
            }
            report::error("the page can't be written", Some(&error));
            if args.directory.is_some() {
                report::hint("check the permissions of the directory; it is created if necessary");
            }
            Exit::Failed
        }
    }
}

fn write_all(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut command = args::definition().disable_help_subcommand(true);
    // Gives the subcommands their full names.
    command.build();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for command in commands.filter(|command| !command.is_hide_set()) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let page = page(command.clone())?;
        std::fs::write(directory.join(format!("{name}.1")), page)?;
    }
    Ok(())
}

/// The sections of a page (man-pages(7)), in order.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let subcommands = command.has_subcommands();
    let mut command = command.disable_help_subcommand(true);
    let usage = command.render_usage().to_string();
    let version = format!("everstream {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(version);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(&usage).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if subcommands {
        man.render_subcommands_section(&mut page)?;
        examples().to_writer(&mut page)?;
    }
    exit_status().to_writer(&mut page)?;
    Ok(page)
}

/// The text of `--help`; clap_mangen's would list every option.
fn synopsis(usage: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    for line in usage.trim_start_matches("Usage:").lines() {
        section.text([roman(line.trim())]);
        section.control("br", []);
    }
    section
}

/// The examples of `--help`, line by line.
fn examples() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]);
    section.control("nf", []);
    for line in usage::EXAMPLES.lines().skip(1) {
        section.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    section.control("fi", []);
    section
}

/// The codes of [`exit::HELP`]: a number, and its meaning, which may continue over several lines.
fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for line in exit::HELP.lines().skip(1) {
        let text = line.trim_start();
        let (code, meaning) = text.split_once("  ").unwrap_or(("", text));
        if !code.is_empty() {
            section.control("TP", []);
            section.text([roman(code)]);
        }
        section.text([roman(meaning)]);
    }
    section
}

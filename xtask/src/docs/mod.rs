//! `cargo xtask docs`: checks the links, headings, test files and commands in the Markdown pages.
//!
//! - `files.rs` finds and reads files, `page.rs` parses a page
//! - `links.rs`, `tests_named.rs`, `guides.rs`, `commands.rs`: one check each

mod commands;
mod files;
mod guides;
mod links;
mod page;
mod tests_named;

use std::fmt;

pub(crate) use files::{Disk, Files};
use page::Page;

use crate::sh;

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("docs", args)?;
    let problems = check()?;
    if problems.is_empty() {
        println!("docs: ok");
        return Ok(());
    }
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    let count = problems.len();
    eprintln!("docs: {count} problem{}", if count == 1 { "" } else { "s" });
    Err(sh::Reported.into())
}

/// All problems of all pages of the repository.
pub(crate) fn check() -> sh::Outcome<Vec<Problem>> {
    let disk = Disk::new(sh::root());
    let mut pages = Vec::new();
    for path in disk.paths(&["md"])? {
        let text = disk
            .text(&path)
            .ok_or_else(|| format!("cannot read {path}"))?;
        pages.push(Page::new(&path, text));
    }
    Ok(problems(&pages, &disk, &crate::command_names()))
}

fn problems(pages: &[Page], files: &dyn Files, commands: &[&str]) -> Vec<Problem> {
    let mut found = links::problems(pages, files);
    found.extend(tests_named::problems(pages, files));
    found.extend(guides::problems(pages, files));
    found.extend(commands::problems(pages, commands));
    found.sort();
    found
}

/// Something to fix in a file. Problems sort by file and line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) path: String,
    line: usize,
    /// The problem and its remedy.
    message: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, message: String) -> Problem {
        Problem {
            path: path.to_owned(),
            line,
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use files::memory::Memory;

    #[test]
    fn one_run_reports_all_problems_in_the_order_of_the_pages() {
        let files = Memory::new(&[
            (
                "b.md",
                "[gone](gone.md)\n\nTested by: `tests/gone.rs`\n\n[here](a.md#gone)\n",
            ),
            ("a.md", "# A\n\n`cargo xtask fly`\n"),
            ("CONTRIBUTING.md", "# Contributing\n"),
        ]);
        let found = problems(&files.pages(), &files, &["test"]);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "CONTRIBUTING.md:1: ",
            "a.md:3: ",
            "b.md:1: ",
            "b.md:3: ",
            "b.md:5: ",
        ];
        assert_eq!(shown.len(), expected.len(), "{shown:#?}");
        for (line, start) in shown.iter().zip(expected) {
            assert!(line.starts_with(start), "{line}");
        }
    }
}

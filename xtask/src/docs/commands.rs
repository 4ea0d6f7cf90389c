//! Every `cargo xtask` command is in CONTRIBUTING.md, and pages name only existing commands.

use super::Problem;
use super::page::Page;

const MANUAL: &str = "CONTRIBUTING.md";
const START: &str = "cargo xtask ";

pub(super) fn problems(pages: &[Page], commands: &[&str]) -> Vec<Problem> {
    let mut found = Vec::new();
    let manual = pages.iter().find(|it| it.path == MANUAL);
    let explained: Vec<&str> = manual
        .map(mentioned)
        .into_iter()
        .flatten()
        .map(|it| it.0)
        .collect();
    for command in commands {
        if !explained.contains(command) {
            let message = format!(
                "`{START}{command}` is missing; add a row to the table of the section Commands"
            );
            found.push(Problem::new(MANUAL, 1, message));
        }
    }
    // The changelog may name commands that were removed.
    for page in pages.iter().filter(|it| !it.path.ends_with("CHANGELOG.md")) {
        for (name, offset) in mentioned(page) {
            if !commands.contains(&name) {
                let message =
                    format!("`{START}{name}` isn't a command; `cargo xtask` lists all commands");
                found.push(Problem::new(&page.path, page.line(offset), message));
            }
        }
    }
    found
}

/// The commands that a page names, also in code, and their offsets.
fn mentioned(page: &Page) -> Vec<(&str, usize)> {
    // A code span may be wrapped.
    let wrapped = "cargo xtask\n";
    let starts = page
        .text
        .match_indices(START)
        .chain(page.text.match_indices(wrapped));
    let mut found = Vec::new();
    for (at, start) in starts {
        let rest = &page.text[at + start.len()..];
        let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '-');
        let name = &rest[..end.unwrap_or(rest.len())];
        if !name.is_empty() {
            found.push((name, at));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    fn found(manual: &str, page: &str) -> Vec<String> {
        let files = Memory::new(&[
            ("CONTRIBUTING.md", manual),
            ("a.md", page),
            ("CHANGELOG.md", "`cargo xtask gone` is gone\n"),
        ]);
        let found = problems(&files.pages(), &["test", "test-all"]);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn explained_commands_are_accepted() {
        let manual = "| `cargo xtask test` | |\n| `cargo xtask test-all --now` | |\n";
        assert_eq!(
            found(manual, "`cargo xtask\ntest`, `cargo xtask SUITE`\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_command_that_is_not_explained_is_refused() {
        let expected = "CONTRIBUTING.md:1: `cargo xtask test` is missing; add a row to the table \
                        of the section Commands";
        assert_eq!(found("| `cargo xtask test-all` | |\n", ""), [expected]);
    }

    #[test]
    fn a_command_that_does_not_exist_is_refused() {
        let manual = "| `cargo xtask test` | |\n| `cargo xtask test-all` | |\n";
        let expected =
            "a.md:2: `cargo xtask fly` isn't a command; `cargo xtask` lists all commands";
        assert_eq!(found(manual, "```sh\ncargo xtask fly\n```\n"), [expected]);
    }
}

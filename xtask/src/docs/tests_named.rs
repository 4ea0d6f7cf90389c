//! "Tested by:" lines name files that exist.

use super::Problem;
use super::files::{Files, resolve};
use super::page::{Page, lines};

const START: &str = "Tested by:";

pub(super) fn problems(pages: &[Page], files: &dyn Files) -> Vec<Problem> {
    let mut found = Vec::new();
    for page in pages {
        // In code the words are only quoted.
        for (offset, line) in lines(&page.plain).filter(|(_, line)| line.contains(START)) {
            let whole = &page.text[offset..offset + line.len()];
            let faults = match whole.strip_prefix(START) {
                Some(paths) => faults(paths, files),
                None => vec![format!(
                    "write `{START}` at the start of a line of its own, or quote it as code"
                )],
            };
            let number = page.line(offset);
            found.extend(
                faults
                    .into_iter()
                    .map(|it| Problem::new(&page.path, number, it)),
            );
        }
    }
    found
}

/// The problems of the paths in a line.
fn faults(paths: &str, files: &dyn Files) -> Vec<String> {
    if paths.trim().is_empty() {
        return vec![format!(
            "`{START}` names no file; add one, such as `tests/name.rs`, on the same line"
        )];
    }
    paths
        .split(',')
        .filter_map(|it| fault(it.trim(), files))
        .collect()
}

fn fault(written: &str, files: &dyn Files) -> Option<String> {
    let path = written
        .strip_prefix('`')
        .and_then(|it| it.strip_suffix('`'))
        .filter(|it| !it.is_empty() && !it.contains('`'));
    let Some(path) = path else {
        return Some(format!(
            "`{START}` is followed by {written:?}; write paths in backticks, with commas between"
        ));
    };
    if resolve("", path).as_deref() != Some(path) {
        return Some(format!(
            "write `{path}` as a path from the repository's root"
        ));
    }
    if !files.exists(path) {
        return Some(format!(
            "the test file {path} doesn't exist; write the path from the repository's root, or \
             remove it"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let files = Memory::new(&[
            ("docs/a.md", text),
            ("docs/tests/here.rs", ""),
            ("tests/one.rs", ""),
            ("tests/more/two.rs", ""),
        ]);
        let found = problems(&files.pages(), &files);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_and_folders_that_exist_are_accepted() {
        assert_eq!(found("Tested by: `tests/one.rs`, `tests/more`\n"), [""; 0]);
    }

    #[test]
    fn each_file_that_does_not_exist_is_refused() {
        let expected = [
            "docs/a.md:3: the test file tests/here.rs doesn't exist; write the path from the \
             repository's root, or remove it",
            "docs/a.md:3: the test file tests/one doesn't exist; write the path from the \
             repository's root, or remove it",
        ];
        let text = "# A\n\nTested by: `tests/here.rs`, `tests/one.rs`, `tests/one`\n";
        assert_eq!(found(text), expected);
    }

    #[test]
    fn a_line_without_a_path_is_refused() {
        assert_eq!(found("Tested by:\n`tests/one.rs`\n").len(), 1);
        assert_eq!(found("Tested by: nobody\n").len(), 1);
        assert_eq!(
            found("Tested by: `tests/one.rs` and `tests/more`\n").len(),
            1
        );
        assert_eq!(found("Tested by: `tests/one.rs`,\n").len(), 1);
        assert_eq!(found("Tested by: ``\n").len(), 1);
    }

    #[test]
    fn paths_that_do_not_start_at_the_root_are_refused() {
        assert_eq!(found("Tested by: `../tests/one.rs`\n").len(), 1);
        assert_eq!(found("Tested by: `/tests/one.rs`\n").len(), 1);
    }

    #[test]
    fn a_line_inside_a_sentence_is_refused_and_one_in_code_is_ignored() {
        assert_eq!(found("It works. Tested by: `tests/one.rs`\n").len(), 1);
        let quoted = "End with `Tested by: PATH`.\n\n```text\nTested by: nobody\n```\n";
        assert_eq!(found(quoted), [""; 0]);
    }
}

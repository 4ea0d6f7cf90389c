//! `cargo xtask docs`: checks the links, headings, guides, test files and commands in the Markdown pages.

mod page;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::sh;
use page::{Link, Page, line_of};

const MANUAL: &str = "CONTRIBUTING.md";
/// Guides are pages of the repository and of rustdoc.
const GUIDES: &str = "crates/everstream/guides/";
/// The definitions of links for rustdoc, where those at the end of a guide don't work.
const FOR_RUSTDOC: &str = "crates/everstream/guides/links-of-rustdoc.txt";
const MODULES: &str = "crates/everstream/src/guide.rs";
const TESTED: &str = "Tested by:";

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("docs", args)?;
    let problems = check()?;
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    match problems.len() {
        0 => println!("docs: ok"),
        count => return Err(format!("{count} problems in the pages").into()),
    }
    Ok(())
}

/// All problems of all pages of the repository.
pub(crate) fn check() -> sh::Outcome<Vec<Problem>> {
    problems(&sh::root(), &crate::command_names())
}

fn problems(root: &Path, commands: &[&str]) -> sh::Outcome<Vec<Problem>> {
    let mut pages = Vec::new();
    for path in files(root, &["md"])? {
        let text = fs::read_to_string(root.join(&path))?;
        pages.push(Page::new(&path, text));
    }
    let mut found = Vec::new();
    for page in &pages {
        for link in &page.links {
            if let Some(fault) = broken(root, page, &link.target) {
                let message = format!("the link to `{}` {fault}", link.target);
                found.push(page.problem(link.line, message));
            }
        }
        found.extend(leaves_package(page));
        for missing in page.undefined.iter().filter(|it| !it.is_shortcut) {
            let message = format!(
                "[{0}] has no definition; add a line `[{0}]: PATH`",
                missing.label
            );
            found.push(page.problem(missing.line, message));
        }
        for (number, line) in page.text.lines().enumerate() {
            for path in line
                .strip_prefix(TESTED)
                .into_iter()
                .flat_map(|it| it.split(','))
            {
                let path = path.trim();
                let inner = path.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
                if !inner.is_some_and(|it| !it.starts_with("..") && root.join(it).exists()) {
                    let message = format!(
                        "{TESTED} {path}: write a path from the repository's root, in backticks"
                    );
                    found.push(page.problem(number + 1, message));
                }
            }
        }
    }
    found.extend(guides(root, &pages)?);
    found.extend(unknown_commands(&pages, commands));
    found.sort();
    Ok(found)
}

/// Links of a package's README to files that aren't in the package.
fn leaves_package(page: &Page) -> Vec<Problem> {
    let package = match page.path.strip_suffix("README.md") {
        Some(folder) if folder == "python/" || is_crate(folder) => folder,
        _ => return Vec::new(),
    };
    let links = page.links.iter().filter(|link| {
        let path = link.target.split('#').next().unwrap_or_default();
        let is_relative = !path.contains(':') && !path.is_empty();
        let inside = resolve(&page.path, path).is_some_and(|it| it.starts_with(package));
        // A page of PyPI has no other files next to it.
        is_relative && (!inside || package == "python/")
    });
    links
        .map(|link| {
            let message = format!("the link to `{}` is dead in the package", link.target);
            page.problem(link.line, message)
        })
        .collect()
}

/// Whether this is `crates/NAME/`.
fn is_crate(folder: &str) -> bool {
    let name = folder.strip_prefix("crates/");
    name.is_some_and(|name| name.find('/') == Some(name.len() - 1))
}

/// Why a link leads nowhere.
fn broken(root: &Path, page: &Page, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (relative, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match relative {
        "" => page.path.clone(),
        relative => match resolve(&page.path, relative) {
            Some(path) => path,
            None => return Some("leads outside the repository; write a whole URL".to_owned()),
        },
    };
    let file = root.join(&path);
    if !file.exists() {
        return Some(format!("leads to {path}, which doesn't exist"));
    }
    if anchor.is_empty() {
        return None;
    }
    let anchors = match path.ends_with(".md") {
        true => Page::new(&path, fs::read_to_string(&file).ok()?).anchors,
        false => Vec::new(),
    };
    let known = anchors.iter().any(|it| it == anchor);
    (!known).then(|| format!("names a heading that {path} doesn't have, but {anchors:?}"))
}

/// The target of a relative path in a page. `None` if it is outside the repository.
fn resolve(page: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The links of a guide work in the repository and in rustdoc, and both list all guides.
fn guides(root: &Path, pages: &[Page]) -> sh::Outcome<Vec<Problem>> {
    let is_guide = |page: &&Page| {
        let name = page.path.strip_prefix(GUIDES);
        name.is_some_and(|name| !name.contains('/'))
    };
    let guides: Vec<&Page> = pages.iter().filter(is_guide).collect();
    let text = |path: &str| fs::read_to_string(root.join(path));
    let modules = text(MODULES)?;
    let rustdoc = Page::new(FOR_RUSTDOC, text(FOR_RUSTDOC)?);
    let for_rustdoc: BTreeSet<&str> = rustdoc.links.iter().map(|it| it.label.as_str()).collect();
    let mut found = Vec::new();
    for guide in &guides {
        let name = &guide.path[GUIDES.len()..];
        if !modules.contains(&format!("\"../guides/{name}\"")) {
            found.push(guide.problem(1, format!("rustdoc lacks this guide; add it to {MODULES}")));
        }
        let index = guides.iter().find(|it| it.path.ends_with("/README.md"));
        let listed = index.is_some_and(|it| it.links.iter().any(|link| link.target == name));
        if name != "README.md" && !listed {
            found.push(guide.problem(1, "the index of the guides doesn't list this one".into()));
        }
        let here = |link: &&Link| !link.target.contains("://") && !link.target.starts_with('#');
        for link in guide.links.iter().filter(here) {
            if !for_rustdoc.contains(link.label.as_str()) {
                let message = format!(
                    "the link to `{}` doesn't work in rustdoc; define a label for it at the page's end \
                     and in {FOR_RUSTDOC}",
                    link.target
                );
                found.push(guide.problem(link.line, message));
            }
        }
        for missing in guide.undefined.iter().filter(|it| it.is_shortcut) {
            if for_rustdoc.contains(missing.label.as_str()) {
                let message = format!("[{}] is defined for rustdoc only", missing.label);
                found.push(guide.problem(missing.line, message));
            }
        }
    }
    Ok(found)
}

/// Every `cargo xtask` command is in CONTRIBUTING.md, and pages name only existing commands.
fn unknown_commands(pages: &[Page], commands: &[&str]) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut explained = BTreeSet::new();
    for page in pages {
        // A code span may be wrapped.
        let text = page.text.replace("cargo xtask\n", "cargo xtask ");
        for (at, start) in text.match_indices("cargo xtask ") {
            let rest = &text[at + start.len()..];
            let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '-');
            let name = &rest[..end.unwrap_or(rest.len())];
            if page.path == MANUAL {
                explained.insert(name.to_owned());
            }
            // The changelog may name commands that were removed.
            let past = page.path.ends_with("CHANGELOG.md") || name.is_empty();
            if !past && !commands.contains(&name) {
                let message = format!("`cargo xtask {name}` isn't a command");
                found.push(page.problem(line_of(&text, at), message));
            }
        }
    }
    for command in commands.iter().filter(|it| !explained.contains(**it)) {
        let message = format!("`cargo xtask {command}` isn't in the table of commands");
        found.push(Problem::new(MANUAL, 1, message));
    }
    found
}

/// The paths of all files with one of these extensions, from the root and with `/`. Symbolic links are
/// skipped.
pub(crate) fn files(root: &Path, extensions: &[&str]) -> sh::Outcome<Vec<String>> {
    fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> sh::Outcome {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            // Tools write to `target` and to hidden folders.
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                collect(&entry.path(), &format!("{path}/"), found)?;
            } else if kind.is_file() {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(root, "", &mut found)?;
    found.retain(|path: &String| {
        let extension = Path::new(path).extension().and_then(|it| it.to_str());
        extension.is_some_and(|it| extensions.contains(&it))
    });
    found.sort();
    Ok(found)
}

/// Something to fix in a file. Problems sort by file and line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) path: String,
    line: usize,
    message: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, message: String) -> Problem {
        let path = path.to_owned();
        Problem {
            path,
            line,
            message,
        }
    }
}

impl Page {
    fn problem(&self, line: usize, message: String) -> Problem {
        Problem::new(&self.path, line, message)
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

    const GUIDE: &str = "# A\n\n[`Handle`] is in [B][b], [outside](https://example.com).\n\n\
                         [`Handle`]: ../src/guide.rs\n[b]: b.md\n";

    /// A repository without problems.
    const GOOD: &[(&str, &str)] = &[
        (
            "CONTRIBUTING.md",
            "`cargo xtask\ntest`, `cargo xtask COMMAND`\n",
        ),
        ("CHANGELOG.md", "`cargo xtask gone` is removed.\n"),
        (
            "docs/a.md",
            "# From `curl -N` to [here](b.md)\n\n[a](#from-curl--n-to-here) [b](b.md#why-1) [c](../docs) \
             [d](https://example.com/#x) [e](mailto:a@example.com) [f][B] [no link] <a id=\"kept\"></a>\n\n\
             ```\n# [g](gone.md)\n```\n`[h](gone.md)` [i](#kept)\n\n[b]: ../docs/b.md\n",
        ),
        (
            "docs/b.md",
            "# Why?\n\n## Why?\n\nTested by: `docs`, `docs/a.md`\n",
        ),
        ("crates/everstream/guides/a.md", GUIDE),
        ("crates/everstream/guides/b.md", "# B\n"),
        (
            "crates/everstream/guides/README.md",
            "[A][a], [B][b]\n\n[a]: a.md\n[b]: b.md\n",
        ),
        (
            FOR_RUSTDOC,
            "[`Handle`]: crate::Handle\n[a]: crate::guide::a\n[b]: crate::guide::b\n",
        ),
        (
            MODULES,
            "\"../guides/a.md\" \"../guides/b.md\" \"../guides/README.md\"\n",
        ),
    ];

    /// The problems of that repository with these files instead or in addition.
    fn found(changed: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (path, text) in GOOD.iter().chain(changed) {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let found = problems(root, &["test"]).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    /// Each problem is a line of the result that begins like this.
    fn assert_found(changed: &[(&str, &str)], expected: &[&str]) {
        let found = found(changed);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (line, start) in found.iter().zip(expected) {
            assert!(line.starts_with(start), "{line}\nisn't\n{start}");
        }
    }

    #[test]
    fn links_headings_files_and_commands_that_exist_are_accepted() {
        assert_eq!(found(&[]), [""; 0]);
    }

    #[test]
    fn links_and_headings_that_do_not_exist_are_refused() {
        let page = "[a](gone.md)\n\n[`b`]: gone.rs\n\n<img src=\"gone.svg\">\n\n| a |\n|---|\n| [c](b.md#x) |\n\n\
                    [d](../docs#x) [e](/docs/b.md)\n[f](../../b.md) [g][gone] [h][]\n";
        let expected = [
            "docs/c.md:1: the link to `gone.md` leads to docs/gone.md, which doesn't exist",
            "docs/c.md:3: the link to `gone.rs`",
            "docs/c.md:5: the link to `gone.svg`",
            "docs/c.md:9: the link to `b.md#x` names a heading that docs/b.md doesn't have, but [\"why\"",
            "docs/c.md:11: the link to `../docs#x` names a heading",
            "docs/c.md:11: the link to `/docs/b.md` leads outside the repository",
            "docs/c.md:12: [gone] has no definition",
            "docs/c.md:12: [h] has no definition",
            "docs/c.md:12: the link to `../../b.md` leads outside the repository",
        ];
        assert_found(&[("docs/c.md", page)], &expected);
    }

    #[test]
    fn links_that_are_dead_in_a_package_are_refused() {
        let readme =
            "[a](../../docs/a.md) [b](guides/a.md#a) [c](#d) [e](https://example.com)\n\n# D\n";
        let of_python = "[a](../docs/a.md)\n[b](b.md) [c](mailto:a@example.com)\n";
        let expected = [
            "crates/everstream/README.md:1: the link to `../../docs/a.md` is dead in the package",
            "python/README.md:1: the link to `../docs/a.md` is dead",
            "python/README.md:2: the link to `b.md` is dead",
        ];
        let changed = [
            ("crates/everstream/README.md", readme),
            ("python/README.md", of_python),
            ("python/b.md", ""),
        ];
        assert_found(&changed, &expected);
    }

    #[test]
    fn test_files_that_do_not_exist_are_refused() {
        let page = "Tested by: `docs/a.md`, `gone.rs`, `../docs/a.md`, docs/a.md\n\nTested by:\n";
        let expected = [
            "docs/c.md:1: Tested by: `../docs/a.md`: write a path",
            "docs/c.md:1: Tested by: `gone.rs`",
            "docs/c.md:1: Tested by: docs/a.md",
            "docs/c.md:3: Tested by: :",
        ];
        assert_found(&[("docs/c.md", page)], &expected);
    }

    #[test]
    fn commands_that_do_not_exist_or_are_not_explained_are_refused() {
        let expected = [
            "CONTRIBUTING.md:1: `cargo xtask test` isn't in the table",
            "docs/c.md:2: `cargo xtask fly` isn't a command",
        ];
        let changed = [
            ("CONTRIBUTING.md", "Run it.\n"),
            ("docs/c.md", "```sh\ncargo xtask fly\n```\n"),
        ];
        assert_found(&changed, &expected);
    }

    #[test]
    fn guides_whose_links_work_in_one_place_or_that_no_list_has_are_refused() {
        let guide = format!("{GUIDE}[c]: b.md\n\n[`Client`] [d](b.md) [e](#a)\n");
        let rustdoc = GOOD[7].1.to_owned() + "[`Client`]: crate::Client\n";
        let expected = [
            "crates/everstream/guides/a.md:7: the link to `b.md` doesn't work in rustdoc",
            "crates/everstream/guides/a.md:9: [`Client`] is defined for rustdoc only",
            "crates/everstream/guides/a.md:9: the link to `b.md` doesn't work in rustdoc",
            "crates/everstream/guides/c.md:1: rustdoc lacks this guide",
            "crates/everstream/guides/c.md:1: the index of the guides doesn't list this one",
        ];
        let changed = [
            ("crates/everstream/guides/a.md", guide.as_str()),
            ("crates/everstream/guides/c.md", "# C\n"),
            (FOR_RUSTDOC, rustdoc.as_str()),
        ];
        assert_found(&changed, &expected);
    }
}

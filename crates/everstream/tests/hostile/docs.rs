//! The documents name tests that exist, and their links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use everstream::SessionConfig;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Of a session; the rest of the table names its tests.
#[test]
fn the_defaults_in_the_readme_are_those_of_a_session() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let config = SessionConfig::default();
    let delay = config.initial_retry_delay.as_secs();
    let threshold = config.retry_delay_reset_threshold.as_secs();
    let floor = config.min_server_retry_delay.as_millis();
    let largest = config.max_event_size >> 20;
    assert_eq!(config.read_timeout, None);
    for row in [
        format!(
            "| first delay before reconnecting | {delay} s, until the server says `retry:` (at least {floor} ms)"
        ),
        format!("| the delay starts anew | after a connection that lasted {threshold} s"),
        format!("| largest event | {largest} MiB"),
        "| silence | is accepted".into(),
    ] {
        assert!(readme.contains(&row), "the README has no row {row:?}");
    }
}

/// The names of all functions, modules and fields of the crates.
fn names(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let words = source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let mut before = "";
            for word in words.filter(|word| !word.is_empty()) {
                if ["fn", "mod", "pub", "const"].contains(&before) {
                    found.insert(word.into());
                }
                before = word;
            }
        }
    }
}

/// All pages in Markdown but those that others maintain or tools write.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages: Vec<PathBuf> = Vec::new();
    let crates = ["core", "testing", "cli"].map(|it| format!("crates/everstream-{it}"));
    let folders = ["", "docs", "crates/everstream/guides", "python"];
    for folder in folders.into_iter().chain(crates.iter().map(String::as_str)) {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|it| it == "md")));
    }
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// Without its blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let mut within = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The texts and targets of the links, those that are defined at the end of a page among them.
fn links(prose: &str) -> Vec<(&str, &str)> {
    let inline = prose.match_indices("](").filter_map(|(at, _)| {
        let text = &prose[prose[..at].rfind('[')? + 1..at];
        Some((text, prose[at + 2..].split_once(')')?.0))
    });
    let defined = prose.lines().filter_map(|line| {
        let (text, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some((text, target))
    });
    let all = inline.chain(defined);
    all.filter(|(_, target)| !target.contains("://")).collect()
}

/// What a heading is called in links to it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars();
    let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_what_it_says() {
    for page in pages() {
        let name = page.display();
        let prose = prose(&page);
        for (text, target) in links(&prose) {
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            assert!(path.exists(), "{name} links to {target}");
            if !fragment.is_empty() {
                let there = fs::read_to_string(&path).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| anchor(heading) == fragment);
                assert!(found, "{name} links to {target}, where no such heading is");
            }
            let quoted = text.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            let source = path.extension().is_some_and(|it| it != "md");
            if let Some(quoted) = quoted.filter(|quoted| source && !path.ends_with(quoted)) {
                let there = fs::read_to_string(&path).unwrap();
                assert!(
                    is_in(quoted, &there),
                    "{name} links to {target} for {quoted}, which isn't there"
                );
            }
        }
    }
}

/// Whether source has what is quoted: the definition, for the name of a test.
fn is_in(quoted: &str, source: &str) -> bool {
    let name = quoted.rsplit("::").next().unwrap();
    let is_a_test = name.matches('_').count() >= 3 && name == quoted;
    match is_a_test {
        true => ["fn", "def"].iter().any(|keyword| {
            let definition = format!("{keyword} {name}");
            let mut after = source.split(&definition).skip(1);
            after.any(|rest| rest.starts_with(['(', '<']))
        }),
        false => source.contains(name),
    }
}

#[test]
fn the_links_of_a_guide_lead_somewhere_in_rustdoc_too() {
    let guides = Path::new(ROOT).join("crates/everstream/guides");
    let defined = fs::read_to_string(guides.join("links-of-rustdoc.txt")).unwrap();
    let index = fs::read_to_string(guides.join("README.md")).unwrap();
    let modules = fs::read_to_string(guides.join("../src/guide.rs")).unwrap();
    let of_guides = |page: &PathBuf| page.parent().unwrap().ends_with("guides");
    for page in pages().into_iter().filter(of_guides) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(modules.contains(&format!("../guides/{name}")), "{name}");
        assert!(name == "README.md" || index.contains(name), "{name}");
        for (text, target) in links(&prose(&page)) {
            let definition = format!("[{text}]: ");
            assert!(
                defined.lines().any(|line| line.starts_with(&definition)),
                "{name} links to {target} for {text}, which links-of-rustdoc.txt hasn't"
            );
        }
    }
}

#[test]
fn every_command_of_the_project_is_explained() {
    let root = Path::new(ROOT);
    let source = fs::read_to_string(root.join("xtask/src/main.rs")).unwrap();
    let explained = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let commands: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let row = format!("| `cargo xtask {command}");
        assert!(explained.contains(&row), "CONTRIBUTING.md has no {command}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut found = BTreeSet::new();
    for members in ["crates", "fuzz/src", "soak"] {
        names(&Path::new(ROOT).join(members), &mut found);
    }
    let mut named_by_guides = 0;
    for page in pages() {
        let document = page.display();
        if page.ends_with("docs/cli.md") || page.ends_with("docs/python.md") {
            continue; // they name options, and tests of Python
        }
        let text = prose(&page);
        let quoted = text.split('`').skip(1).step_by(2);
        // Long enough not to be anything else.
        let named: Vec<_> = quoted
            .filter(|name| name.matches('_').count() >= 3)
            .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            .filter(|name| !name.starts_with("test_")) // Python's, which are links
            .collect();
        if ["docs/reliability.md", "SECURITY.md", "COMPARE.md"]
            .iter()
            .any(|it| page.ends_with(it))
        {
            assert!(named.len() > 20, "{document} names {} tests", named.len());
        }
        if page.parent().unwrap().ends_with("guides") {
            named_by_guides += named.len();
        }
        for name in named {
            assert!(
                found.contains(name),
                "{document} names {name}, which doesn't exist"
            );
        }
    }
    assert!(
        named_by_guides > 20,
        "the guides name {named_by_guides} tests"
    );
}

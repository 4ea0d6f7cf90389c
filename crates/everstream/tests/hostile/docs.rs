//! The documents name tests and settings that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

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

#[test]
fn every_test_that_is_named_exists() {
    let mut found = BTreeSet::new();
    for members in ["crates", "fuzz/src", "soak"] {
        names(&Path::new(ROOT).join(members), &mut found);
    }
    for document in ["docs/reliability.md", "SECURITY.md"] {
        let text = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        // Long enough not to be anything else.
        let named: Vec<_> = quoted
            .filter(|name| name.matches('_').count() >= 3)
            .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            .collect();
        assert!(named.len() > 20, "{document} names {} tests", named.len());
        for name in named {
            assert!(
                found.contains(name),
                "{document} names {name}, which doesn't exist"
            );
        }
    }
}

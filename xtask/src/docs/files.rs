//! The files of the repository, by their paths from the root, with `/` as separator.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sh;

pub(crate) trait Files {
    /// Whether there is a file or a folder with this path.
    fn exists(&self, path: &str) -> bool;
    /// `None` if the file doesn't exist, or isn't text.
    fn text(&self, path: &str) -> Option<String>;
}

/// The repository itself.
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(crate) fn new(root: PathBuf) -> Disk {
        Disk { root }
    }

    /// The paths of all files with one of these extensions. Symbolic links are skipped.
    pub(crate) fn paths(&self, extensions: &[&str]) -> sh::Outcome<Vec<String>> {
        let mut found = Vec::new();
        collect(&self.root, "", &mut found)?;
        found.retain(|path: &String| {
            let extension = Path::new(path).extension().and_then(|it| it.to_str());
            extension.is_some_and(|it| extensions.contains(&it))
        });
        found.sort();
        Ok(found)
    }
}

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

impl Files for Disk {
    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// The target of a relative path in a folder. `None` if it is outside the repository.
pub(super) fn resolve(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The folder of a file; empty for the root.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
pub(super) mod memory {
    use super::*;
    use crate::docs::page::Page;

    /// A repository in memory.
    pub(in crate::docs) struct Memory(Vec<(String, String)>);

    impl Memory {
        pub(in crate::docs) fn new(files: &[(&str, &str)]) -> Memory {
            let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
            Memory(files.iter().map(owned).collect())
        }

        pub(in crate::docs) fn pages(&self) -> Vec<Page> {
            let pages = self.0.iter().filter(|(path, _)| path.ends_with(".md"));
            pages
                .map(|(path, text)| Page::new(path, text.clone()))
                .collect()
        }
    }

    impl Files for Memory {
        fn exists(&self, path: &str) -> bool {
            let below = format!("{path}/");
            let mut paths = self.0.iter().map(|(path, _)| path);
            paths.any(|it| it == path || it.starts_with(&below))
        }

        fn text(&self, path: &str) -> Option<String> {
            let found = self.0.iter().find(|(it, _)| it == path)?;
            Some(found.1.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_resolved_against_the_folder_of_the_page() {
        assert_eq!(folder("docs/a.md"), "docs");
        assert_eq!(folder("README.md"), "");
        assert_eq!(resolve("docs", "b.md").as_deref(), Some("docs/b.md"));
        assert_eq!(resolve("a/b", "../../c/./d.rs").as_deref(), Some("c/d.rs"));
        assert_eq!(resolve("docs", "bench/").as_deref(), Some("docs/bench"));
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_refused() {
        assert_eq!(resolve("docs", "../../etc/passwd"), None);
    }

    #[test]
    fn the_pages_on_disk_are_found_once_each() {
        let pages = Disk::new(sh::root()).paths(&["md"]).unwrap();
        for page in [
            "README.md",
            "docs/cli.md",
            "crates/everstream/guides/llm.md",
        ] {
            assert_eq!(pages.iter().filter(|it| *it == page).count(), 1, "{page}");
        }
        // `docs/guides` is a link to the folder of the guides.
        assert!(!pages.iter().any(|it| it.starts_with("docs/guides/")));
        assert!(!pages.iter().any(|it| it.contains("target/")));
    }
}

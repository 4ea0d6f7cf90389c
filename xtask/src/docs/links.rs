//! Relative links lead to files, and `#anchors` to headings.

use super::Problem;
use super::files::{Files, folder, resolve};
use super::page::Page;

pub(super) fn problems(pages: &[Page], files: &dyn Files) -> Vec<Problem> {
    let mut found = Vec::new();
    for page in pages {
        for link in &page.links {
            if let Some(message) = fault(page, &link.target, pages, files) {
                found.push(Problem::new(&page.path, link.line, message));
            }
        }
        found.extend(undefined(page));
    }
    found
}

/// The problem with a link, if there is one.
fn fault(page: &Page, target: &str, pages: &[Page], files: &dyn Files) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    if target.starts_with('/') {
        return Some(format!(
            "the link to `{target}` is absolute; write the path from this page's folder"
        ));
    }
    let (relative, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match relative {
        "" => Some(page.path.clone()),
        relative => resolve(folder(&page.path), relative),
    };
    let Some(path) = path else {
        return Some(format!(
            "the link to `{target}` leads outside the repository; write a whole URL"
        ));
    };
    if !files.exists(&path) {
        return Some(format!(
            "the link to `{target}` leads to {path}, which doesn't exist; fix the path or remove \
             the link"
        ));
    }
    if anchor.is_empty() {
        return None;
    }
    if !path.ends_with(".md") {
        return Some(format!(
            "the link to `{target}` has an anchor, but {path} has no headings; link to the file"
        ));
    }
    let anchors = match pages.iter().find(|it| it.path == path) {
        Some(page) => page.anchors.clone(),
        // Through a symbolic link.
        None => Page::new(&path, files.text(&path)?).anchors,
    };
    if anchors.iter().any(|it| it == anchor) {
        return None;
    }
    let similar = anchors.iter().find(|it| {
        let anchor = anchor.to_lowercase();
        it.contains(&anchor) || anchor.contains(it.as_str())
    });
    let advice = match similar {
        Some(similar) => format!("perhaps #{similar} is meant"),
        None => "use the name of one of its headings".to_owned(),
    };
    Some(format!(
        "the link to `{target}` names a heading that {path} doesn't have; {advice}"
    ))
}

/// References without a definition. A page shows their brackets.
fn undefined(page: &Page) -> impl Iterator<Item = Problem> {
    let references = page.undefined.iter().filter(|it| !it.is_shortcut);
    references.map(|it| {
        let label = &it.label;
        let message =
            format!("the link to [{label}] has no definition; add a line `[{label}]: PATH`");
        Problem::new(&page.path, it.line, message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    /// The problems of a page `docs/a.md` with this text.
    fn found(text: &str) -> Vec<String> {
        let files = Memory::new(&[
            ("docs/a.md", text),
            ("docs/b.md", "# B\n\n## Going further\n"),
            ("src/lib.rs", "# not a heading\n"),
        ]);
        let found = problems(&files.pages(), &files);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_accepted() {
        let text = "# Here\n\n[a](#here) [b](b.md) [c](b.md#going-further) [d](../src/lib.rs) \
                    [e](../src) [f](https://example.com/#gone) [g](mailto:a@example.com) [h][b]\n\n\
                    [b]: ../docs/b.md\n";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn a_link_to_a_file_that_does_not_exist_is_refused() {
        let expected = "docs/a.md:3: the link to `../src/main.rs` leads to src/main.rs, which \
                        doesn't exist; fix the path or remove the link";
        assert_eq!(found("# A\n\n[a](../src/main.rs)\n"), [expected]);
        assert_eq!(found("[`a`]: gone.rs\n").len(), 1);
        assert_eq!(found("<img src=\"gone.svg\">\n").len(), 1);
    }

    #[test]
    fn a_heading_that_does_not_exist_is_refused_and_a_similar_one_named() {
        let expected = "docs/a.md:1: the link to `b.md#going` names a heading that docs/b.md \
                        doesn't have; perhaps #going-further is meant";
        assert_eq!(found("[a](b.md#going)\n"), [expected]);
        assert_eq!(found("# A\n\n[a](#b)\n").len(), 1);
        assert_eq!(found("[a](../src/lib.rs#not-a-heading)\n").len(), 1);
    }

    #[test]
    fn absolute_paths_and_those_that_leave_the_repository_are_refused() {
        assert_eq!(found("[a](/docs/b.md) [b](../../b.md)\n").len(), 2);
    }

    #[test]
    fn a_reference_without_a_definition_is_refused() {
        let expected =
            "docs/a.md:2: the link to [gone] has no definition; add a line `[gone]: PATH`";
        assert_eq!(found("[b][B]\n[a][gone]\n\n[b]: b.md\n"), [expected]);
    }
}

//! Guides are pages of the repository and of rustdoc. Their links work in both, and every list names
//! all guides.

use std::collections::BTreeSet;

use super::Problem;
use super::files::{Files, folder};
use super::page::{Kind, Page};

const FOLDER: &str = "crates/everstream/guides";
const INDEX: &str = "crates/everstream/guides/README.md";
/// The definitions of links for rustdoc, where those at the end of a page don't work.
const FOR_RUSTDOC: &str = "crates/everstream/guides/links-of-rustdoc.txt";
const MODULES: &str = "crates/everstream/src/guide.rs";

pub(super) fn problems(pages: &[Page], files: &dyn Files) -> Vec<Problem> {
    let guides: Vec<&Page> = pages
        .iter()
        .filter(|it| folder(&it.path) == FOLDER)
        .collect();
    if guides.is_empty() {
        return Vec::new();
    }
    let rustdoc = Page::new(FOR_RUSTDOC, files.text(FOR_RUSTDOC).unwrap_or_default());
    let mut found = links(&guides, &rustdoc);
    let modules = files.text(MODULES).unwrap_or_default();
    let index = guides.iter().find(|it| it.path == INDEX);
    let listed: Vec<&str> = index
        .map(|it| it.links.iter().map(|link| link.target.as_str()).collect())
        .unwrap_or_default();
    for guide in &guides {
        let name = guide.path.rsplit('/').next().unwrap_or_default();
        if !modules.contains(&format!("\"../guides/{name}\"")) {
            let message =
                format!("rustdoc doesn't show this guide; add a line for it to {MODULES}");
            found.push(Problem::new(&guide.path, 1, message));
        }
        if guide.path != INDEX && !listed.contains(&name) {
            let message = format!("the index doesn't list this guide; add a row to {INDEX}");
            found.push(Problem::new(&guide.path, 1, message));
        }
    }
    found
}

/// Every link is a reference that is defined twice: at the end of the page and for rustdoc.
fn links(guides: &[&Page], rustdoc: &Page) -> Vec<Problem> {
    let mut found = Vec::new();
    let for_rustdoc = labels(rustdoc);
    let mut used = BTreeSet::new();
    for guide in guides {
        for link in &guide.links {
            let relative = !link.target.contains("://");
            if link.kind == Kind::Inline && relative && !link.target.starts_with('#') {
                let message = format!(
                    "the link to `{}` can't work in rustdoc; write [{label}], and define it at the \
                     page's end and in {FOR_RUSTDOC}",
                    link.target,
                    label = link.label
                );
                found.push(Problem::new(&guide.path, link.line, message));
            }
            let definition = link.kind == Kind::Definition && relative;
            if definition && !for_rustdoc.contains(&link.label) {
                let message = format!(
                    "[{}] isn't defined in {FOR_RUSTDOC}; add a line with the path of the item or page",
                    link.label
                );
                found.push(Problem::new(&guide.path, link.line, message));
            }
        }
        let here = labels(guide);
        for label in &for_rustdoc {
            if here.contains(label) {
                used.insert(label.clone());
            } else if let Some(used) = guide.undefined.iter().find(|it| it.label == *label) {
                let message = format!(
                    "[{label}] is defined for rustdoc only; add a line `[{label}]: PATH` at the \
                     page's end"
                );
                found.push(Problem::new(&guide.path, used.line, message));
            }
        }
    }
    for link in rustdoc.definitions() {
        if !used.contains(&link.label) {
            let message = format!("no guide uses [{}]; remove the line", link.label);
            found.push(Problem::new(FOR_RUSTDOC, link.line, message));
        }
    }
    found
}

fn labels(page: &Page) -> BTreeSet<String> {
    page.definitions().map(|it| it.label.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    const GOOD: &str = "# A\n\n[`Handle`] is in [B][b], [outside](https://example.com).\n\n\
                        [`Handle`]: ../src/handle.rs\n[b]: b.md\n";
    const README: &str = "# Guides\n\n[A][a], [B][b]\n\n[a]: a.md\n[b]: b.md\n";
    const RUSTDOC: &str = "[`Handle`]: crate::Handle\n[a]: crate::guide::a\n[b]: crate::guide::b\n";
    const GUIDE_RS: &str = "a \"../guides/a.md\"\nb \"../guides/b.md\"\n\"../guides/README.md\"\n";

    fn found(guide: &str, readme: &str, rustdoc: &str, modules: &str) -> Vec<String> {
        let files = Memory::new(&[
            ("crates/everstream/guides/a.md", guide),
            ("crates/everstream/guides/b.md", "# B\n"),
            (INDEX, readme),
            (FOR_RUSTDOC, rustdoc),
            (MODULES, modules),
        ]);
        let found = problems(&files.pages(), &files);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn guides_whose_links_work_in_both_places_are_accepted() {
        assert_eq!(found(GOOD, README, RUSTDOC, GUIDE_RS), [""; 0]);
    }

    #[test]
    fn a_link_that_is_not_defined_for_rustdoc_is_refused() {
        let less = RUSTDOC.replace("[`Handle`]: crate::Handle\n", "");
        let expected = "crates/everstream/guides/a.md:5: [`Handle`] isn't defined in \
                        crates/everstream/guides/links-of-rustdoc.txt; add a line with the path of \
                        the item or page";
        assert_eq!(found(GOOD, README, &less, GUIDE_RS), [expected]);
    }

    #[test]
    fn a_link_that_is_defined_for_rustdoc_only_is_refused() {
        let guide = format!("# A\n\nSee [`Client`].\n{GOOD}");
        let rustdoc = format!("{RUSTDOC}[`Client`]: crate::Client\n");
        let found = found(&guide, README, &rustdoc, GUIDE_RS);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with("crates/everstream/guides/a.md:3: "),
            "{found:#?}"
        );
    }

    #[test]
    fn a_definition_that_no_guide_uses_is_refused() {
        let rustdoc = format!("{RUSTDOC}[gone]: crate::Gone\n");
        let expected = "crates/everstream/guides/links-of-rustdoc.txt:4: no guide uses [gone]; \
                        remove the line";
        assert_eq!(found(GOOD, README, &rustdoc, GUIDE_RS), [expected]);
    }

    #[test]
    fn an_inline_link_to_a_file_is_refused() {
        let guide = format!("# A\n\n[b](b.md) [c](#a)\n{GOOD}");
        let found = found(&guide, README, RUSTDOC, GUIDE_RS);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("a.md:3: the link to `b.md` can't work in rustdoc"));
    }

    #[test]
    fn a_guide_that_is_missing_in_a_list_is_refused() {
        let modules = GUIDE_RS.replace("a.md", "c.md");
        assert_eq!(found(GOOD, README, RUSTDOC, &modules).len(), 1);
        let readme = README.replace("[A][a], ", "").replace("[a]: a.md\n", "");
        let rustdoc = RUSTDOC.replace("[a]: crate::guide::a\n", "");
        assert_eq!(found(GOOD, &readme, &rustdoc, GUIDE_RS).len(), 1);
    }
}

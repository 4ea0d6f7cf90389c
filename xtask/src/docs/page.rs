//! A page of Markdown: its links, headings and text.

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};

pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
    /// The text, with code replaced by spaces, so that one offset fits both.
    pub(super) plain: String,
    pub(super) links: Vec<Link>,
    pub(super) undefined: Vec<Undefined>,
    /// The names that `#name` in a link can refer to, as on GitHub.
    pub(super) anchors: Vec<String>,
}

/// A link, or the definition of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) kind: Kind,
    /// The text between the brackets; empty for HTML.
    pub(super) label: String,
    pub(super) target: String,
    pub(super) line: usize,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    /// `[label](target)`, including images, or an attribute in HTML.
    Inline,
    /// `[label]: target`
    Definition,
}

/// A reference without a definition. Without a callback it is just text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undefined {
    pub(super) label: String,
    pub(super) line: usize,
    /// `[label]`, which need not be a link, and not `[text][label]` or `[label][]`.
    pub(super) is_shortcut: bool,
}

impl Page {
    pub(super) fn new(path: &str, text: String) -> Page {
        let mut parts = Parts::new(&text);
        let mut undefined = Vec::new();
        let callback = |link: BrokenLink<'_>| {
            undefined.push(Undefined {
                label: link.reference.to_string(),
                line: line(&text, link.span.start),
                is_shortcut: link.link_type == LinkType::Shortcut,
            });
            None
        };
        let parser = Parser::new_with_broken_link_callback(
            &text,
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES,
            Some(callback),
        );
        for (label, definition) in parser.reference_definitions().iter() {
            let (target, at) = (&definition.dest, definition.span.start);
            parts.link(Kind::Definition, label, target, at);
        }
        for (event, range) in parser.into_offset_iter() {
            parts.add(event, range);
        }
        let Parts {
            code,
            mut links,
            anchors,
            ..
        } = parts;
        links.sort_by_key(|link| link.line);
        Page {
            path: path.to_owned(),
            plain: without(&text, &code),
            text,
            links,
            undefined,
            anchors,
        }
    }

    /// The number of the line, from 1, with this offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        line(&self.text, offset)
    }

    pub(super) fn definitions(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|it| it.kind == Kind::Definition)
    }
}

/// What the parser has found so far.
struct Parts<'a> {
    text: &'a str,
    code: Vec<Range<usize>>,
    links: Vec<Link>,
    anchors: Vec<String>,
    /// The text of the heading that is being read.
    heading: Option<String>,
    repeated: BTreeMap<String, usize>,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str) -> Parts<'a> {
        Parts {
            text,
            code: Vec::new(),
            links: Vec::new(),
            anchors: Vec::new(),
            heading: None,
            repeated: BTreeMap::new(),
        }
    }

    fn add(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(
                Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url,
                    ..
                }
                | Tag::Image {
                    link_type: LinkType::Inline,
                    dest_url,
                    ..
                },
            ) => {
                let written = self.text[range.clone()].trim_start_matches('!');
                let label = written.rsplit_once("](").map_or("", |(label, _)| label);
                let label = label.trim_start_matches('[').to_owned();
                self.link(Kind::Inline, &label, &dest_url, range.start);
            }
            Event::Start(Tag::CodeBlock(_)) => self.code.push(range),
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&self.heading.take().unwrap_or_default());
                let repeated = self.repeated.entry(name.clone()).or_insert(0);
                self.anchors.push(match *repeated {
                    0 => name,
                    number => format!("{name}-{number}"),
                });
                *repeated += 1;
            }
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html, range.start),
            Event::Text(text) => self.heading_text(&text),
            Event::Code(text) => {
                self.heading_text(&text);
                self.code.push(range);
            }
            _ => {}
        }
    }

    fn link(&mut self, kind: Kind, label: &str, target: &str, at: usize) {
        self.links.push(Link {
            kind,
            label: label.to_owned(),
            target: target.to_owned(),
            line: line(self.text, at),
        });
    }

    fn heading_text(&mut self, text: &str) {
        if let Some(heading) = &mut self.heading {
            heading.push_str(text);
        }
    }

    fn html(&mut self, html: &str, at: usize) {
        for name in ["href", "src", "srcset"] {
            for target in attributes(html, name) {
                self.link(Kind::Inline, "", target, at);
            }
        }
        for name in ["id", "name"] {
            self.anchors
                .extend(attributes(html, name).map(str::to_owned));
        }
    }
}

/// The values of an attribute.
fn attributes<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    html.split([' ', '\n']).filter_map(move |part| {
        let value = part.strip_prefix(name)?.strip_prefix("=\"")?;
        value.split('"').next()
    })
}

fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The offset and the text of each line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let at = *offset;
        *offset += line.len();
        Some((at, line.trim_end_matches(['\r', '\n'])))
    })
}

/// The text with spaces instead of these ranges, except for line ends.
fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let blank = |(at, char): (usize, char)| {
        if char != '\n' && ranges.iter().any(|range| range.contains(&at)) {
            " ".repeat(char.len_utf8())
        } else {
            char.to_string()
        }
    };
    text.char_indices().map(blank).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        let page = Page::new("a.md", text.to_owned());
        assert_eq!(page.plain.len(), text.len());
        page
    }

    fn targets(text: &str) -> Vec<String> {
        let links = page(text).links;
        links.into_iter().map(|it| it.target).collect()
    }

    #[test]
    fn links_of_every_form_are_found_with_their_lines() {
        let page = page(
            "A [one](one.md) and an\n![image of\ntwo](two.svg \"title\").\n\n\
             [![three](three.svg)](four.md) <img alt=\"\" src=\"five.png\">\n\n[`six`]: six.rs\n\n\
             | a |\n|---|\n| [seven](seven.md) |\n",
        );
        let found: Vec<_> = page
            .links
            .iter()
            .map(|it| (it.line, it.target.as_str()))
            .collect();
        let expected = [
            (1, "one.md"),
            (2, "two.svg"),
            (5, "four.md"),
            (5, "three.svg"),
            (5, "five.png"),
            (7, "six.rs"),
            (11, "seven.md"),
        ];
        assert_eq!(found, expected);
        assert_eq!(page.links[0].label, "one");
        let labels: Vec<_> = page.definitions().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["`six`"]);
    }

    #[test]
    fn code_has_no_links_and_no_headings() {
        let text =
            "`[a](b)` ``[`c`](d)``\n```sh\n# e\n[f](g)\n```\n~~~~\n```\n[h](i)\n~~~~\n[j](k)\n";
        assert_eq!(targets(text), ["k"]);
        assert!(page(text).anchors.is_empty());
        assert_eq!(page("a `b`\n```\nc\n```\n").plain.trim_end(), "a");
    }

    #[test]
    fn references_without_a_definition_are_found_by_their_labels() {
        let page =
            page("[one page][One], [`Two`][], [three] and [four].\n\n[five][4]\n\n[four]: x\n");
        let found: Vec<_> = page
            .undefined
            .iter()
            .map(|it| (it.label.as_str(), it.line, it.is_shortcut))
            .collect();
        let expected = [
            ("One", 1, false),
            ("`Two`", 1, false),
            ("three", 1, true),
            ("4", 3, false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = page(
            "# From `curl -N` to [there](x.md)\n\n## Why not?\n\n### snake_case, ünï\n\n\
             ## Why not?\n\n#hashtag\n\n<a id=\"kept\"></a>\n",
        );
        let expected = [
            "from-curl--n-to-there",
            "why-not",
            "snake_case-ünï",
            "why-not-1",
            "kept",
        ];
        assert_eq!(page.anchors, expected);
    }
}

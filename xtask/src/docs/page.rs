//! A page of Markdown: its links, and the headings that links can name.

use pulldown_cmark::{BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};

pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) links: Vec<Link>,
    pub(super) undefined: Vec<Undefined>,
    /// The names that `#name` in a link can refer to, as on GitHub.
    pub(super) anchors: Vec<String>,
}

/// A link, or the definition of one.
pub(super) struct Link {
    /// Of a definition; empty for others.
    pub(super) label: String,
    pub(super) target: String,
    pub(super) line: usize,
}

/// A reference without a definition.
pub(super) struct Undefined {
    pub(super) label: String,
    pub(super) line: usize,
    /// `[label]`, which need not be a link, and not `[text][label]` or `[label][]`.
    pub(super) is_shortcut: bool,
}

impl Page {
    pub(super) fn new(path: &str, text: String) -> Page {
        let (mut links, mut undefined) = (Vec::new(), Vec::new());
        let (mut anchors, mut heading) = (Vec::new(), None::<String>);
        let callback = |link: BrokenLink<'_>| {
            undefined.push(Undefined {
                label: link.reference.to_string(),
                line: line_of(&text, link.span.start),
                is_shortcut: link.link_type == LinkType::Shortcut,
            });
            None
        };
        let mut link = |label: &str, target: &str, at: usize| {
            links.push(Link {
                label: label.to_owned(),
                target: target.to_owned(),
                line: line_of(&text, at),
            });
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        let parser = Parser::new_with_broken_link_callback(&text, options, Some(callback));
        for (label, definition) in parser.reference_definitions().iter() {
            link(label, &definition.dest, definition.span.start);
        }
        for (event, range) in parser.into_offset_iter() {
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
                ) => link("", &dest_url, range.start),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    let numbered = (1..).map(|number| format!("{name}-{number}"));
                    let mut names = [name.clone()].into_iter().chain(numbered);
                    anchors.extend(names.find(|it| !anchors.contains(it)));
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    for attribute in html.split([' ', '\n']) {
                        let Some((name, value)) = attribute.split_once("=\"") else {
                            continue;
                        };
                        let value = value.split('"').next().unwrap_or_default();
                        match name {
                            "href" | "src" | "srcset" => link("", value, range.start),
                            "id" | "name" => anchors.push(value.to_owned()),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let path = path.to_owned();
        Page {
            path,
            text,
            links,
            undefined,
            anchors,
        }
    }
}

/// The number of the line, from 1, with this offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

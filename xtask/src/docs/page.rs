//! A page of Markdown, as far as the checks need it: prose, links and headings.

use std::collections::BTreeMap;

/// A page. `prose` and `plain` have the length of the text, so that one offset fits all three.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) text: String,
    /// The text, with blocks of code replaced by spaces.
    pub(super) prose: String,
    /// The prose, with code spans replaced by spaces.
    pub(super) plain: String,
}

/// A link, or the definition of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) kind: Kind,
    /// What is between the brackets; empty for HTML.
    pub(super) label: String,
    pub(super) target: String,
    pub(super) line: usize,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    /// `[label](target)`, images among them, or an attribute in HTML.
    Inline,
    /// `[label]: target`
    Definition,
}

impl Page {
    pub(super) fn new(path: &str, text: String) -> Page {
        let prose = without_blocks(&text);
        let plain = without_spans(&prose);
        Page {
            path: path.to_owned(),
            text,
            prose,
            plain,
        }
    }

    /// The number of the line, from 1, that this offset is in.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.bytes().take(offset);
        before.filter(|byte| *byte == b'\n').count() + 1
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let mut found = self.inline_links();
        found.extend(self.attributes(&["href=\"", "src=\"", "srcset=\""]).map(
            |(target, offset)| Link {
                kind: Kind::Inline,
                label: String::new(),
                target: target.to_owned(),
                line: self.line(offset),
            },
        ));
        found.extend(self.definitions());
        found
    }

    fn inline_links(&self) -> Vec<Link> {
        let mut found = Vec::new();
        for (at, _) in self.plain.match_indices("](") {
            let Some(target) = target(&self.plain[at + 2..]) else {
                continue;
            };
            let Some(open) = opening_bracket(&self.plain[..at]) else {
                continue;
            };
            found.push(Link {
                kind: Kind::Inline,
                label: self.text[open + 1..at].to_owned(),
                target: target.to_owned(),
                line: self.line(at),
            });
        }
        found
    }

    /// The `[label]: target` lines.
    pub(super) fn definitions(&self) -> Vec<Link> {
        let mut found = Vec::new();
        for (offset, line) in lines(&self.plain) {
            if !line.starts_with('[') || line.starts_with("[^") {
                continue;
            }
            let Some(end) = line.find("]: ") else {
                continue;
            };
            let target = line[end + 3..].split_whitespace().next();
            found.push(Link {
                kind: Kind::Definition,
                label: self.text[offset + 1..offset + end].to_owned(),
                target: target.unwrap_or_default().to_owned(),
                line: self.line(offset),
            });
        }
        found
    }

    /// The labels of `[text][label]`, or of `[label][]`, and their lines.
    pub(super) fn references(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (at, _) in self.plain.match_indices("][") {
            let Some(length) = self.plain[at + 2..].find(']') else {
                continue;
            };
            let mut label = &self.text[at + 2..at + 2 + length];
            if label.is_empty() {
                let Some(open) = opening_bracket(&self.plain[..at]) else {
                    continue;
                };
                label = &self.text[open + 1..at];
            }
            found.push((label.to_owned(), self.line(at)));
        }
        found
    }

    /// The names that `#name` in a link can mean, as GitHub makes them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (_, line) in lines(&self.prose) {
            let text = line.trim_start_matches('#');
            if !(1..=6).contains(&(line.len() - text.len())) || !text.starts_with(' ') {
                continue;
            }
            let name = anchor(text);
            let repeated = seen.entry(name.clone()).or_insert(0);
            found.push(match *repeated {
                0 => name,
                number => format!("{name}-{number}"),
            });
            *repeated += 1;
        }
        let named = self.attributes(&["id=\"", "name=\""]);
        found.extend(named.map(|(name, _)| name.to_owned()));
        found
    }

    /// The values of attributes of HTML tags, and where they begin.
    fn attributes<'a>(&'a self, starts: &'a [&str]) -> impl Iterator<Item = (&'a str, usize)> + 'a {
        starts.iter().flat_map(|start| {
            let spaced = |at: &usize| self.plain[..*at].ends_with([' ', '\n']);
            let found = self.plain.match_indices(start).map(|(at, _)| at);
            found.filter(spaced).filter_map(|at| {
                let from = at + start.len();
                let length = self.plain[from..].find('"')?;
                Some((&self.plain[from..from + length], from))
            })
        })
    }
}

/// A line's offset and its text, without the line end.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let at = *offset;
        *offset += line.len();
        Some((at, line.trim_end_matches(['\r', '\n'])))
    })
}

/// Spaces instead of the text, except for line ends.
fn blank(text: &str) -> String {
    let spaces = |char: char| match char {
        '\n' => "\n".to_owned(),
        char => " ".repeat(char.len_utf8()),
    };
    text.chars().map(spaces).collect()
}

/// Blanks blocks of code between fences.
fn without_blocks(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut fence: Option<(char, usize)> = None;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let mark = trimmed.chars().next().filter(|it| matches!(it, '`' | '~'));
        let length = mark.map_or(0, |mark| {
            trimmed.chars().take_while(|it| *it == mark).count()
        });
        let rest = &trimmed[length..];
        match (fence, mark) {
            (None, Some(mark)) if length >= 3 && !rest.contains('`') => {
                fence = Some((mark, length));
                result.push_str(&blank(line));
            }
            (None, _) => result.push_str(line),
            (Some((open, least)), mark) => {
                if mark == Some(open) && length >= least && rest.trim().is_empty() {
                    fence = None;
                }
                result.push_str(&blank(line));
            }
        }
    }
    result
}

/// Blanks code spans: what is between two runs of backticks of the same length, in one paragraph.
fn without_spans(prose: &str) -> String {
    let mut result = String::with_capacity(prose.len());
    let mut rest = prose;
    while let Some(start) = rest.find('`') {
        result.push_str(&rest[..start]);
        let length = run(&rest[start..]);
        let after = start + length;
        match closing(&rest[after..], length) {
            Some(end) => {
                result.push_str(&blank(&rest[start..after + end]));
                rest = &rest[after + end..];
            }
            None => {
                result.push_str(&rest[start..after]);
                rest = &rest[after..];
            }
        }
    }
    result.push_str(rest);
    result
}

/// How many backticks a text begins with.
fn run(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// Where the run of so many backticks ends that closes a code span.
fn closing(text: &str, length: usize) -> Option<usize> {
    let paragraph = text.find("\n\n").map_or(text, |end| &text[..end]);
    let mut from = 0;
    while let Some(at) = paragraph[from..].find('`') {
        let found = run(&paragraph[from + at..]);
        from += at + found;
        if found == length {
            return Some(from);
        }
    }
    None
}

/// The target of an inline link, which a title may follow.
fn target(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(target, _)| target);
    }
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(&text[..at]),
            ')' => depth -= 1,
            ' ' | '\n' => {
                // A title, or no link at all.
                let title = text[at..].trim_start().starts_with(['"', '\'']);
                return title.then_some(&text[..at]);
            }
            _ => {}
        }
    }
    None
}

/// The bracket that the one after this text closes.
fn opening_bracket(before: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in before.bytes().enumerate().rev() {
        match byte {
            b']' => depth += 1,
            b'[' if depth == 0 => return Some(at),
            b'[' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What a heading is called in links to it.
fn anchor(heading: &str) -> String {
    // Of a link in a heading only the text counts.
    let mut text = String::new();
    let mut rest = heading.trim();
    while let Some(at) = rest.find("](") {
        let end = rest[at..].find(')').map_or(rest.len(), |end| at + end + 1);
        text.push_str(&rest[..at]);
        rest = &rest[end..];
    }
    text.push_str(rest);
    let kept = text
        .chars()
        .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        let page = Page::new("a.md", text.to_owned());
        assert_eq!(page.prose.len(), text.len());
        assert_eq!(page.plain.len(), text.len());
        page
    }

    fn targets(text: &str) -> Vec<String> {
        let links = page(text).links();
        links.into_iter().map(|it| it.target).collect()
    }

    #[test]
    fn links_of_every_form_are_found_with_their_lines() {
        let page = page(
            "A [one](one.md) and an\n![image of\ntwo](two.svg \"title\").\n\n\
             [![three](three.svg)](four.md) <img alt=\"\" src=\"five.png\">\n\n[`six`]: six.rs\n",
        );
        let found: Vec<_> = page
            .links()
            .into_iter()
            .map(|it| (it.line, it.target))
            .collect();
        let expected = [
            (1, "one.md"),
            (3, "two.svg"),
            (5, "three.svg"),
            (5, "four.md"),
            (5, "five.png"),
            (7, "six.rs"),
        ];
        let expected = expected.map(|(line, target)| (line, target.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(page.definitions()[0].label, "`six`");
    }

    #[test]
    fn what_is_in_code_is_no_link_and_no_heading() {
        let text =
            "`[a](b)` ``[`c`](d)``\n```sh\n# e\n[f](g)\n```\n~~~~\n```\n[h](i)\n~~~~\n[j](k)\n";
        assert_eq!(targets(text), ["k"]);
        assert!(page(text).anchors().is_empty());
    }

    #[test]
    fn a_backtick_without_a_partner_hides_nothing_of_the_next_paragraph() {
        assert_eq!(targets("a ` b\n\n[c](d) `\n"), ["d"]);
    }

    #[test]
    fn text_in_brackets_before_parentheses_may_be_no_link() {
        assert!(targets("an array[0](one of many)\n").is_empty());
        assert_eq!(
            targets("[a](b_(c).md) [d](<e f.md>)\n"),
            ["b_(c).md", "e f.md"]
        );
    }

    #[test]
    fn references_are_found_by_their_labels() {
        let page = page("[one page][one], [`Two`][] and [three].\n\n[four\nlines][4]\n");
        let expected = [("one", 1), ("`Two`", 1), ("4", 4)];
        let expected = expected.map(|(label, line)| (label.to_owned(), line));
        assert_eq!(page.references(), expected);
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
        assert_eq!(page.anchors(), expected);
    }
}

//! `cargo xtask prose`: phrases that read like a translation, and British spellings.
//!
//! A phrase belongs in the table if it is wrong wherever it appears. It is found across line breaks
//! and in identifiers (`goes_on`, `GoesOn`), and not across punctuation or blank lines.

use std::collections::HashMap;
use std::fs;
use std::iter::zip;

use crate::docs::{self, Problem};
use crate::sh;

const EXTENSIONS: [&str; 7] = ["js", "md", "py", "pyi", "rs", "sh", "toml"];

/// This file, which quotes every phrase.
const TABLE: &str = "xtask/src/prose.rs";

/// What to replace, separated by `|`, and what to write instead. A phrase that ends with a period
/// matches only at the end of a clause.
const PHRASES: &[(&str, &str)] = &[
    (
        "goes on|go on|went on|gone on",
        "continue, retry or reconnect",
    ),
    (
        "told of|tell of|tells of|hear of|hears of",
        "report, warn or learn",
    ),
    ("told from|be told apart from", "distinguish or differ from"),
    ("can't be told|cannot be told", "can't be determined"),
    ("is none of", "isn't a"),
    ("anew", "again, or reset or restart"),
    ("beside", "next to, alongside or compared with"),
    ("for ever", "forever or indefinitely"),
    ("mend|mends|mended", "fix"),
    ("whoever", "anyone who, or the reader, client or caller"),
    (
        "goes before it|go before it",
        "overrides or takes precedence",
    ),
    ("left off", "reduced by, skipped or omitted"),
    (
        "of yours|of ours|of one's own|user's own|users own",
        "your, our or custom",
    ),
    ("news of", "messages or log"),
    (
        "handed out|hands out|hand out|handing out",
        "deliver or return",
    ),
    ("is over.|are over.", "has ended"),
    (
        "after so many|for so many|so many times|after so long|for so long|lasted so long",
        "the number or the duration",
    ),
    ("in the place of", "instead of"),
    ("ought to", "should"),
    ("has all of it", "full reference"),
    (
        "in an orderly way|orderly end|orderly one|orderly close",
        "cleanly, or clean",
    ),
    ("listened at", "listen on"),
    ("silence is accepted", "no idle timeout"),
    ("has a say", "can change or limit"),
];

/// British stems and their American forms, with every ending in `ENDINGS`.
const STEMS: &[(&str, &str)] = &[
    ("authoris", "authoriz"),
    ("behaviour", "behavior"),
    ("colour", "color"),
    ("customis", "customiz"),
    ("favour", "favor"),
    ("finalis", "finaliz"),
    ("generalis", "generaliz"),
    ("honour", "honor"),
    ("initialis", "initializ"),
    ("licence", "license"),
    ("minimis", "minimiz"),
    ("neighbour", "neighbor"),
    ("normalis", "normaliz"),
    ("optimis", "optimiz"),
    ("organis", "organiz"),
    ("recognis", "recogniz"),
    ("serialis", "serializ"),
    ("specialis", "specializ"),
    ("summaris", "summariz"),
    ("synchronis", "synchroniz"),
];

const ENDINGS: &[&str] = &[
    "", "s", "e", "es", "ed", "er", "ers", "ing", "ation", "ations", "able", "al", "ful", "less",
];

/// Lists the problems of all files, or of those below the named paths.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        let text = format!("`cargo xtask prose` takes paths, not `{option}`");
        return Err(sh::UsageError(text).into());
    }
    let mut problems = check()?;
    if !args.is_empty() {
        problems.retain(|it| args.iter().any(|path| it.path.starts_with(path.as_str())));
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => println!("prose: ok"),
        count => return Err(format!("{count} phrases to replace").into()),
    }
    Ok(())
}

/// The problems of all files of the repository.
pub(crate) fn check() -> sh::Outcome<Vec<Problem>> {
    let (root, table) = (sh::root(), Table::new());
    let mut found = Vec::new();
    for path in docs::files(&root, &EXTENSIONS)? {
        if path != TABLE {
            let text = fs::read_to_string(root.join(&path))?;
            found.extend(table.problems(&path, &text));
        }
    }
    Ok(found)
}

/// A phrase, ready to be compared.
struct Phrase {
    written: &'static str,
    words: Vec<&'static str>,
    ends_clause: bool,
    instead: &'static str,
}

/// Phrases by their first word.
struct Table(HashMap<&'static str, Vec<Phrase>>);

impl Table {
    fn new() -> Table {
        let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
        for (alternatives, instead) in PHRASES {
            for written in alternatives.split('|') {
                let words: Vec<_> = written.trim_end_matches('.').split(' ').collect();
                phrases.entry(words[0]).or_default().push(Phrase {
                    written: written.trim_end_matches('.'),
                    ends_clause: written.ends_with('.'),
                    words,
                    instead,
                });
            }
        }
        Table(phrases)
    }

    fn problems(&self, path: &str, text: &str) -> Vec<Problem> {
        let words = words(text);
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let candidates = self.0.get(word.text.as_str()).into_iter().flatten();
            let phrases = candidates.filter(|it| it.matches(&words[at..]));
            let messages = phrases
                .map(|it| format!("{:?}: write {}", it.written, it.instead))
                .chain(american(&word.text).map(|it| format!("{:?}: write {it:?}", word.text)));
            found.extend(messages.map(|message| Problem::new(path, word.line, message)));
        }
        found
    }
}

impl Phrase {
    fn matches(&self, text: &[Word]) -> bool {
        let (length, next) = (self.words.len(), text.get(self.words.len()));
        let same = |(index, (word, wanted)): (usize, (&Word, &&str))| {
            word.text == *wanted && (index == 0 || !word.after_break)
        };
        text.len() >= length
            && zip(text, &self.words).enumerate().all(same)
            && (!self.ends_clause || next.is_none_or(|it| it.after_break))
    }
}

/// The American spelling of a British word.
fn american(word: &str) -> Option<String> {
    let mut forms = STEMS.iter().filter_map(|(stem, form)| {
        let ending = word.strip_prefix(stem)?;
        let known = ENDINGS.contains(&ending) && !(stem.ends_with("is") && ending.is_empty());
        known.then(|| format!("{form}{ending}"))
    });
    forms.next()
}

struct Word {
    /// In lower case.
    text: String,
    line: usize,
    /// Something other than a space or a line break comes before it.
    after_break: bool,
}

/// The words of a text. An identifier is several words.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut after_break = true;
    for (index, line) in text.lines().enumerate() {
        // A comment, a quotation or a heading; a string that continues on the next line.
        let line = line.trim_start_matches([' ', '\t', '/', '!', '#', '*', '>']);
        let line = line.trim_end_matches([' ', '\\']);
        after_break |= line.is_empty();
        let mut word = String::new();
        let mut end = |word: &mut String, after_break: &mut bool| {
            let text = word.trim_matches('\'').to_lowercase();
            if !text.is_empty() {
                words.push(Word {
                    text,
                    line: index + 1,
                    after_break: std::mem::take(after_break),
                });
            }
            word.clear();
        };
        for char in line.chars() {
            let char = if char == '\u{2019}' { '\'' } else { char };
            if char.is_uppercase() && word.ends_with(char::is_lowercase) {
                end(&mut word, &mut after_break);
            }
            if char.is_alphabetic() || char == '\'' {
                word.push(char);
            } else {
                end(&mut word, &mut after_break);
                after_break |= !matches!(char, ' ' | '_' | '-');
            }
        }
        end(&mut word, &mut after_break);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let found = Table::new().problems("a.rs", text);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_phrase_is_reported_with_its_line_and_what_to_write() {
        let expected = "a.rs:2: \"whoever\": write anyone who, or the reader, client or caller";
        assert_eq!(found("//! Fine.\n// Whoever reads this.\n"), [expected]);
    }

    #[test]
    fn phrases_are_found_in_identifiers_and_across_line_breaks() {
        for text in [
            "fn the_stream_goes_on() {}",
            "struct GoesOn;",
            "/// The stream goes\n/// on without it.",
            "# it goes\n# on",
            "the stream goes\non",
            "\"the stream goes \\\n    on\"",
            "The user\u{2019}s own header",
        ] {
            assert_eq!(found(text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn words_that_are_not_one_phrase_are_accepted() {
        for text in [
            "It goes. On Linux it stays.",
            "It goes\n\non",
            "f(goes, on)",
            "recommended, amended, besides",
        ] {
            assert_eq!(found(text), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn a_phrase_with_a_period_is_only_found_at_the_end_of_a_clause() {
        assert_eq!(found("The stream is over, and").len(), 1);
        assert_eq!(found("The stream is over").len(), 1);
        assert_eq!(found("The event is over the limit"), [""; 0]);
    }

    #[test]
    fn british_spellings_are_reported_with_the_american_one() {
        let expected = ["a.rs:1: \"recognised\": write \"recognized\""];
        assert_eq!(found("a format that is recognised"), expected);
        assert_eq!(found("COLOURS, serialise, Behaviour").len(), 3);
        assert_eq!(found("color, serialize, optimistic, minimum"), [""; 0]);
    }

    #[test]
    fn every_entry_of_both_tables_is_found_once() {
        for phrase in PHRASES.iter().flat_map(|(phrases, _)| phrases.split('|')) {
            assert_eq!(found(phrase.trim_end_matches('.')).len(), 1, "{phrase:?}");
        }
        for (british, _) in STEMS {
            let ending = if british.ends_with("is") { "ing" } else { "" };
            assert_eq!(found(&format!("{british}{ending}")).len(), 1, "{british:?}");
        }
    }
}

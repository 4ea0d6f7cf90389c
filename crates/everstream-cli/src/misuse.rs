//! clap's errors in the form of all others: what is wrong in one line, and one hint.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::report::Problem;
use crate::typos::distance;

/// `command` is the one whose options were parsed.
pub(crate) fn problem(error: &Error, command: &Command) -> Problem {
    let hint = suggestion(error, command).unwrap_or_else(|| {
        let name = command.get_bin_name().unwrap_or("everstream");
        format!("{name} --help lists its arguments and options")
    });
    Problem::new(what(error)).hint(hint)
}

fn what(error: &Error) -> String {
    let of = |kind| strings(error.get(kind));
    let missing = match error.kind() {
        ErrorKind::MissingRequiredArgument => of(ContextKind::InvalidArg),
        _ => Vec::new(),
    };
    match &missing[..] {
        [] => first_paragraph(&error.render().to_string()),
        [one] => format!("missing argument: {}", without_brackets(one)),
        several => {
            let names: Vec<&str> = several.iter().map(|it| without_brackets(it)).collect();
            format!("missing arguments: {}", names.join(", "))
        }
    }
}

/// `URL` of `<URL>`.
fn without_brackets(name: &str) -> &str {
    let inner = name.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    inner.unwrap_or(name)
}

/// clap's sentence, in one line; tips and the usage follow it.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let text = text.split("\n\n").next().unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("[possible values: "));
    let text = lines.collect::<Vec<_>>().join(" ");
    PLAIN
        .iter()
        .fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// How the numbers of the standard library and of clap complain, and in plain English.
const PLAIN: [(&str, &str); 6] = [
    (" is not in 1..18446744073709551615", " is less than 1"),
    (" is not in 1..=4294967295", " is less than 1"),
    (" is not in -1..9223372036854775807", " is less than -1"),
    ("invalid digit found in string", "it isn't a whole number"),
    ("number too large to fit in target type", "it is too large"),
    ("cannot parse integer from empty string", "it is empty"),
];

/// What was probably meant, or which values exist.
fn suggestion(error: &Error, command: &Command) -> Option<String> {
    let of = |kind| strings(error.get(kind));
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let unknown = of(ContextKind::InvalidArg).pop()?;
            Some(format!("did you mean {}?", meant(&unknown, command)?))
        }
        ErrorKind::InvalidValue => {
            let values = of(ContextKind::ValidValue);
            let meant = of(ContextKind::SuggestedValue).pop();
            let meant = meant.map_or(String::new(), |it| format!("; did you mean {it}?"));
            (!values.is_empty()).then(|| format!("the values are {}{meant}", values.join(", ")))
        }
        _ => None,
    }
}

fn strings(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// The only option that differs by one or two typos. clap's suggestions are too far-fetched.
fn meant(unknown: &str, command: &Command) -> Option<String> {
    let unknown = unknown.strip_prefix("--")?;
    let max_distance = match unknown.len() {
        0..4 => return None,
        4..8 => 1,
        _ => 2,
    };
    let names = command
        .get_arguments()
        .filter_map(Arg::get_long_and_visible_aliases);
    let mut near: Vec<(usize, &str)> = names
        .flatten()
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, _)| *distance <= max_distance)
        .collect();
    near.sort_unstable();
    match near[..] {
        [(_, name)] => Some(format!("--{name}")),
        [(first, name), (second, _), ..] if first < second => Some(format!("--{name}")),
        _ => None,
    }
}

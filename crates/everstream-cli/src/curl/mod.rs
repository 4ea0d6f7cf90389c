//! curl's options: those that are accepted without effect, and what to say about those that are
//! refused.

mod table;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use table::{CurlOption, OPTIONS, Use};

/// The options that are accepted because what they ask for holds anyway.
#[derive(Debug)]
pub(crate) struct NoEffect;

impl Args for NoEffect {
    fn augment_args(command: Command) -> Command {
        let holds = |option: &&CurlOption| option.meaning == Use::Holds;
        command.args(OPTIONS.iter().filter(holds).map(no_effect))
    }

    fn augment_args_for_update(command: Command) -> Command {
        NoEffect::augment_args(command)
    }
}

impl FromArgMatches for NoEffect {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(NoEffect)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

fn no_effect(option: &CurlOption) -> Arg {
    let action = match option.takes_value() {
        true => ArgAction::Set,
        false => ArgAction::SetTrue,
    };
    let argument = Arg::new(option.line).hide(true).action(action);
    option
        .names()
        .fold(argument, |argument, name| match name.strip_prefix("--") {
            Some(long) => argument.long(long),
            None => argument.short(name.chars().nth(1)),
        })
}

/// Says of an unknown option what there is to say: curl's gets a hint, and another one the option
/// that was surely meant, if there is one.
pub(crate) fn explain(mut error: clap::Error, mut command: Command) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let unknown = unknown.clone();
    let named = |option: &&CurlOption| option.names().any(|name| name == unknown);
    match OPTIONS.iter().find(named) {
        Some(option) if option.meaning == Use::Refused => {
            let message = format!(
                "curl's option {unknown} isn't supported\n\n  hint: {}\n",
                option.note
            );
            return clap::Error::raw(ErrorKind::UnknownArgument, message);
        }
        _ => {}
    }
    // Those of the library are of any option that is a bit alike.
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::Suggested);
    let usage = command.render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    if let Some(meant) = meant(&unknown, &command) {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(meant));
    }
    error
}

/// The one option that differs by a slip or two.
fn meant(unknown: &str, command: &Command) -> Option<String> {
    let unknown = unknown.strip_prefix("--")?;
    let slips = match unknown.len() {
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
        .filter(|(distance, _)| *distance <= slips)
        .collect();
    near.sort_unstable();
    match near[..] {
        [(_, name)] => Some(format!("--{name}")),
        [(first, name), (second, _), ..] if first < second => Some(format!("--{name}")),
        _ => None,
    }
}

/// How many characters have to be put in, left out, replaced or exchanged with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, expected) in [
            ("count", "count", 0),
            ("cuont", "count", 1),
            ("cont", "count", 1),
            ("counts", "count", 1),
            ("mount", "count", 1),
            ("", "count", 5),
            ("retries", "retry", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}

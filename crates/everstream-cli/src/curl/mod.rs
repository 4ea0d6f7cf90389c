//! curl's options: the ones that are accepted without effect, and hints for the ones that are refused.

mod table;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::typos::distance;
use table::{CurlOption, OPTIONS, Use};

/// The options that are accepted because the command does what they ask for anyway.
#[derive(Debug)]
pub(crate) struct NoEffect;

impl Args for NoEffect {
    fn augment_args(command: Command) -> Command {
        let ignored = |option: &&CurlOption| option.meaning == Use::Ignored;
        command.args(OPTIONS.iter().filter(ignored).map(no_effect))
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

/// Improves the error of an unknown option: a hint if it is curl's, otherwise the option that was
/// probably meant.
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
    // clap's suggestions are too far-fetched.
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::Suggested);
    let usage = command.render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    if let Some(meant) = meant(&unknown, &command) {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(meant));
    }
    error
}

/// The only option that differs by one or two typos.
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

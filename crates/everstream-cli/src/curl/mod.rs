//! curl's options: the ones that are accepted without effect, and hints for the ones that are refused.

mod table;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::report::Problem;
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

/// The hint for an option of curl that is refused.
pub(crate) fn refused(error: &clap::Error) -> Option<Problem> {
    let unknown = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(unknown) if error.kind() == ErrorKind::UnknownArgument => unknown,
        _ => return None,
    };
    let named = |option: &&CurlOption| option.names().any(|name| name == unknown);
    let option = OPTIONS.iter().find(named)?;
    let what = format!("curl's option {unknown} isn't supported");
    (option.meaning == Use::Refused).then(|| Problem::new(what).hint(option.note))
}

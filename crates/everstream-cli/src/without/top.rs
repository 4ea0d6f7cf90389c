//! `everstream top` is refused.

use clap::Args;

use super::missing;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// This everstream was built without `top`: the feature `top` adds it.
    #[arg(
        value_name = "URL",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    _all: Vec<String>,
}

pub(crate) fn run(_: &TopArgs) -> Exit {
    missing("everstream top", "top").tell()
}

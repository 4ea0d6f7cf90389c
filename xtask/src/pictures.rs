//! `cargo xtask pictures`: the pictures of the terminal in docs/pictures.

use crate::sh;

/// The scenes are in that test, which also sees that the pages show them.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("pictures", args)?;
    let test = ["test", "--package", "everstream-cli", "--test", "pictures"];
    sh::run(sh::cargo(test).env("UPDATE_PICTURES", "1"))
}

//! `cargo xtask pictures`: takes the pictures of the terminal in docs/pictures.

use crate::sh;

/// A test takes the pictures.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("pictures", args)?;
    let mut take = sh::cargo(["test", "--package", "everstream-cli", "--test", "*", "--"]);
    sh::run(
        take.arg("every_scene_has_its_picture")
            .env("UPDATE_PICTURES", "1"),
    )
}

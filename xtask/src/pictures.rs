//! `cargo xtask pictures`: the pictures of the terminal in docs/pictures.

use crate::sh;

/// The scenes are in that test. Whether the pages show them is the question of another one there.
pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("pictures", args)?;
    let test = ["test", "--package", "everstream-cli", "--test", "all"];
    let mut take = sh::cargo(test);
    take.args(["--", "pictures::every_scene_has_its_picture"]);
    sh::run(take.env("UPDATE_PICTURES", "1"))
}

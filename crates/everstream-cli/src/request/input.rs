//! Files and standard input that options name.

use std::io::Read;
use std::path::Path;

use crate::report::Problem;

/// The text itself, or the content of the file that it names.
pub(super) fn content(argument: &str) -> Result<Vec<u8>, Problem> {
    match argument.strip_prefix('@') {
        Some(file) => read(file),
        None => Ok(argument.into()),
    }
}

/// `-` is standard input.
pub(super) fn read(file: &str) -> Result<Vec<u8>, Problem> {
    if file != "-" {
        return read_file(Path::new(file));
    }
    let mut all = Vec::new();
    match std::io::stdin().read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) => Err(Problem::because("standard input can't be read", &error)),
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path)
        .map_err(|error| Problem::because(&format!("{} can't be read", path.display()), &error))
}

pub(super) fn text(bytes: Vec<u8>, file: &str) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|_| Problem::new(format!("{file:?} isn't UTF-8")))
}

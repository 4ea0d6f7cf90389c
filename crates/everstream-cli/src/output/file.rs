//! Standard output, or the file of `--output`.

use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::path::Path;

use crate::report::Problem;

pub(crate) enum Output {
    Stdout(Stdout),
    File {
        file: File,
        /// The file has old content, which the first write discards.
        untouched: bool,
    },
}

/// `-` is standard output.
pub(super) fn is_stdout(path: Option<&Path>) -> bool {
    path.is_none_or(|path| path.as_os_str() == "-")
}

impl Output {
    /// Checks that the file can be written. Unless `append` is set, its content is discarded by the
    /// first write, so that a run without events leaves it unchanged.
    pub(crate) fn open(path: Option<&Path>, append: bool) -> Result<Output, Problem> {
        let path = match path {
            Some(path) if !is_stdout(Some(path)) => path,
            _ => return Ok(Output::Stdout(io::stdout())),
        };
        let mut options = OpenOptions::new();
        if append {
            options.append(true);
        } else {
            options.write(true).truncate(false);
        }
        match options.create(true).open(path) {
            Ok(file) => Ok(Output::File {
                file,
                untouched: !append,
            }),
            Err(error) => {
                let what = format!("{} can't be written", path.display());
                Err(Problem::because(&what, &error))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(out) => out.write(bytes),
            Output::File { file, untouched } => {
                // A device has no length.
                if std::mem::take(untouched) && file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(out) => out.flush(),
            Output::File { file, .. } => file.flush(),
        }
    }
}

//! The exit codes.

use std::process::ExitCode;

use everstream::{Error, Fault};

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  ended as asked: Ctrl-C, SIGTERM, or the reader of the output has closed it
     (which is noticed at the next event);
     for the demo: every event arrived once, unchanged and in order
  1  something else failed; for the demo: an event was lost or repeated
  2  the command line can't be used
  3  the server answered, but not with an event stream
  4  the server ended the stream for good (status 204)";

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    /// The code that clap uses too.
    Usage = 2,
    NoStream = 3,
    ServerEnded = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Exit {
        match error {
            Error::Config { .. } => Exit::Usage,
            Error::Fault(fault) => match fault {
                Fault::Status(response) if response.status == 204 => Exit::ServerEnded,
                Fault::Status(_)
                | Fault::ContentType(_)
                | Fault::ContentEncoding(_)
                | Fault::Redirect(..) => Exit::NoStream,
                _ => Exit::Failed,
            },
            _ => Exit::Failed,
        }
    }
}

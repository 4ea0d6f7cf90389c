//! The exit codes.

use std::process::ExitCode;

use everstream::{Error, Fault};

/// What `everstream help exit-codes` and the manual say of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  ended as asked: --count, --duration, --until or --until-type, Ctrl-C, SIGTERM, the reader
     of the output has closed it, the server ended the stream under --no-reconnect, or a file
     that was read has ended;
     for the demo: every event arrived once, unchanged and in order; for top: it was told to
     quit (if all streams had ended before, it is the code of the first one)
  1  something else failed; for the demo: an event was lost or repeated; for serve: a line of
     its input was left out
  2  the command line, or a file or port that it names, can't be used
  3  the server answered, but not with an event stream
  4  the server ended the stream for good (status 204)
  5  gave up: could not connect (name, address, TLS, proxy, time to connect)
  6  gave up: the server answered with an error status (4xx, 5xx)
  7  gave up: silence for longer than --read-timeout, --max-time has passed, or --duration
     passed before what --count, --until or --until-type wait for
  8  gave up: the connection broke, or the stream ended before what --count, --until or
     --until-type wait for
  9  a command of --exec or the program of --jq failed for an event
 10  check found something that fails
 11  the stream ended or failed, and would be connected again if its request were safe (GET):
     --repeat-unsafe sends a POST again, --resume-get resumes its stream";

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    /// The code that clap uses too.
    Usage = 2,
    NoStream = 3,
    ServerEnded = 4,
    NotConnected = 5,
    Status = 6,
    TimedOut = 7,
    Broken = 8,
    EventFailed = 9,
    CheckFailed = 10,
    NotRepeated = 11,
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
            Error::Fault(fault) => Exit::from(fault),
            Error::NotRepeated(_) => Exit::NotRepeated,
            _ => Exit::Failed,
        }
    }
}

impl From<&Fault> for Exit {
    fn from(fault: &Fault) -> Exit {
        match fault {
            Fault::Status(response) => match response.status {
                204 => Exit::ServerEnded,
                400.. => Exit::Status,
                _ => Exit::NoStream,
            },
            Fault::ContentType(_) | Fault::ContentEncoding(_) | Fault::Redirect(..) => {
                Exit::NoStream
            }
            Fault::Connect(_) | Fault::ConnectTimeout(_) => Exit::NotConnected,
            Fault::ReadTimeout(_) => Exit::TimedOut,
            // After a redirect a refused connection is a failed request.
            Fault::Request(_) | Fault::Read(_) | Fault::Incomplete => Exit::Broken,
            _ => Exit::Failed,
        }
    }
}

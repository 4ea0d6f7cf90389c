//! The exit codes.

use std::process::ExitCode;

use everstream::{Error, Fault};

/// The text of `everstream help exit-codes`, and of the manual.
pub(crate) const HELP: &str = "\
Exit codes:
  0  ended as requested: --count, --duration, --until, --until-type, Ctrl-C or SIGTERM; the
     reader of the output closed it; the server ended the stream with --no-reconnect; or the
     end of a file;
     demo: every event arrived once, unchanged and in order; top: you quit (if all streams
     had ended before, the code of the first one)
  1  any other failure; demo: an event was lost or repeated; serve: an invalid line was
     skipped
  2  invalid command line, or a file or port that it names can't be used
  3  the response isn't an event stream
  4  the server ended the stream permanently (status 204)
  5  gave up: could not connect (DNS, address, TLS, proxy, timeout)
  6  gave up: the server answered with an error status (4xx, 5xx)
  7  gave up: --read-timeout or --max-time expired, or --duration expired before the event
     that --count, --until or --until-type waits for
  8  gave up: the connection broke, or the stream ended before the event that --count,
     --until or --until-type waits for
  9  a command of --exec or the program of --jq failed for an event
 10  check found a problem
 11  the stream ended or failed, and its request isn't safe to resend (such as a POST):
     --repeat-unsafe sends it again, --resume-get resumes it with a GET";

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    /// Also clap's exit code.
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
            Fault::ResponseTimeout(_) | Fault::ReadTimeout(_) => Exit::TimedOut,
            // After a redirect a refused connection is a failed request.
            Fault::Request(_) | Fault::Read(_) | Fault::Incomplete => Exit::Broken,
            _ => Exit::Failed,
        }
    }
}

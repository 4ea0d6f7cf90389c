//! Why following a stream has ended, and how that is reported.

use std::io;

use crate::exit::Exit;
use crate::explain;
use crate::report;
use crate::stop::OUTPUT_CLOSED;

pub(crate) enum End {
    /// As requested, by this.
    Requested(&'static str),
    /// It has been reported.
    Reported(Exit),
    Output(io::Error),
    Cursor(io::Error),
}

impl End {
    /// Reports the end and returns the exit code. `events` is the number of selected events, of
    /// which `failures` failed.
    pub(crate) fn report(
        self,
        events: u64,
        failures: u64,
        last_event_id: Option<&str>,
        cursor: bool,
    ) -> Exit {
        let exit = match self {
            End::Reported(exit) => exit,
            End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            End::Output(error) => {
                report::error("the output can't be written", Some(&error));
                Exit::Failed
            }
            End::Cursor(error) => {
                report::error(&error.to_string(), None);
                report::hint(match error.kind() {
                    // Another process has created, renamed or removed the temporary file.
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => {
                        "its folder was deleted, or another process uses this cursor: each \
                         process needs its own"
                    }
                    _ => "check the free space, and the permissions of its folder",
                });
                Exit::Failed
            }
            // The reader closed the output, as in `| head -1`.
            End::Requested(OUTPUT_CLOSED) => Exit::Done,
            End::Requested(by) => {
                report::info(&explain::stopped(by, events, last_event_id, cursor));
                Exit::Done
            }
        };
        if exit == Exit::Done && failures > 0 {
            report::error(&format!("{failures} of {events} events failed"), None);
            return Exit::EventFailed;
        }
        exit
    }
}

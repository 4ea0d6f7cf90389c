//! Why following a stream is over, and what is said of it.

use std::io;

use crate::exit::Exit;
use crate::explain;
use crate::report;
use crate::stop::READER_GONE;

pub(crate) enum End {
    /// As asked, by this.
    Asked(&'static str),
    /// It has been told.
    Told(Exit),
    Output(io::Error),
    Cursor(io::Error),
}

impl End {
    /// The exit code, after what there is to say: of so many selected events, some of which failed.
    pub(crate) fn tell(
        self,
        events: u64,
        failures: u64,
        last_event_id: Option<&str>,
        cursor: bool,
    ) -> Exit {
        let exit = match self {
            End::Told(exit) => exit,
            End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            End::Output(error) => {
                report::error("the output can't be written", Some(&error));
                Exit::Failed
            }
            End::Cursor(error) => {
                report::error("the cursor can't be written", Some(&error));
                report::hint("is there room, and may this user write to its folder?");
                Exit::Failed
            }
            // Whoever reads has enough, as in `| head -1`.
            End::Asked(READER_GONE) => Exit::Done,
            End::Asked(by) => {
                report::news(&explain::stopped(by, events, last_event_id, cursor));
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

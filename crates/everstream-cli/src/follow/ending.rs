//! Why following a stream has ended.

use super::Follower;
use crate::end::End;
use crate::exit::Exit;
use crate::explain;
use crate::report;
use crate::source::Saved;
use crate::stop::{MAX_TIME, OUT_OF_TIME};

impl Follower<'_> {
    /// How the end of the input is called in a message.
    pub(super) fn end_of_stream(&self) -> &'static str {
        match self.source.saved() {
            None => "the end of the stream",
            Some(Saved::Stdin) => "the end of its input",
            Some(Saved::File { .. }) => "the end of the file",
        }
    }

    fn out_of_time(&self) -> End {
        if !self.args.select.expects_an_end() {
            return End::Requested(OUT_OF_TIME);
        }
        let seen = self.selected;
        report::error(
            &format!("--duration expired after {seen} events, before the end marker arrived"),
            None,
        );
        End::Reported(Exit::TimedOut)
    }

    /// The client has ended. The event of `--until-type` is still to be written.
    pub(super) async fn finish(&mut self) -> Result<End, End> {
        if let Some(event) = self.last.reached().and_then(|last| last.event.clone()) {
            if let Some(end) = self.event(&event).await? {
                return Ok(end);
            }
        }
        Ok(self.over())
    }

    /// Nothing more will arrive, or nobody wants it.
    pub(super) fn over(&mut self) -> End {
        if let Some(reached) = self.last.reached() {
            if let Err(error) = self.progress.reached(reached.last_event_id.as_deref()) {
                return End::Cursor(error);
            }
            return End::Requested(reached.by);
        }
        match self.stop.asked() {
            Some(OUT_OF_TIME) => return self.out_of_time(),
            Some(MAX_TIME) => {
                explain::max_time(self.selected);
                return End::Reported(Exit::TimedOut);
            }
            Some(by) => return End::Requested(by),
            None => {}
        }
        if let Some(count) = self.args.select.count {
            let (seen, early) = (self.selected, self.not_repeated);
            return End::Reported(explain::ended_early(seen, count, early, &self.asked()));
        }
        // The server reported an error in an event, after which nothing more was to be expected.
        if self.not_repeated && !self.failed_last {
            return End::Reported(explain::not_repeated(self.selected, &self.asked()));
        }
        End::Requested(self.end_of_stream())
    }
}

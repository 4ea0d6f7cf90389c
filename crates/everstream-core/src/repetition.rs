//! Whether a request may be sent again: rule 11.

use crate::config::Settings;
use crate::event_id::is_sendable_id;
use crate::fault::Fault;
use crate::strategy::error::Verdict;
use crate::time::Timestamp;

/// What is known about the requests of a stream.
#[derive(Default)]
pub(crate) struct Repetition {
    /// The server may have received a request.
    sent: bool,
    /// One of the requests wasn't repeatable.
    sent_unsafe: bool,
    /// The server sent an id since then.
    id_received: bool,
    /// Why only [`Session::start`](crate::Session::start) reconnects.
    finished: Option<Finished>,
    /// The error strategy would have continued, but rule 11 doesn't allow it.
    not_repeated: bool,
}

/// Why the session doesn't reconnect by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finished {
    /// The last event of a one-shot stream arrived.
    Complete,
    /// The request isn't safe, and the server may have acted on it.
    Unsafe,
    /// The server rejected the GET that should have resumed the stream.
    ResumeRefused,
}

/// Statuses that mean that the stream can't be resumed by GET.
const REFUSES_RESUME: [u16; 3] = [400, 404, 405];

impl Repetition {
    /// Whether only [`Session::start`](crate::Session::start) reconnects.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Whether the stream ended although the error strategy would continue.
    pub(crate) fn is_not_repeated(&self) -> bool {
        self.not_repeated
    }

    /// Whether the next request is a GET with the last event id.
    pub(crate) fn resumes(&self, config: &Settings, last_event_id: Option<&str>) -> bool {
        self.sent && self.can_resume(config, last_event_id)
    }

    /// The user asked for another connection: it resumes if possible, and otherwise sends the request
    /// again.
    pub(crate) fn restart_requested(&mut self, config: &Settings, last_event_id: Option<&str>) {
        self.finished = None;
        self.not_repeated = false;
        if !self.can_resume(config, last_event_id) {
            self.sent = false;
            self.sent_unsafe = false;
        }
    }

    /// The server may have received the request.
    pub(crate) fn request_sent(&mut self, config: &Settings) {
        self.sent_unsafe |= !config.repeatable;
        if !self.sent {
            self.sent = true;
            // An earlier or preset id doesn't prove that this request was received.
            self.id_received = false;
        }
    }

    /// An item was received; `has_id` if it had an id.
    #[inline(always)]
    pub(crate) fn received(&mut self, has_id: bool) {
        self.id_received |= has_id;
    }

    /// The last event of a one-shot stream arrived: there is nothing left to resume.
    pub(crate) fn completed(&mut self) {
        self.finished = Some(Finished::Complete);
        self.id_received = false;
    }

    /// The connection, or the attempt, has ended.
    pub(crate) fn disconnected(
        &mut self,
        config: &Settings,
        last_event_id: Option<&str>,
        was_open: bool,
        fault: Option<&Fault>,
    ) {
        let status = fault.and_then(Fault::status);
        let is_refused = status.is_some_and(|status| REFUSES_RESUME.contains(&status));
        self.finished = if !was_open && is_refused && self.resumes(config, last_event_id) {
            self.id_received = false;
            Some(Finished::ResumeRefused)
        } else if self.sent_unsafe && !config.repeatable && !self.can_resume(config, last_event_id)
        {
            Some(Finished::Unsafe)
        } else {
            None
        };
    }

    /// Asks the error strategy. It is asked even if the stream is finished, to find out whether it would
    /// have continued.
    pub(crate) fn decide(
        &mut self,
        config: &mut Settings,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Verdict {
        if let Some(finished) = self.finished {
            let not_repeated = finished == Finished::Unsafe;
            config.error_strategy.stream_ends(not_repeated);
        }
        let verdict = config.error_strategy.apply(fault, now);
        self.not_repeated = verdict == Verdict::Continue && self.finished == Some(Finished::Unsafe);
        match self.finished {
            Some(_) => Verdict::Fail,
            None => verdict,
        }
    }

    /// Whether the next request may be a GET with the id to resume from: the server has sent an id since
    /// the request was first sent, and the newest id is valid as a header value.
    fn can_resume(&self, config: &Settings, last_event_id: Option<&str>) -> bool {
        config.resume_with_get && self.id_received && last_event_id.is_some_and(is_sendable_id)
    }
}

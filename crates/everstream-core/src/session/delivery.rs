//! From the chunks of a connection to the events and comments that the user gets.

use super::Session;
use crate::action::Action;
use crate::event::Event;
use crate::fault::Fault;
use crate::item::{Item, TooLarge};
use crate::output::Ending;

impl<B: AsRef<[u8]>> Session<B> {
    /// The fast path of [`poll_action`](Self::poll_action): the next event, if it is contained in one
    /// chunk. After `None` there may still be an event: call `poll_action`.
    ///
    /// ```
    /// # use everstream_core::{Session, SessionConfig, Start};
    /// # let now = Default::default();
    /// # let mut session: Session = Session::new(SessionConfig::default());
    /// # session.start();
    /// # session.poll_output(now);
    /// # session.handle_connected(Start::default(), now);
    /// # session.poll_output(now);
    /// session.handle_data(b"data: a\n\n: or\ndata: b\n\n".to_vec(), now);
    /// assert_eq!(session.poll_event().unwrap().data(), "a");
    /// assert!(session.poll_event().is_none());
    /// assert!(session.poll_action().is_some()); // a comment
    /// assert_eq!(session.poll_event().unwrap().data(), "b");
    /// ```
    // Inlined with everything it calls, so that the event reaches the user in registers. Not in a browser,
    // where the size counts for more.
    #[doc(hidden)]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn poll_event(&mut self) -> Option<Event> {
        if !self.outputs.is_empty() || self.config.until.is_some() {
            return None;
        }
        let chunk = self.chunk.as_ref()?.as_ref();
        let mut rest = chunk.get(self.decoded..)?;
        let event = self.decoder.whole_event(&mut rest);
        self.decoded = chunk.len() - rest.len();
        let event = event?;
        if rest.is_empty() {
            self.next_chunk();
        }
        self.repetition.received(event.has_own_id());
        self.schedule.delivered();
        self.reading_since = None;
        Some(event)
    }

    /// The next action in the chunks.
    pub(super) fn decode(&mut self) -> Option<Action> {
        loop {
            let chunk = self.chunk.as_ref()?.as_ref();
            let mut rest = chunk.get(self.decoded..).unwrap_or_default();
            let item = self.decoder.decode_owned(&mut rest);
            self.decoded = chunk.len() - rest.len();
            if rest.is_empty() {
                self.next_chunk();
            }
            match item {
                Ok(Some(Item::Event(event))) => return self.deliver(event).map(Action::Event),
                Ok(Some(Item::Comment(text))) => {
                    self.schedule.delivered();
                    self.reading_since = None;
                    return Some(Action::Comment(text));
                }
                Ok(Some(Item::Retry(delay))) => {
                    self.schedule.retry_received(&mut self.config, delay);
                }
                Ok(Some(Item::Id)) => {
                    self.repetition.received(true);
                    self.schedule.delivered();
                }
                Ok(Some(Item::Skipped)) => self.repetition.received(self.decoder.has_skipped_id()),
                Ok(None) => {}
                Err(error) => self.too_large(error),
            }
        }
    }

    /// `None` if it completes the stream.
    fn deliver(&mut self, event: Event) -> Option<Event> {
        self.repetition.received(event.has_own_id());
        self.schedule.delivered();
        self.reading_since = None;
        let until = self.config.until.as_mut();
        if until.is_some_and(|until| until(&event)) {
            self.complete();
            return None;
        }
        Some(event)
    }

    fn too_large(&mut self, error: TooLarge) {
        self.clear_chunks();
        // The event arrived before whatever else ended the connection.
        let at = self.pending_end.take().map_or(self.last_byte, |(_, at)| at);
        self.pending_end = Some((Some(Fault::TooLarge(error)), at));
        self.ending = None;
    }

    /// All chunks are decoded. Dispatches the last event without its blank line, if the user wants that
    /// and the body is complete.
    pub(super) fn dispatch_unfinished(&mut self) -> Option<Event> {
        if !self.config.dispatch_unfinished || self.ending != Some(Ending::Complete) {
            return None;
        }
        match self.decoder.dispatch_unfinished() {
            Ok(Some(Item::Event(event))) => return self.deliver(event),
            Ok(Some(Item::Id)) => {
                self.repetition.received(true);
                self.schedule.delivered();
            }
            Ok(_) => self.repetition.received(self.decoder.has_skipped_id()),
            Err(error) => self.too_large(error),
        }
        None
    }

    #[inline(never)]
    fn next_chunk(&mut self) {
        self.chunk = self.queued_chunks.pop_front();
        self.decoded = 0;
    }

    pub(super) fn clear_chunks(&mut self) {
        self.chunk = None;
        self.decoded = 0;
        self.queued_chunks.clear();
    }
}

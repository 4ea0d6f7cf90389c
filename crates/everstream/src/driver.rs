//! What both clients share: it does what the session says.

mod held;

use std::ops::ControlFlow;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use everstream_core::{Action, Ending, Event, Output, Session, SessionConfig, Timestamp};
use tokio::time::Instant;

use crate::connect::{Chunks, ConnectFuture, ConnectRequest, Connection, ConnectionClient};
use crate::error::Error;
use crate::handle::Handle;
use crate::timer::Timer;
use crate::trace::{Log, debug, trace};
use held::Held;

/// After so many chunks without a wait others may run.
const BUSY: u32 = 64;

pub(crate) struct Driver {
    session: Session<Bytes>,
    client: Box<dyn ConnectionClient>,
    /// Any request may be repeated.
    repeat_unsafe: bool,
    link: Link,
    timer: Timer,
    handle: Handle,
    /// What `handle` calls.
    registered: Option<Waker>,
    read_timeout: Option<Duration>,
    /// The last event id of what was handed out, which `handle` shows.
    published: Option<String>,
    /// What came before `start` returned, for the next read.
    held: Held,
    epoch: Instant,
    /// There has been a connection.
    has_connected: bool,
    log: Log,
    /// The end that is reported next is the user's doing.
    interrupted: bool,
    /// How many times in a row there was no need to wait.
    busy: u32,
    /// Everything is let go.
    closed: bool,
}

enum Link {
    None,
    Connecting(ConnectFuture),
    Open(Chunks),
}

impl Driver {
    pub(crate) fn new(
        config: SessionConfig,
        client: Box<dyn ConnectionClient>,
        repeat_unsafe: bool,
        log: Log,
    ) -> Self {
        let published = config.last_event_id.clone().filter(|id| !id.is_empty());
        Driver {
            read_timeout: config.read_timeout,
            session: Session::new(config),
            client,
            repeat_unsafe,
            link: Link::None,
            timer: Timer::default(),
            handle: Handle::new(published.clone()),
            registered: None,
            published,
            held: Held::default(),
            epoch: Instant::now(),
            has_connected: false,
            log,
            interrupted: false,
            busy: 0,
            closed: false,
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.published.as_deref()
    }

    pub(crate) fn next_retry_delay(&self) -> Duration {
        self.session.next_retry_delay()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_connected()
    }

    pub(crate) fn silence(&self) -> Option<Duration> {
        let last = self.session.last_byte()?;
        Some(self.epoch.elapsed().saturating_sub(last.elapsed()))
    }

    /// Whether there is a connection, or an attempt at one, that a runtime must serve.
    pub(crate) fn has_link(&self) -> bool {
        !matches!(self.link, Link::None)
    }

    /// Lets go of everything that belongs to the runtime, which is about to be dropped.
    pub(crate) fn leave_runtime(&mut self) {
        self.link = Link::None;
        self.timer = Timer::default();
        self.unregister();
    }

    /// The user begins to read.
    pub(crate) fn begin_read(&mut self) {
        // An interruption meant for an earlier connection doesn't hit the next one.
        if !self.session.is_active() && !self.handle.is_quiet() {
            self.handle.take_interrupt();
        }
        self.session.read();
    }

    /// The user starts the stream. `true`: it is connected already.
    pub(crate) fn begin_start(&mut self) -> Result<bool, Error> {
        if self.handle.is_closed() {
            return Err(Error::Closed);
        }
        if !self.handle.is_quiet() {
            self.interrupt();
        }
        self.session.start();
        Ok(self.session.is_connected())
    }

    /// An event that is here already, and whole.
    #[inline(always)]
    pub(crate) fn ready_event(&mut self) -> Option<Event> {
        if !self.handle.is_quiet() || !self.held.is_empty() {
            return None;
        }
        let event = self.session.poll_event()?;
        self.publish();
        Some(event)
    }

    /// An action that needs no waiting and no clock.
    #[inline]
    pub(crate) fn ready_action(&mut self) -> Option<Action> {
        match self.ready_event() {
            Some(event) => Some(Action::Event(event)),
            None => self.ready_other_action(),
        }
    }

    fn ready_other_action(&mut self) -> Option<Action> {
        if !self.handle.is_quiet() {
            return None;
        }
        if let Some(held) = self.take_held() {
            return Some(held);
        }
        let action = self.session.poll_action();
        // An id may have come without one.
        self.publish();
        action
    }

    /// The next action; `None` at the end of the iteration.
    pub(crate) fn poll_action(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Action, Error>>> {
        // What is held is older than what an interruption brings.
        if !self.handle.is_quiet() && !self.handle.is_closed() {
            self.interrupt();
        }
        if self.handle.is_quiet() {
            if let Some(held) = self.take_held() {
                return Poll::Ready(Some(Ok(held)));
            }
        }
        let next = self.poll_session(cx);
        self.publish();
        next
    }

    /// Connected, or why not.
    pub(crate) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let Poll::Ready(next) = self.poll_session(cx) else {
                return Poll::Pending;
            };
            let result = match next {
                Some(Ok(action)) => {
                    let connected = matches!(action, Action::Start(_));
                    self.held.hold(action, self.session.last_event_id());
                    if !connected {
                        continue;
                    }
                    Ok(())
                }
                Some(Err(error)) => Err(error),
                None if self.handle.is_closed() => Err(Error::Closed),
                None => Err(Error::Interrupted),
            };
            return Poll::Ready(result);
        }
    }

    fn take_held(&mut self) -> Option<Action> {
        let (action, id) = self.held.take()?;
        show(&self.handle, &mut self.published, id.as_deref());
        Some(action)
    }

    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Action, Error>>> {
        if self.closed {
            return Poll::Ready(None);
        }
        self.register(cx.waker());
        loop {
            if !self.handle.is_quiet() {
                if self.handle.is_closed() {
                    self.close();
                    return Poll::Ready(None);
                }
                self.interrupt();
            }
            // Looking at the clock takes longer than all that is done here for a chunk.
            let epoch = self.epoch;
            match self.session.poll_output_with(|| now(epoch)) {
                Output::Action(action) => {
                    self.report(&action);
                    return Poll::Ready(Some(Ok(action)));
                }
                Output::Stop(result) => {
                    self.disconnected();
                    return Poll::Ready(result.err().map(|fault| {
                        let error = match self.session.is_not_repeated() {
                            true => Error::NotRepeated(fault),
                            false => Error::Fault(fault),
                        };
                        self.log.gave_up(&error);
                        Err(error)
                    }));
                }
                Output::Wait { until } => {
                    self.link = Link::None;
                    ready!(self.timer.poll_until(self.epoch, until, cx));
                }
                Output::Connect { resume_with_get } => {
                    if self.gives_way(cx) {
                        return self.pause();
                    }
                    if self.poll_connect(resume_with_get, cx).is_pending() {
                        return self.pause();
                    }
                }
                Output::Read { deadline } => {
                    if self.gives_way(cx) {
                        return self.pause();
                    }
                    if self.poll_read(deadline, cx).is_pending() {
                        return self.pause();
                    }
                    if let Some(event) = self.ready_event() {
                        return Poll::Ready(Some(Ok(Action::Event(event))));
                    }
                }
            }
        }
    }

    /// Whether it is time to let others run, among them whoever limits the time of this wait: a
    /// source that always has something to read would never let go.
    fn gives_way(&mut self, cx: &Context<'_>) -> bool {
        self.busy += 1;
        let gives_way = self.busy > BUSY;
        if gives_way {
            cx.waker().wake_by_ref();
        }
        gives_way
    }

    fn pause<T>(&mut self) -> Poll<T> {
        self.busy = 0;
        Poll::Pending
    }

    /// Ready when it was connected, or failed.
    fn poll_connect(&mut self, resume_with_get: bool, cx: &mut Context<'_>) -> Poll<()> {
        // Taken out, so that an attempt whose future panics isn't polled again.
        let mut connecting = match std::mem::replace(&mut self.link, Link::None) {
            Link::Connecting(connecting) => connecting,
            Link::None | Link::Open(_) => {
                let last_event_id = self.session.last_event_id().map(String::from);
                debug!(last_event_id, "connecting");
                self.client.connect(ConnectRequest {
                    last_event_id,
                    read_timeout: self.read_timeout,
                    resume_with_get,
                })
            }
        };
        let Poll::Ready(result) = connecting.as_mut().poll(cx) else {
            self.link = Link::Connecting(connecting);
            return Poll::Pending;
        };
        self.update_repeatable();
        let now = now(self.epoch);
        match result {
            Ok(Connection { start, chunks }) => {
                self.log.connected(&start);
                self.link = Link::Open(chunks);
                self.has_connected = true;
                // A stream without a read timeout needs none until it reconnects.
                self.timer = Timer::default();
                self.session.handle_connected(start, now);
            }
            Err(fault) => self.session.handle_fault(fault, now),
        }
        Poll::Ready(())
    }

    /// Whether a request may be repeated depends on the one that was sent.
    fn update_repeatable(&mut self) {
        let repeatable = self.repeat_unsafe || self.client.is_repeatable();
        self.session.set_repeatable(repeatable);
    }

    /// Ready when something came, or nothing in time.
    fn poll_read(&mut self, deadline: Option<Timestamp>, cx: &mut Context<'_>) -> Poll<()> {
        let read = match &mut self.link {
            Link::Open(chunks) => chunks.poll_next(cx),
            // The session reads only from what it was told is connected.
            Link::None | Link::Connecting(_) => Poll::Ready(None),
        };
        if read.is_pending() {
            let Some(deadline) = deadline else {
                return Poll::Pending;
            };
            ready!(self.timer.poll_deadline(self.epoch, deadline, cx));
        }
        let now = now(self.epoch);
        match read {
            Poll::Ready(Some(Ok(bytes))) => {
                trace!(bytes = bytes.len(), "received");
                self.timer.forget_deadline();
                self.session.handle_data(bytes, now);
            }
            Poll::Ready(Some(Err(fault))) => self.session.handle_fault(fault, now),
            // The user has just stopped it, and with it a source that blocked: that proves nothing.
            Poll::Ready(None) if !self.handle.is_quiet() => {}
            Poll::Ready(None) => {
                let ending = match &self.link {
                    Link::Open(chunks) => chunks.ending(),
                    Link::None | Link::Connecting(_) => Ending::Unproven,
                };
                self.session.handle_end(ending, now);
            }
            Poll::Pending => self.session.handle_timeout(now),
        }
        Poll::Ready(())
    }

    fn report(&mut self, action: &Action) {
        let delay = self.session.next_retry_delay();
        let why = match self.interrupted {
            true => "interrupted",
            false => "the stream ended",
        };
        match action {
            Action::Fault(fault) => self.log.lost(fault, delay, self.has_connected),
            Action::End(end) => {
                let retry = self.session.is_active().then_some(delay);
                self.log.ended(why, end, retry);
            }
            _ => return,
        }
        self.interrupted = false;
        self.disconnected();
    }

    /// The session is done with the connection, and has decided what follows.
    fn disconnected(&mut self) {
        self.link = Link::None;
        self.handle
            .publish_next_retry_delay(self.session.next_retry_delay());
    }

    fn register(&mut self, waker: &Waker) {
        let known = |own: &Waker| own.will_wake(waker);
        if !self.registered.as_ref().is_some_and(known) {
            self.handle.register(waker);
            self.registered = Some(waker.clone());
        }
    }

    /// A handle may be kept for longer than what the waker holds: a blocking client's runtime.
    fn unregister(&mut self) {
        self.handle.unregister();
        self.registered = None;
    }

    /// Keeps what `handle` shows up to date with what is handed out.
    #[inline(always)]
    fn publish(&mut self) {
        if self.published.as_deref() != self.session.last_event_id() {
            self.publish_change();
        }
    }

    #[inline(never)]
    fn publish_change(&mut self) {
        show(
            &self.handle,
            &mut self.published,
            self.session.last_event_id(),
        );
    }

    /// Drops the connection as the server would.
    pub(crate) fn interrupt(&mut self) {
        self.handle.take_interrupt();
        if let Link::Connecting(_) = self.link {
            self.update_repeatable();
        }
        self.link = Link::None;
        self.interrupted = self.session.is_active();
        self.session.interrupt(now(self.epoch));
        self.handle
            .publish_next_retry_delay(self.session.next_retry_delay());
    }

    /// Ends for good.
    pub(crate) fn close(&mut self) {
        // Every read of a closed client comes by.
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.handle.close();
        self.link = Link::None;
        self.held.clear();
        self.timer = Timer::default();
        self.unregister();
        self.session.close();
        self.client.close();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.unregister();
    }
}

/// What a reader of events gets. Actions other than events are skipped: the reader continues.
#[inline]
pub(crate) fn event_or_skip(
    next: Option<Result<Action, Error>>,
) -> ControlFlow<Option<Result<Event, Error>>> {
    match next {
        Some(Ok(Action::Event(event))) => ControlFlow::Break(Some(Ok(event))),
        Some(Ok(_)) => ControlFlow::Continue(()),
        Some(Err(error)) => ControlFlow::Break(Some(Err(error))),
        None => ControlFlow::Break(None),
    }
}

fn show(handle: &Handle, published: &mut Option<String>, id: Option<&str>) {
    handle.publish_last_event_id(id);
    match (published, id) {
        (Some(published), Some(id)) => {
            published.clear();
            published.push_str(id);
        }
        (published, id) => *published = id.map(String::from),
    }
}

fn now(epoch: Instant) -> Timestamp {
    Timestamp::since_start(epoch.elapsed())
}

//! Where an attempt hangs.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use everstream::{Action, Fault, Http};
use tokio::sync::Notify;

use crate::duration::sleep_until;
use crate::report;
use crate::status::Status;

/// How long a phase takes before it is reported.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No attempt is running, or data has arrived.
    Idle,
    Connecting,
    /// There is a connection.
    Connected,
    /// The response has begun.
    Responded,
}

struct Shared {
    /// The phase of the current attempt, and when it began.
    phase: Mutex<(Phase, Instant)>,
    changed: Notify,
}

impl Shared {
    fn get(&self) -> (Phase, Instant) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        self.set(phase, Instant::now());
    }

    fn set(&self, phase: Phase, since: Instant) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase, since);
        self.changed.notify_one();
    }
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing: the status shows it.
    Nothing,
    /// The first attempt of an outage that gets no response.
    Outages,
    /// Every phase, for `--verbose`.
    Phases,
}

impl Detail {
    pub(crate) fn new(verbose: bool, status: Option<&Status>) -> Detail {
        match (verbose, status) {
            (true, _) => Detail::Phases,
            (false, Some(_)) => Detail::Nothing,
            (false, None) => Detail::Outages,
        }
    }
}

pub(crate) struct Waiting {
    shared: Arc<Shared>,
    detail: Detail,
    /// The beginning of the last phase that was reported.
    reported: Option<Instant>,
    /// Something was reported since the last response.
    outage_reported: bool,
}

impl Waiting {
    pub(crate) fn new(detail: Detail) -> Waiting {
        Waiting {
            shared: Arc::new(Shared {
                phase: Mutex::new((Phase::Idle, Instant::now())),
                changed: Notify::new(),
            }),
            detail,
            reported: None,
            outage_reported: false,
        }
    }

    /// Follows the attempts of this request.
    pub(crate) fn watch(&self, http: Http) -> Http {
        let [attempt, redirect, connection] = [(); 3].map(|()| self.shared.clone());
        http.before_attempt(move |request| {
            attempt.enter(Phase::Connecting);
            std::future::ready(Ok::<_, Fault>(request))
        })
        .on_redirect(move |_| redirect.enter(Phase::Connecting))
        .on_connected(move || connection.enter(Phase::Connected))
    }

    /// A response has begun, or the attempt or the connection has ended. Other actions change nothing.
    pub(crate) fn take(&mut self, action: &Action) {
        match action {
            Action::Start(_) => {
                self.outage_reported = false;
                self.shared.enter(Phase::Responded);
            }
            Action::Fault(_) | Action::End(_) => self.shared.enter(Phase::Idle),
            _ => {}
        }
    }

    /// Whether there is a connection without a response.
    pub(crate) fn has_no_response(&self) -> bool {
        self.shared.get().0 == Phase::Connected
    }

    /// When the phase is to be reported, if it doesn't end before.
    fn due(&self) -> Option<Instant> {
        let (phase, since) = self.shared.get();
        let known = match self.detail {
            Detail::Nothing => true,
            Detail::Outages => {
                self.outage_reported || matches!(phase, Phase::Idle | Phase::Responded)
            }
            Detail::Phases => phase == Phase::Idle || self.reported == Some(since),
        };
        (!known).then(|| since + PATIENCE)
    }

    /// Waits until there is something to report. An attempt that begins meanwhile counts too.
    pub(crate) async fn hangs(&self) {
        loop {
            let due = self.due();
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = sleep_until(due) => return,
            }
        }
    }

    /// Reports what hangs during this work, in which a single response is awaited.
    pub(crate) async fn watch_over<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.hangs() => self.report(None),
            }
        }
    }

    /// Reports what hangs, if that is due. `silence` is the time since the last byte.
    pub(crate) fn report(&mut self, silence: Option<Duration>) {
        if let Some(text) = self.text(silence) {
            report::info(&text);
        }
    }

    /// What hangs, once for each phase or outage.
    pub(crate) fn text(&mut self, silence: Option<Duration>) -> Option<String> {
        let (phase, since) = self.shared.get();
        let now = Instant::now();
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        self.reported = Some(since);
        self.outage_reported = true;
        let waited = (now - since).as_secs();
        match phase {
            Phase::Idle => None,
            Phase::Connecting => Some(format!(
                "still connecting after {waited} s: no answer from DNS, the server, a proxy or TLS"
            )),
            Phase::Connected => Some(format!(
                "connected, but no response after {waited} s: the server hasn't sent its headers, or a \
                 proxy holds them back"
            )),
            Phase::Responded if silence.is_none_or(|silence| silence < PATIENCE) => None,
            Phase::Responded => Some(format!("the response has no data after {waited} s")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this phase is reported after a long time.
    fn is_reported(waiting: &mut Waiting, phase: Phase) -> bool {
        waiting.shared.set(phase, Instant::now() - PATIENCE);
        waiting.text(None).is_some()
    }

    fn start() -> Action {
        Action::Start(Box::default())
    }

    fn end() -> Action {
        Action::End(Box::default())
    }

    #[test]
    fn without_verbose_an_outage_is_reported_once() {
        let mut waiting = Waiting::new(Detail::Outages);
        waiting.shared.enter(Phase::Connecting);
        assert_eq!(waiting.text(None), None, "too early");
        assert!(is_reported(&mut waiting, Phase::Connected));
        assert!(!is_reported(&mut waiting, Phase::Connected));
        waiting.take(&end());
        assert!(!is_reported(&mut waiting, Phase::Connecting));
        assert_eq!(waiting.due(), None);
        waiting.take(&start());
        assert!(!is_reported(&mut waiting, Phase::Responded));
        waiting.take(&end());
        assert!(is_reported(&mut waiting, Phase::Connecting));
    }

    #[test]
    fn with_a_status_line_nothing_is_reported() {
        let mut waiting = Waiting::new(Detail::Nothing);
        assert!(!is_reported(&mut waiting, Phase::Connected));
        assert_eq!(waiting.due(), None);
    }

    /// As after the delay before a reconnect.
    #[tokio::test]
    async fn an_attempt_that_begins_during_the_wait_is_reported() {
        let waiting = Waiting::new(Detail::Outages);
        let shared = waiting.shared.clone();
        let begin = async {
            tokio::task::yield_now().await;
            shared.set(Phase::Connecting, Instant::now() - PATIENCE);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = waiting.hangs() => {}
            () = begin => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it wasn't reported"),
        }
    }
}

//! Where an attempt hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use everstream::{Fault, Http};

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

/// The phase of the present attempt, and since when.
#[derive(Clone)]
struct Shared(Arc<Mutex<(Phase, Instant)>>);

impl Shared {
    fn get(&self) -> (Phase, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Nothing: the status line shows it.
    Nothing,
    /// The first attempt of an outage that gets no response.
    Outages,
    /// Every phase, for `--verbose`.
    Phases,
}

pub(super) struct Waiting {
    shared: Shared,
    detail: Detail,
    /// The beginning of the last phase that was reported.
    reported: Option<Instant>,
    /// Something was reported since the last response.
    outage_reported: bool,
}

impl Waiting {
    pub(super) fn new() -> Waiting {
        let shared = Shared(Arc::new(Mutex::new((Phase::Idle, Instant::now()))));
        Waiting {
            shared,
            detail: Detail::Nothing,
            reported: None,
            outage_reported: false,
        }
    }

    pub(super) fn detail(self, detail: Detail) -> Waiting {
        Waiting { detail, ..self }
    }

    /// Follows the attempts of this request.
    pub(super) fn watch(&self, http: Http) -> Http {
        let [attempt, redirect, connection] = [(); 3].map(|()| self.shared.clone());
        http.before_attempt(move |request| {
            attempt.enter(Phase::Connecting);
            std::future::ready(Ok::<_, Fault>(request))
        })
        .on_redirect(move |_| redirect.enter(Phase::Connecting))
        .on_connected(move || connection.enter(Phase::Connected))
    }

    /// The response has begun.
    pub(super) fn responded(&mut self) {
        self.outage_reported = false;
        self.shared.enter(Phase::Responded);
    }

    /// The attempt or the connection has ended.
    pub(super) fn ended(&self) {
        self.shared.enter(Phase::Idle);
    }

    /// Whether there is a connection without a response.
    pub(super) fn has_no_response(&self) -> bool {
        self.shared.get().0 == Phase::Connected
    }

    /// When the phase is to be reported, if it doesn't end before.
    pub(super) fn due(&self) -> Option<Instant> {
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

    /// What hangs, once for each phase or outage. `silence` is the time since the last byte.
    pub(super) fn report(&mut self, silence: Option<Duration>) -> Option<String> {
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
        let since = Instant::now() - PATIENCE;
        *waiting.shared.0.lock().unwrap() = (phase, since);
        waiting.report(None).is_some()
    }

    #[test]
    fn without_verbose_an_outage_is_reported_once() {
        let mut waiting = Waiting::new().detail(Detail::Outages);
        waiting.shared.enter(Phase::Connecting);
        assert_eq!(waiting.report(None), None, "too early");
        assert!(is_reported(&mut waiting, Phase::Connected));
        assert!(!is_reported(&mut waiting, Phase::Connected));
        waiting.ended();
        assert!(!is_reported(&mut waiting, Phase::Connecting));
        assert_eq!(waiting.due(), None);
        waiting.responded();
        assert!(!is_reported(&mut waiting, Phase::Responded));
        waiting.ended();
        assert!(is_reported(&mut waiting, Phase::Connecting));
    }

    #[test]
    fn with_a_status_line_nothing_is_reported() {
        let mut waiting = Waiting::new().detail(Detail::Nothing);
        assert!(!is_reported(&mut waiting, Phase::Connected));
        assert_eq!(waiting.due(), None);
    }
}

//! Starting, faults and closing: rules 1 to 4, 9 and 10.

use std::sync::{Arc, Mutex};

use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
use everstream_core::{Ending, Fault, Session, SessionConfig, Start, Timestamp};

use super::script::*;

fn always_fail(config: &mut SessionConfig) {
    config.error_strategy = Box::new(error_strategy::always_fail());
}

#[test]
fn a_session_does_not_connect_before_it_is_started() {
    let mut script = Script::new(|_| {});
    for _ in 0..3 {
        assert_eq!(script.next(), Stop);
        assert!(!script.session.is_active());
        script.session.handle_timeout(script.now);
        script.pass(secs(100));
    }
}

#[test]
fn start_and_read_both_connect_at_once() {
    for begin in [Script::start, Script::read] {
        let mut script = Script::new(|_| {});
        begin(&mut script);
        assert!(script.session.is_active());
        assert_eq!(script.next(), connect());
    }
}

#[test]
fn connect_is_returned_until_the_connection_is_reported() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next_n(), [connect(), connect(), connect()]);
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next_n(), [Started(1), Read, Read]);
}

#[test]
fn continue_reports_the_fault_then_waits_then_connects() {
    let mut script = Script::open(|_| {});
    script.fault(broken());
    assert_eq!(script.next_n(), [Lost("broken"), Wait(secs(1))]);
    assert!(script.session.is_active());
    script.pass(secs(1));
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next_n(), [Started(1), Read]);
}

#[test]
fn continue_after_a_clean_end_does_the_same() {
    let mut script = Script::open(|_| {});
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

#[test]
fn fail_ends_the_iteration_with_the_fault() {
    let mut script = Script::open(always_fail);
    script.fault(broken());
    assert_eq!(script.next_n(), [Failed("broken"), Stop, Stop]);
    assert!(!script.session.is_active());
}

#[test]
fn fail_at_a_clean_end_reports_it_and_ends_the_iteration() {
    let mut script = Script::open(always_fail);
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop, Stop]);
    assert!(!script.session.is_active());
}

#[test]
fn after_fail_read_and_start_reconnect_after_the_pending_delay() {
    for begin in [Script::start, Script::read] {
        for fault in [Some(broken()), None] {
            let mut script = Script::open(always_fail);
            script
                .session
                .handle_data(b"id: 7\n\n".to_vec(), script.now);
            match fault {
                Some(fault) => script.fault(fault),
                None => script.end(),
            }
            while script.next() != Stop {}
            script.pass(millis(400));
            assert_eq!(script.next(), Stop, "no connection was requested");
            begin(&mut script);
            assert_eq!(script.next(), Wait(millis(600)));
            script.pass(millis(600));
            assert_eq!(script.next(), resume("7"));
        }
    }
}

#[test]
fn after_fail_a_late_read_connects_at_once() {
    let mut script = Script::open(always_fail);
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    script.pass(secs(5));
    script.read();
    assert_eq!(script.next(), connect());
}

/// A user who leaves the loop after the reported end and calls `start` must get a connection, not the
/// pending end of the iteration.
#[test]
fn a_start_between_a_clean_end_and_the_end_of_the_iteration_reconnects() {
    let mut script = Script::open(always_fail);
    script.end();
    assert_eq!(script.next(), Lost("end"));
    script.start();
    assert!(script.session.is_active());
    assert_eq!(script.next(), Wait(secs(1)));
}

/// An iterator calls `read` for every item, so reading on must not start a new iteration.
#[test]
fn reading_after_a_clean_end_ends_the_iteration_first() {
    let mut script = Script::open(always_fail);
    script.end();
    script.read();
    assert_eq!(script.next(), Lost("end"));
    script.read();
    assert_eq!(script.next(), Stop);
    script.read();
    assert_eq!(script.next(), Wait(secs(1)));
}

#[test]
fn starting_an_active_session_changes_nothing() {
    let mut script = Script::new(|_| {});
    script.start();
    script.start();
    assert_eq!(script.next(), connect());
    script.start();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    script.start();
    assert_eq!(script.next_n(), [Started(1), Read]);
    script.bytes("data: a\n\ndata: b\n\n");
    script.start();
    assert_eq!(script.next(), event("a"));
    script.start();
    script.end();
    script.start();
    assert_eq!(script.next_n(), [event("b"), Lost("end")]);
    script.start();
    assert_eq!(script.next(), Wait(secs(1)));
}

#[test]
fn starting_obeys_the_error_strategy() {
    let mut script = Script::new(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(1));
    });
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(refused());
    assert_eq!(script.next_n(), [Lost("refused"), Wait(secs(1))]);
    script.pass(secs(1));
    assert_eq!(script.next(), connect());
    script.fault(refused());
    assert_eq!(script.next_n(), [Failed("refused"), Stop]);
}

#[test]
fn the_default_retries_network_faults_and_fails_on_other_responses() {
    for (fault, reconnects) in [
        (refused(), true),
        (Fault::ConnectTimeout(secs(10)), true),
        (Fault::Request("cut".into()), true),
        (status(404), false),
        (status(204), false),
        (status(503), false),
        (Fault::Setup("no token".into()), false),
        (Fault::Source("it failed".into()), false),
    ] {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        let what = fault.to_string();
        script.fault(fault);
        assert_eq!(matches!(script.next(), Lost(_)), reconnects, "{what}");
    }
}

#[test]
fn a_connection_resets_the_error_strategy() {
    let mut script = Script::new(|config| {
        config.error_strategy = Box::new(error_strategy::continue_with_max_attempts(2));
    });
    let refuse = |script: &mut Script| {
        script.wait();
        assert_eq!(script.next(), connect());
        script.fault(refused());
        script.next()
    };
    script.start();
    script.connect();
    for _ in 0..3 {
        script.end_and_continue();
        assert_eq!(refuse(&mut script), Lost("refused"));
        script.reconnect();
    }
    script.end_and_continue();
    assert_eq!(refuse(&mut script), Lost("refused"));
    assert_eq!(refuse(&mut script), Failed("refused"));
}

/// Records its calls, and fails after read faults.
#[derive(Clone, Default)]
struct RecordingStrategy(Arc<Mutex<Vec<String>>>);

impl ErrorStrategy for RecordingStrategy {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        let what = fault.map_or("end".into(), Fault::to_string);
        self.0
            .lock()
            .unwrap()
            .push(format!("{what} at {}", now.elapsed().as_secs()));
        match fault {
            Some(Fault::Read(_)) => Verdict::Fail,
            _ => Verdict::Continue,
        }
    }

    fn reset(&mut self) {
        self.0.lock().unwrap().push("reset".into());
    }
}

#[test]
fn a_custom_strategy_is_asked_once_per_fault_and_reset_at_connections_only() {
    let recorder = RecordingStrategy::default();
    let mut script = Script::new(|config| config.error_strategy = Box::new(recorder.clone()));
    script.start();
    assert_eq!(script.next(), connect());
    script.fault(refused());
    script.pass(secs(5));
    assert_eq!(script.next(), Lost("refused"));
    script.connect();
    script.end();
    script.pass(secs(2));
    assert_eq!(script.next(), Lost("end"));
    script.connect();
    script.fault(broken());
    assert_eq!(script.next_n(), [Failed("broken"), Stop]);
    assert_eq!(
        *recorder.0.lock().unwrap(),
        [
            "could not connect at 1000",
            "reset",
            "end at 1005",
            "reset",
            "the connection broke at 1007",
        ]
    );
}

#[test]
fn start_reports_the_number_of_attempts() {
    let mut script = Script::new(|_| {});
    script.start();
    for _ in 0..3 {
        script.wait();
        assert_eq!(script.next(), connect());
        script.fault(refused());
        assert_eq!(script.next(), Lost("refused"));
    }
    script.wait();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next(), Started(4));
    script.end_and_continue();
    script.wait();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next(), Started(1));
}

#[test]
fn calling_read_again_loses_nothing() {
    let mut script = Script::open(|_| {});
    script.bytes("data: a\n\ndata: b\n\ndata: c");
    script.read();
    assert_eq!(script.next(), event("a"));
    script.read();
    assert_eq!(script.next_n(), [event("b"), Read]);
    script.read();
    assert_eq!(script.receive("\n\n"), [event("c")]);
}

type Prepare = fn() -> Script;

/// A session in each of its states.
const STATES: [(&str, Prepare); 9] = [
    ("inactive", || Script::new(|_| {})),
    ("started", || {
        let mut script = Script::new(|_| {});
        script.start();
        script
    }),
    ("connecting", || {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        script
    }),
    ("connected, not reported", || {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        script
            .session
            .handle_connected(Start::default(), script.now);
        script
    }),
    ("reading", || Script::open(|_| {})),
    ("delivering", || {
        let mut script = Script::open(|_| {});
        script.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        assert_eq!(script.next(), event("a"));
        script
    }),
    ("lost, delivering", || {
        let mut script = Script::open(|_| {});
        script.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        assert_eq!(script.next(), event("a"));
        script.fault(broken());
        script
    }),
    ("waiting", || {
        let mut script = Script::open(|_| {});
        script.end_and_continue();
        assert_eq!(script.next(), Wait(secs(1)));
        script
    }),
    ("stopped", || {
        let mut script = Script::open(always_fail);
        script.fault(broken());
        script
    }),
];

#[test]
fn nothing_happens_after_close_in_any_state() {
    for (state, prepare) in STATES {
        let mut script = prepare();
        let id = script.id().map(String::from);
        script.session.close();
        assert_eq!(script.next(), Stop, "{state}");
        for _ in 0..2 {
            script.start();
            script.read();
            script.interrupt();
            script
                .session
                .handle_connected(Start::default(), script.now);
            script
                .session
                .handle_data(b"data: x\n\n".to_vec(), script.now);
            script.end();
            script.fault(broken());
            script.session.handle_timeout(script.now);
            assert_eq!(script.next(), Stop, "{state}");
            assert!(!script.session.is_active(), "{state}");
            script.pass(secs(100));
            script.session.close();
        }
        assert_eq!(script.id(), id.as_deref(), "{state}: what to resume from");
    }
}

type Call = fn(&mut Session, Timestamp);

#[test]
fn driver_calls_in_the_wrong_state_change_nothing() {
    let connected: Call = |session, now| session.handle_connected(Start::default(), now);
    let data: Call = |session, now| session.handle_data(b"data: x\n\n".to_vec(), now);
    let end: Call = |session, now| session.handle_end(Ending::Unproven, now);
    let fault: Call = |session, now| session.handle_fault(broken(), now);
    let timeout: Call = |session, now| session.handle_timeout(now);
    for (state, prepare) in STATES {
        let wrong: &[Call] = match state {
            "inactive" | "started" | "waiting" => &[connected, data, end, fault, timeout],
            "connecting" => &[data, timeout],
            "connected, not reported" | "reading" | "delivering" => &[connected, timeout],
            // The connection is lost: later calls don't belong to any connection.
            "lost, delivering" => &[connected, data, end, fault, timeout],
            "stopped" => &[connected, end, fault, timeout],
            other => panic!("{other}"),
        };
        let mut usual = prepare();
        let usual: [Seen; 5] = usual.next_n();
        for call in wrong {
            let mut script = prepare();
            call(&mut script.session, script.now);
            assert_eq!(script.next_n(), usual, "{state}");
        }
        let mut script = prepare();
        for call in wrong.iter().chain(wrong) {
            call(&mut script.session, script.now);
        }
        assert_eq!(script.next_n(), usual, "{state}");
    }
}

/// The driver and the user may be in different tasks, so a connection may be established too late.
#[test]
fn a_connection_established_after_an_interrupt_is_reported_and_dropped() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next(), connect());
    script.interrupt();
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next_n(), [Started(1), Lost("end"), Wait(secs(1))]);
}

#[test]
fn a_session_can_be_sent_to_another_thread() {
    fn check<T: Send>() {}
    check::<Session>();
    check::<SessionConfig>();
}

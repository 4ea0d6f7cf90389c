//! Starting, faults and what follows them, closing: rules 1 to 4, 9 and 10.

use std::sync::{Arc, Mutex};

use everstream_core::error_strategy::{self, ErrorStrategy, Verdict};
use everstream_core::{Ending, Fault, Session, SessionConfig, Start, Timestamp};

use super::script::*;

fn always_fail(config: &mut SessionConfig) {
    config.error_strategy = Box::new(error_strategy::always_fail());
}

#[test]
fn nothing_connects_before_it_is_started() {
    let mut script = Script::new(|_| {});
    for _ in 0..3 {
        assert_eq!(script.next(), Stop);
        assert!(!script.session.is_active());
        script.session.handle_timeout(script.now);
        script.pass(secs(100));
    }
}

#[test]
fn starting_and_reading_both_make_it_connect_at_once() {
    for begin in [Script::start, Script::read] {
        let mut script = Script::new(|_| {});
        begin(&mut script);
        assert!(script.session.is_active());
        assert_eq!(script.next(), connect());
    }
}

#[test]
fn a_connection_is_asked_for_until_it_is_there() {
    let mut script = Script::new(|_| {});
    script.start();
    assert_eq!(script.next_n(), [connect(), connect(), connect()]);
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next_n(), [Started(1), Read, Read]);
}

#[test]
fn continue_gives_the_fault_then_the_wait_then_the_start() {
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
fn continue_after_an_orderly_end_goes_the_same_way() {
    let mut script = Script::open(|_| {});
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Wait(secs(1))]);
}

#[test]
fn fail_with_a_fault_ends_the_iteration_with_it() {
    let mut script = Script::open(always_fail);
    script.fault(broken());
    assert_eq!(script.next_n(), [Failed("broken"), Stop, Stop]);
    assert!(!script.session.is_active());
}

#[test]
fn fail_at_an_orderly_end_tells_of_it_and_ends_the_iteration_quietly() {
    let mut script = Script::open(always_fail);
    script.end();
    assert_eq!(script.next_n(), [Lost("end"), Stop, Stop]);
    assert!(!script.session.is_active());
}

#[test]
fn after_fail_reading_or_starting_again_connects_after_the_delay_that_is_due() {
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
            assert_eq!(script.next(), Stop, "nobody asked for a connection");
            begin(&mut script);
            assert_eq!(script.next(), Wait(millis(600)));
            script.pass(millis(600));
            assert_eq!(script.next(), resume("7"));
        }
    }
}

#[test]
fn after_fail_no_wait_is_left_for_who_comes_back_late() {
    let mut script = Script::open(always_fail);
    script.fault(broken());
    assert_eq!(script.next(), Failed("broken"));
    script.pass(secs(5));
    script.read();
    assert_eq!(script.next(), connect());
}

/// Whoever leaves the loop at the fault that it was told of and starts again hadn't heard that
/// the iteration was over, and must not hear it instead of being connected.
#[test]
fn starting_between_an_orderly_end_and_the_end_of_the_iteration_connects_again() {
    let mut script = Script::open(always_fail);
    script.end();
    assert_eq!(script.next(), Lost("end"));
    script.start();
    assert!(script.session.is_active());
    assert_eq!(script.next(), Wait(secs(1)));
}

/// An iterator says that it reads at every item, so that reading on must not be starting anew.
#[test]
fn reading_on_after_an_orderly_end_comes_to_the_end_of_the_iteration_first() {
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
fn the_default_reconnects_after_faults_of_the_network_and_fails_on_answers_that_are_no_stream() {
    for (fault, goes_on) in [
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
        assert_eq!(matches!(script.next(), Lost(_)), goes_on, "{what}");
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
        script.end_and_go_on();
        assert_eq!(refuse(&mut script), Lost("refused"));
        script.reconnect();
    }
    script.end_and_go_on();
    assert_eq!(refuse(&mut script), Lost("refused"));
    assert_eq!(refuse(&mut script), Failed("refused"));
}

/// Notes what it is asked, and fails on request.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<String>>>);

impl ErrorStrategy for Noting {
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
fn a_strategy_of_the_users_is_asked_once_a_fault_with_its_moment_and_reset_at_connections_only() {
    let noting = Noting::default();
    let mut script = Script::new(|config| config.error_strategy = Box::new(noting.clone()));
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
        *noting.0.lock().unwrap(),
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
fn a_start_tells_how_many_attempts_it_took() {
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
    script.end_and_go_on();
    script.wait();
    assert_eq!(script.next(), connect());
    script
        .session
        .handle_connected(Start::default(), script.now);
    assert_eq!(script.next(), Started(1));
}

#[test]
fn reading_anew_loses_nothing_that_was_received() {
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

/// A session in every state that it can be in.
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
    ("connected, not told", || {
        let mut script = Script::new(|_| {});
        script.start();
        assert_eq!(script.next(), connect());
        script
            .session
            .handle_connected(Start::default(), script.now);
        script
    }),
    ("reading", || Script::open(|_| {})),
    ("handing out", || {
        let mut script = Script::open(|_| {});
        script.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        assert_eq!(script.next(), event("a"));
        script
    }),
    ("lost, handing out", || {
        let mut script = Script::open(|_| {});
        script.bytes("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        assert_eq!(script.next(), event("a"));
        script.fault(broken());
        script
    }),
    ("waiting", || {
        let mut script = Script::open(|_| {});
        script.end_and_go_on();
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
fn after_close_nothing_happens_any_more_from_whatever_state() {
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
fn what_the_driver_says_at_the_wrong_moment_changes_nothing() {
    let connected: Call = |session, now| session.handle_connected(Start::default(), now);
    let data: Call = |session, now| session.handle_data(b"data: x\n\n".to_vec(), now);
    let end: Call = |session, now| session.handle_end(Ending::Unproven, now);
    let fault: Call = |session, now| session.handle_fault(broken(), now);
    let timeout: Call = |session, now| session.handle_timeout(now);
    for (state, prepare) in STATES {
        let wrong: &[Call] = match state {
            "inactive" | "started" | "waiting" => &[connected, data, end, fault, timeout],
            "connecting" => &[data, timeout],
            "connected, not told" | "reading" | "handing out" => &[connected, timeout],
            // The connection is lost: what comes from it later is from nowhere.
            "lost, handing out" => &[connected, data, end, fault, timeout],
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

/// The driver and the user are in different tasks: the connection may come when nobody wants it.
#[test]
fn a_connection_that_comes_after_an_interrupt_is_told_of_and_dropped() {
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

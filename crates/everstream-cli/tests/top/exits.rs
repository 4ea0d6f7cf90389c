//! Every exit restores the terminal.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{LEAVE_SCREEN, Top, screen, server};
use crate::common::{PATIENCE, wait_for};

#[test]
fn every_exit_restores_the_terminal() {
    let server = server();
    for way in ["q", "\x1b", "\x03", "TERM", "INT", "HUP"] {
        let mut top = Top::start("ways", &server.url("/prices"));
        top.pty.wait_for("price 12");
        match way.len() {
            1 => top.pty.press(way),
            _ => top.signal(way),
        }
        assert_eq!(top.end(), 0, "{way:?}");
    }
}

#[test]
fn it_ends_with_its_terminal() {
    let server = server();
    ends_with_its_terminal(Top::start("hangup", &server.url("/prices")));
}

/// It gets no signal, and writes nothing that could fail: it used to continue, using a whole CPU
/// core.
#[test]
fn it_ends_with_a_terminal_of_another_session() {
    let server = server();
    let command = format!(
        "setsid --wait sh -c 'echo $$ > pid; exec \"$@\"' - '{}' top {}",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/prices")
    );
    let mut top = Top::start_command("session", &command, &[]);
    top.pty.wait_for("price 12");
    top.pty.press("p");
    top.pty.wait_for("PAUSED");
    ends_with_its_terminal(top);
}

#[track_caller]
fn ends_with_its_terminal(mut top: Top) {
    top.pty.wait_for("price 12");
    let pid = top.file("pid");
    top.pty.kill();
    let begin = Instant::now();
    // A zombie has ended too; here it may have no parent.
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
    };
    while runs() {
        assert!(begin.elapsed() < PATIENCE, "it still runs");
        // std can't wait for a process that isn't a child.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Even if its writes fail.
#[test]
fn it_does_not_panic_when_its_terminal_is_closed() {
    let server = server();
    let command = format!(
        "sh -c 'trap \"\" HUP; \"$0\" top {}; echo $? > code.new; mv code.new code' '{}'",
        server.url("/prices"),
        env!("CARGO_BIN_EXE_everstream")
    );
    let mut top = Top::start_command("gone", &command, &[]);
    top.pty.wait_for("price 12");
    top.pty.kill();
    let code = wait_for("exit code", || {
        std::fs::read_to_string(top.folder.path("code")).ok()
    });
    assert!(["0\n", "1\n"].contains(&&*code), "{code}");
}

/// In a shell with job control and its own terminal modes; Enter continues it.
#[test]
fn ctrl_z_stops_it_and_fg_continues_it() {
    let server = server();
    for way in ["\x1a", "STOP", "TSTP"] {
        let command = format!(
            "bash --norc -c 'modes=$(stty -g); set -m; sh -c \"echo \\$\\$ > job; exec \\\"\\$0\\\" \\\"\\$@\\\"\" \"$0\" top {}; \
             echo \"stopped by $?\"; stty \"$modes\"; read line; fg > /dev/null' '{}'",
            server.url("/prices"),
            env!("CARGO_BIN_EXE_everstream")
        );
        let mut top = Top::start_command("stops", &command, &[]);
        top.pty.wait_for("price 12");
        match way {
            "\x1a" => top.pty.press(way),
            name => {
                let job = top.file("job");
                let sent = Command::new("kill").args(["-s", name, &job]).status();
                assert!(sent.unwrap().success());
            }
        }
        top.pty.wait_for("stopped by 1");
        if way == "\x1a" {
            top.pty.with_screen(|screen| {
                assert!(!screen.alternate_screen());
                assert!(!screen.hide_cursor());
            });
        }
        top.pty.press("\n");
        top.pty.wait("the list again", |screen| {
            screen.contains("price 12") && !screen.contains("stopped by")
        });
        top.pty
            .with_screen(|screen| assert!(screen.alternate_screen()));
        // Keys are read one by one again.
        top.pty.press("?");
        top.pty.wait_for("select a stream");
        top.pty.press("qq");
        assert_eq!(top.end(), 0, "{way:?}");
    }
}

/// The test runs itself in a terminal, because nothing in the command panics.
#[test]
fn a_panic_restores_the_terminal_before_its_message() {
    const CHILD: &str = "EVERSTREAM_TEST_PANIC";
    if std::env::var_os(CHILD).is_some() {
        let mut screen = screen::Screen::take().unwrap();
        screen
            .draw(|frame| frame.render_widget("drawn", frame.area()))
            .unwrap();
        panic!("to be read");
    }
    let this = std::env::current_exe().unwrap();
    // The harness names a test by its path without the crate.
    let module = module_path!().split_once("::").unwrap().1;
    let name = format!("{module}::a_panic_restores_the_terminal_before_its_message");
    let command = format!("'{}' --exact {name} --nocapture", this.display());
    let mut top = Top::start_command("panic", &command, &[(CHILD, "1")]);
    assert_eq!(top.end(), 101);
    let written = top.pty.written();
    let place = |text| {
        written
            .find(text)
            .unwrap_or_else(|| panic!("no {text:?} in {written:?}"))
    };
    assert!(place("drawn") < place(LEAVE_SCREEN), "{written:?}");
    assert!(place(LEAVE_SCREEN) < place("to be read"), "{written:?}");
}

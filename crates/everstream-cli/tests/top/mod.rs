//! `everstream top`, seen on the screen of a terminal.
//!
//! | file | subject |
//! |---|---|
//! | `display.rs` | what is shown, and keys |
//! | `exits.rs` | every exit restores the terminal |
//! | `start.rs` | what is refused before anything is drawn, secrets, and the exit code |

mod display;
mod exits;
#[allow(dead_code)] // the guard alone is tested here
#[path = "../../src/top/screen.rs"]
mod screen;
mod start;

use std::process::Command;

use everstream_testing::{Reply, Request, Server};

use crate::common::Folder;
use crate::common::pty::Pty;

const ENTER_SCREEN: &str = "\x1b[?1049h";
const LEAVE_SCREEN: &str = "\x1b[?1049l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// A stream of prices that stays open, one that fails for now, and one that has ended.
fn server() -> Server {
    Server::with_handler(|request: &Request| match request.path() {
        "/prices" => (1..=12)
            .fold(Reply::stream().comment("hi"), |reply, id| {
                reply.send(format!("event: price\nid: {id}\ndata: {id} €\n\n"))
            })
            .event_of_type("news", "ACME opens a shop")
            .stall(),
        "/away" => Reply::status(503).header("Retry-After", "20"),
        _ => Reply::status(204),
    })
}

/// `top` in a terminal, and the terminal modes before and after.
struct Top {
    pty: Pty,
    folder: Folder,
}

impl Top {
    fn start(name: &str, args: &str) -> Top {
        Top::start_with(name, args, &[])
    }

    fn start_with(name: &str, args: &str, environment: &[(&str, &str)]) -> Top {
        let command = format!("'{}' top {args}", env!("CARGO_BIN_EXE_everstream"));
        Top::start_command(name, &command, environment)
    }

    /// The shell prints the modes for later comparison.
    fn start_command(name: &str, command: &str, environment: &[(&str, &str)]) -> Top {
        let folder = Folder::new(&format!("top-{name}"));
        let line = format!(
            "cd '{}'; tty > tty; stty -a > before; sh -c 'echo $$ > pid; exec \"$@\"' - {command}; \
             code=$?; stty -a > after; exit $code",
            folder.path("").display()
        );
        let pty = Pty::run(24, 100, &line, environment);
        Top { pty, folder }
    }

    fn file(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path(name)).unwrap();
        text.trim().to_owned()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.file("pid")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end, and asserts that the terminal was restored; returns the exit code.
    #[track_caller]
    fn end(&mut self) -> i32 {
        let code = self.pty.end();
        assert_eq!(self.file("before"), self.file("after"));
        let written = self.pty.written();
        let place = |text| written.rfind(text).unwrap_or_else(|| panic!("no {text:?}"));
        assert!(place(LEAVE_SCREEN) > place(ENTER_SCREEN), "{written:?}");
        assert!(place(SHOW_CURSOR) > place("\x1b[?25l"), "{written:?}");
        self.pty.with_screen(|screen| {
            assert!(!screen.alternate_screen());
            assert!(!screen.hide_cursor());
        });
        code
    }
}

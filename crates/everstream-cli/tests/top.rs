//! `everstream top`, seen on the screen of a terminal.

#[allow(dead_code)] // the guard alone is tested here
#[path = "../src/top/screen.rs"]
mod screen;

use std::process::Command;
use std::time::{Duration, Instant};

use everstream_testing::{Gate, Reply, Request, Server};

use crate::common::pty::Pty;
use crate::common::{Folder, PATIENCE, everstream, wait_for};

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

#[test]
fn the_dashboard_shows_the_state_of_streams() {
    let server = server();
    let urls = format!(
        "{} {} {}",
        server.url("/prices"),
        server.url("/away"),
        server.url("/over")
    );
    let mut top = Top::start("shows", &urls);
    let shown = top.pty.wait("three states", |screen| {
        let all = [
            "1 connected",
            "1 retrying",
            "1 ended",
            "connected",
            "503, retry in ",
            "204, ended",
            "price 12  news 1",
        ];
        all.iter().all(|part| screen.contains(part))
    });
    assert!(shown.contains("everstream top"), "{shown}");
    let line = shown
        .lines()
        .find(|line| line.contains("/prices "))
        .unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    // Number, URL, state; 13 events, the bytes of their data, and so on.
    assert_eq!(cells[2], "connected", "{line}");
    assert!(cells.contains(&"13"), "{line}");
    assert!(shown.contains("last id    12"), "{shown}");
    assert!(shown.contains("comments: 1"), "{shown}");
    // The stream that fails.
    top.pty.press("\x1b[B");
    top.pty.wait_for("status 503");
    top.pty.press("\x1b[B");
    top.pty
        .wait_for("the server ended the stream permanently (status 204)");

    top.pty.press("q");
    assert_eq!(top.end(), 0);
    let left = top.pty.with_screen(|screen| screen.contents());
    assert!(
        left.contains("/prices: 13 events; the last id is 12"),
        "{left}"
    );
    assert!(left.contains("/over: 0 events\n"), "{left}");
}

#[test]
fn keys_select_filter_pause_and_explain() {
    let (server, go, sent) = (Server::start(), Gate::new(), Gate::new());
    let tick = |reply: Reply, id: u32, data: &str| {
        reply.send(format!("event: tick\nid: {id}\ndata: {data}\n\n"))
    };
    let reply = tick(Reply::stream(), 1, "first").wait_for(&go);
    let reply = tick(reply, 2, "second").open(&sent).stall();
    server.otherwise_with(move |request: &Request| match request.path() {
        "/feed" => reply.clone(),
        _ => Reply::status(204),
    });
    let urls = format!("{} {}", server.url("/feed"), server.url("/over"));
    let mut top = Top::start("keys", &urls);
    top.pty.wait_for("tick 1");

    top.pty.press("?");
    top.pty.wait_for("select a stream");
    top.pty.press("\x1b");
    top.pty
        .wait("help gone", |screen| !screen.contains("select a stream"));

    top.pty.press("fover");
    top.pty.wait("a filtered list", |screen| {
        screen.contains("filter: over") && !screen.contains("/feed")
    });
    top.pty.press("\x1b");
    top.pty.wait_for("/feed");

    top.pty.press("\r");
    let shown = top.pty.wait_for("Last events, newest first");
    assert!(shown.contains("tick  id 1  first"), "{shown}");

    // A paused display doesn't change; the stream continues.
    top.pty.press("p");
    top.pty.wait_for("PAUSED");
    go.open();
    assert!(sent.wait(PATIENCE));
    for _ in 0..3 {
        // A key causes a redraw, in the thread that reads the stream.
        top.pty.press("?");
        top.pty.wait_for("select a stream");
        top.pty.press("?");
        let shown = top
            .pty
            .wait("help gone", |screen| !screen.contains("select a stream"));
        assert!(!shown.contains("second"), "{shown}");
    }
    top.pty.press("p");
    top.pty.wait_for("tick  id 2  second");

    top.pty.press("\x1b");
    top.pty.wait_for("types      tick 2");
    top.pty.press("\x1b");
    assert_eq!(top.end(), 0);
}

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

#[test]
fn resizing_redraws_the_screen() {
    let server = server();
    let mut top = Top::start("resize", &server.url("/prices"));
    let shown = top.pty.wait_for("price 12");
    assert!(!shown.contains("LAST ID"), "{shown}");
    // Pausing stops the clock from redrawing.
    top.pty.press("p");
    top.pty.wait_for("PAUSED");
    top.pty.resize(30, 140);
    let tty = top.file("tty");
    let resized = Command::new("stty")
        .args(["-F", &tty, "rows", "30", "cols", "140"])
        .status();
    assert!(resized.unwrap().success());
    top.pty.wait_for("LAST ID");
    top.pty.press("q");
    assert_eq!(top.pty.end(), 0);
}

/// Keys are read from the terminal, whatever standard input is.
#[test]
fn a_body_may_be_piped_in() {
    let server = Server::with_handler(|request: &Request| {
        Reply::stream()
            .event(String::from_utf8_lossy(&request.body))
            .stall()
    });
    let line = format!(
        "echo '{{\"ask\":7}}' | '{}' top {} --json @-",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let mut pty = Pty::run(24, 80, &line, &[]);
    pty.wait_for("message 1");
    pty.press("\r");
    pty.wait_for("{\"ask\":7}");
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_flood_of_events_does_not_block_keys_or_add_redraws() {
    let server = Server::start();
    server.otherwise(Reply::stream().send_forever("data: x\n\n".repeat(100)));
    let begin = Instant::now();
    let mut top = Top::start("flood", &format!("{0} {0}", server.url("/")));
    top.pty.wait("many events", |screen| {
        let many =
            |cell: &str| cell.parse().is_ok_and(|count: u64| count > 100) || cell.ends_with('M');
        screen
            .lines()
            .filter(|line| line.contains("connected") && line.split(' ').any(many))
            .count()
            == 2
    });
    top.pty.press("?");
    top.pty.wait_for("select a stream");
    top.pty.press("qq");
    assert_eq!(top.end(), 0);
    // Each drawing hides the cursor.
    let drawings = top.pty.written().matches("\x1b[?25l").count();
    let most = 4.0 * begin.elapsed().as_secs_f64() + 6.0;
    assert!(drawings >= 2 && (drawings as f64) < most, "{drawings}");
}

#[test]
fn without_a_terminal_it_suggests_follow() {
    let server = server();
    let url = server.url("/prices");
    let output = everstream(["top", &url])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("error: top needs a terminal"), "{told}");
    assert!(told.contains("everstream follow URL"), "{told}");
    assert_eq!(server.request_count(), 0);

    let line = format!("'{}' top {url}", env!("CARGO_BIN_EXE_everstream"));
    let mut pty = Pty::run(24, 80, &line, &[("TERM", "dumb")]);
    assert_eq!(pty.end(), 2);
    assert!(!pty.written().contains('\x1b'), "{:?}", pty.written());
}

#[test]
fn secrets_are_sent_to_a_second_origin_only_with_all_origins() {
    let (ours, theirs) = (server(), server());
    let token = [("TOKEN", "hush")];
    let same = format!(
        "{} {} --bearer-env TOKEN",
        ours.url("/prices"),
        ours.url("/over")
    );
    let mut top = Top::start_with("same", &same, &token);
    top.pty.wait_for("price 12");
    top.pty.press("q");
    assert_eq!(top.end(), 0);
    assert_eq!(
        ours.requests()[0].header("authorization"),
        Some("Bearer hush")
    );

    let urls = format!("{} {}", ours.url("/prices"), theirs.url("/prices"));
    for secret in [
        "--bearer-env TOKEN",
        "-H 'X-Key: hush'",
        "-u me:hush",
        "-d hush",
        "--json hush",
    ] {
        let line = format!("'{}' top {urls} {secret}", env!("CARGO_BIN_EXE_everstream"));
        let mut pty = Pty::run(24, 150, &line, &token);
        assert_eq!(pty.end(), 2, "{secret}");
        let told = pty.written();
        assert!(
            told.contains("would be sent to different origins: http://127.0.0.1:"),
            "{told}"
        );
        assert!(told.contains("--all-origins"), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
    assert_eq!(theirs.request_count(), 0);

    let all = format!("{urls} --bearer-env TOKEN --all-origins");
    let mut top = Top::start_with("all", &all, &token);
    top.pty.wait_for("2 connected");
    top.pty.press("q");
    assert_eq!(top.end(), 0);
    assert_eq!(
        theirs.requests()[0].header("authorization"),
        Some("Bearer hush")
    );
}

#[test]
fn withheld_headers_are_reported_once_for_each_url() {
    let (home, elsewhere) = (Server::start(), Server::start());
    home.otherwise(Reply::redirect(307, elsewhere.url("/c")));
    elsewhere
        .enqueue(Reply::stream().retry(1).event("a").end())
        .otherwise(Reply::status(401));
    let mut top = Top::start("withheld", &format!("{} -H 'X-Key: hush'", home.url("/a")));
    top.pty.wait_for("1 ended");
    top.pty.press("q");
    assert_eq!(top.end(), 6);
    let warning = format!(
        "everstream: warning: X-Key was not sent to {}: it was set for another origin",
        elsewhere.url("/c")
    );
    assert_eq!(top.pty.written().matches(&warning).count(), 1);
}

#[test]
fn the_exit_code_is_that_of_the_first_stream_once_all_have_ended() {
    let server = Server::with_handler(|request: &Request| match request.path() {
        "/missing" => Reply::status(404),
        _ => Reply::status(204),
    });
    for (first, second, code) in [("/missing", "/over", 6), ("/over", "/missing", 4)] {
        let mut top = Top::start(
            "codes",
            &format!("{} {}", server.url(first), server.url(second)),
        );
        top.pty.wait_for("2 ended");
        top.pty.press("q");
        assert_eq!(top.end(), code);
        let left = top.pty.with_screen(|screen| screen.contents());
        assert!(
            left.contains("hint: there is no stream at this URL"),
            "{left}"
        );
    }
}

#[test]
fn an_invalid_url_is_reported_before_anything_is_drawn() {
    let line = format!(
        "'{}' top http://a.test/ ftp://b.test",
        env!("CARGO_BIN_EXE_everstream")
    );
    let mut pty = Pty::run(24, 100, &line, &[]);
    assert_eq!(pty.end(), 2);
    let told = pty.written();
    assert!(
        told.contains("a URL begins with http:// or https://"),
        "{told}"
    );
    assert!(!told.contains(ENTER_SCREEN), "{told}");
}

//! Output on a pseudo-terminal, created by `script` of util-linux.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use everstream_testing::{Reply, Server};

use crate::common::{self, Folder, in_time};

/// Precedes each drawing of the status line, and erases it.
const ERASE: &str = "\r\x1b[K";

/// A stream that ends permanently after these steps.
fn serve(stream: Reply) -> Server {
    let server = Server::start();
    server.enqueue(stream.retry(100).end());
    server.otherwise(Reply::status(204));
    server
}

/// `script`, running this shell command in a new terminal.
fn script(line: &str, environment: &[(&str, &str)]) -> Command {
    let mut script = Command::new("script");
    common::clean(&mut script);
    script
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    script
}

fn start(script: &mut Command) -> Child {
    script
        .spawn()
        .expect("these tests need the program script (Debian: bsdutils)")
}

/// The whole terminal output while this stream is followed to its end, and the exit code. `rest` is
/// added to the command.
fn on_a_terminal(
    server: &Server,
    rest: &str,
    environment: &[(&str, &str)],
) -> (String, Option<i32>) {
    let command = env!("CARGO_BIN_EXE_everstream");
    let line = format!(
        "stty rows 24 cols 80; '{command}' '{}' {rest}",
        server.url("/")
    );
    let output = start(&mut script(&line, environment))
        .wait_with_output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    // Added by the terminal.
    (shown.replace("\r\n", "\n"), output.status.code())
}

/// The terminal output and the exit code, if `typed` is typed once `shown` appears and `ready`
/// returns.
fn type_at(
    line: &str,
    shown_first: &str,
    wait_ready: impl Fn(&str),
    typed: &[u8],
) -> (String, Option<i32>) {
    let mut script = start(script(line, &[("NO_COLOR", "1")]).stdin(Stdio::piped()));
    let mut keyboard = script.stdin.take().unwrap();
    let mut screen = script.stdout.take().unwrap();
    let mut shown = String::new();
    let mut done = false;
    let mut buffer = [0; 1000];
    loop {
        let count = screen.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        shown += std::str::from_utf8(&buffer[..count]).unwrap();
        if !done && shown.contains(shown_first) {
            wait_ready(&shown);
            keyboard.write_all(typed).unwrap();
            done = true;
        }
    }
    (shown, script.wait().unwrap().code())
}

#[test]
fn an_event_is_shown_as_a_readable_block() {
    let server = serve(Reply::stream().send("event: price\nid: 41\ndata: 7 €\ndata: 8 €\n\n"));
    let (shown, code) = on_a_terminal(&server, "", &[]);
    assert_eq!(code, Some(4));
    assert!(
        shown.contains("Z\x1b[0m  \x1b[1;36mprice\x1b[0m  \x1b[2mid 41\x1b[0m\n  7 €\n  8 €\n\n"),
        "{shown:?}"
    );
    assert!(
        shown.contains("\x1b[2meverstream: connected to http://"),
        "{shown:?}"
    );
}

#[test]
fn json_is_formatted_in_color() {
    let server = serve(Reply::stream().event(r#"{"a":[1,"b"]}"#));
    let (shown, _) = on_a_terminal(&server, "2>/dev/null", &[]);
    let expected = "\n  {\n    \x1b[34m\"a\"\x1b[0m: [\n      \x1b[33m1\x1b[0m,\n      \x1b[32m\"b\"\x1b[0m\n    ]\n  }\n\n";
    assert!(shown.contains(expected), "{shown:?}");
}

#[test]
fn long_data_is_cut_at_the_width_except_with_full() {
    let server = serve(Reply::stream().event("x".repeat(100)));
    let (shown, _) = on_a_terminal(&server, "2>/dev/null", &[]);
    assert!(
        shown.contains(&format!("\n  {}…\n", "x".repeat(77))),
        "{shown:?}"
    );
    let server = serve(Reply::stream().event("x".repeat(100)));
    let (shown, _) = on_a_terminal(&server, "--full 2>/dev/null", &[]);
    assert!(
        shown.contains(&format!("\n  {}\n", "x".repeat(100))),
        "{shown:?}"
    );
}

#[test]
fn no_color_is_honored() {
    let server = serve(Reply::stream().event(r#"{"a":1}"#));
    let (shown, _) = on_a_terminal(&server, "", &[("NO_COLOR", "1")]);
    assert!(
        shown.contains("message\n  {\n    \"a\": 1\n  }\n\n"),
        "{shown:?}"
    );
    // Only the status line moves the cursor.
    assert!(!shown.replace(ERASE, "").contains('\x1b'), "{shown:?}");
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequences() {
    let server = serve(Reply::stream().event("x"));
    let (shown, _) = on_a_terminal(&server, "", &[("TERM", "dumb")]);
    assert!(shown.contains("message\n  x\n\n"), "{shown:?}");
    assert!(!shown.contains(['\x1b', '\r']), "{shown:?}");
}

/// A server could retitle the window, clear the screen or answer a query as if it were typed.
#[test]
fn a_server_can_not_control_the_terminal() {
    let attack = "\x1b]0;owned\x07\x1b[2J\u{9b}6n\u{202e}\u{2028}\x08";
    for form in [
        "pretty --full --comments",
        "json --comments",
        "data",
        "raw --comments",
    ] {
        let server = serve(
            Reply::stream()
                .send(format!(
                    ": {attack}\nevent: {attack}\nid: {attack}\ndata: {attack}\n\n"
                ))
                .event("tab\tstays"),
        );
        let rest = format!("--format {form} 2>/dev/null");
        let (shown, _) = on_a_terminal(&server, &rest, &[("NO_COLOR", "1")]);
        let controls: Vec<char> = shown
            .chars()
            .filter(|c| c.is_control() && !"\n\t".contains(*c) || "\u{202e}\u{2028}".contains(*c))
            .collect();
        assert!(controls.is_empty(), "{form}: {shown:?}");
        if form.starts_with("pretty") {
            let visible = r"\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}6n\u{202e}\u{2028}\u{8}";
            assert!(
                shown.contains(&format!("{visible}  id {visible}\n  {visible}\n")),
                "{shown:?}"
            );
        }
        assert!(shown.contains("stays"), "{form}: {shown:?}");
    }
}

#[test]
fn the_status_line_is_redrawn_in_place_and_erased_at_the_end() {
    let server = Server::start();
    let with_one_event = |shown: &str| {
        // Minutes and seconds.
        (0..60).any(|seconds| shown.contains(&format!("0:{seconds:02}  1 event  ")))
    };
    let (shown, code) = in_time(
        |limit| {
            // The second event arrives after the status line has been drawn.
            let pause = Duration::from_secs_f64(limit.parse::<f64>().unwrap() / 4.0);
            server.otherwise(Reply::stream().event("x").pause(pause).event("y").stall());
            let rest = format!("--duration {limit}");
            on_a_terminal(&server, &rest, &[("NO_COLOR", "1")])
        },
        |(shown, _)| {
            let all = ["silent for 1 s", "after 2 events"];
            with_one_event(shown) && all.iter().all(|text| shown.contains(text))
        },
    );
    assert_eq!(code, Some(0), "{shown}");
    // Each drawing is complete, and is erased before anything else is written.
    let mut parts = shown.split(ERASE);
    assert_eq!(parts.next(), Some(""), "{shown:?}");
    let mut drawings = 0;
    for part in parts {
        if part.contains(" event") && part.contains("/s  ") && !part.contains('\n') {
            drawings += 1;
        } else {
            assert!(part.ends_with('\n'), "{shown:?}");
            assert!(!part.contains("/s  "), "{shown:?}");
        }
    }
    assert!(drawings >= 2, "{shown:?}");
    assert!(with_one_event(&shown), "{shown:?}");
    assert!(shown.contains("silent for 1 s"), "{shown:?}");
    assert!(
        shown.contains("\neverstream: stopped by --duration after 2 events\n")
            || shown.contains("\r\x1b[Keverstream: stopped by --duration after 2 events\n"),
        "{shown:?}"
    );
}

#[test]
fn the_status_line_is_drawn_at_most_four_times_a_second() {
    let server = Server::start();
    server.otherwise(Reply::stream().send_forever("data: x\n\n"));
    let (code, events, drawings, seconds) = in_time(
        |limit| {
            let begin = Instant::now();
            let rest = format!("--duration {limit} --format data");
            let (shown, code) = on_a_terminal(&server, &rest, &[("NO_COLOR", "1")]);
            let events = shown.lines().filter(|line| line.ends_with('x')).count();
            let drawings = shown.matches("/s  ").count();
            (code, events, drawings, begin.elapsed().as_secs_f64())
        },
        |(_, events, drawings, _)| *drawings >= 2 && *events > 100,
    );
    assert_eq!(code, Some(0));
    assert!(drawings >= 2 && events > 100, "{drawings} of {events}");
    assert!(drawings as f64 <= 4.0 * seconds + 1.0, "{drawings}");
}

#[test]
fn the_status_line_shows_the_wait_for_a_retry() {
    let server = Server::start();
    server.stop();
    let line = format!(
        "exec '{}' '{}' --retry-delay 1h --max-time 1m",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    // Jitter shortens the hour.
    let waiting = "  no connection, retrying in ";
    let (shown, code) = type_at(&line, waiting, |_| {}, b"\x03");
    assert_eq!(code, Some(0), "{shown:?}");
}

#[test]
fn the_status_line_is_never_mixed_into_output() {
    let folder = Folder::new("terminal");
    let file = folder.path("events");
    let server = serve(Reply::stream().event("x"));
    let to_file = format!("> '{}'", file.display());
    let (shown, _) = on_a_terminal(&server, &to_file, &[]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(shown.contains("0 events"), "{shown:?}");
    assert!(written.starts_with("{\"event\":"), "{written:?}");
    assert_eq!(written.lines().count(), 1, "{written:?}");

    // The reader of a pipe may write to this terminal.
    for rest in ["| cat", "2>/dev/null", "--quiet", "--no-progress-meter"] {
        let server = serve(Reply::stream().event("x"));
        let (shown, _) = on_a_terminal(&server, rest, &[]);
        assert!(shown.contains('x'), "{rest}: {shown:?}");
        assert!(!shown.contains("0 events"), "{rest}: {shown:?}");
    }
}

#[test]
fn ctrl_c_at_the_keyboard_ends_it_cleanly() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("41", "x").stall());
    let line = format!(
        "exec '{}' '{}'",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let (shown, code) = type_at(&line, "id 41", |_| {}, b"\x03");
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(
        shown.contains("stopped by Ctrl-C after 1 event; the last id is 41"),
        "{shown:?}"
    );
    assert!(
        !shown.rsplit('\n').next().unwrap().contains("/s"),
        "{shown:?}"
    );
}

/// Waits until the terminal, whose name was printed first, has echo turned off, which happens just
/// after the prompt.
fn no_echo(shown: &str) {
    let terminal = shown.lines().next().unwrap();
    let begin = Instant::now();
    loop {
        let mut stty = Command::new("stty");
        let settings = stty.args(["-F", terminal, "-a"]).output().unwrap().stdout;
        if String::from_utf8(settings).unwrap().contains(" -echo ") {
            return;
        }
        assert!(begin.elapsed() < common::PATIENCE, "what is typed is shown");
    }
}

/// The settings of the terminal after a shell command that asks for a password.
fn asked_and_after(interrupt: impl Fn(&str), typed: &[u8]) -> String {
    let line = format!(
        "tty; '{}' http://localhost/ -u me; echo code $?; stty -a",
        env!("CARGO_BIN_EXE_everstream"),
    );
    let ready = |shown: &str| {
        no_echo(shown);
        interrupt(shown);
    };
    let (shown, _) = type_at(&line, "password of me: ", ready, typed);
    shown
}

#[test]
fn an_interrupted_password_prompt_restores_the_terminal() {
    let kill = |shown: &str| {
        let terminal = shown.lines().next().unwrap().trim();
        let terminal = terminal.strip_prefix("/dev/").unwrap();
        let mut ps = Command::new("ps");
        let listed = ps.args(["-t", terminal, "-o", "pid=,comm="]).output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let process = listed.lines().find(|line| line.ends_with(" everstream"));
        let pid = process.unwrap().split_whitespace().next().unwrap();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    };
    for shown in [asked_and_after(|_| {}, b"\x03"), asked_and_after(kill, b"")] {
        assert!(shown.contains("code 0"), "{shown}");
        for setting in [" echo ", " icanon ", " isig "] {
            let settings = shown.split("code 0").nth(1).unwrap().replace('\n', " ");
            assert!(
                format!(" {settings} ").contains(setting),
                "{setting}: {shown}"
            );
        }
    }
}

#[test]
fn a_password_is_asked_for_without_echo() {
    let server = serve(Reply::stream().event("x"));
    let line = format!(
        "tty; exec '{}' '{}' -u me",
        env!("CARGO_BIN_EXE_everstream"),
        server.url("/")
    );
    let (shown, code) = type_at(&line, "password of me: ", no_echo, b"open sesame\n");
    assert_eq!(code, Some(4), "{shown:?}");
    assert!(!shown.contains("sesame"), "{shown:?}");
    let sent = server.requests()[0]
        .header("authorization")
        .map(str::to_owned);
    // me:open sesame
    assert_eq!(sent.as_deref(), Some("Basic bWU6b3BlbiBzZXNhbWU="));
}

/// The error of `-u me` without a terminal.
fn without_a_terminal(options: &[&str]) -> String {
    let mut command = Command::new("setsid");
    common::clean(&mut command);
    let everstream = env!("CARGO_BIN_EXE_everstream");
    let output = command
        .args(["--wait", everstream, "http://localhost/", "-u", "me"])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("these tests need the program setsid (Debian: util-linux)");
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

/// It used to be asked for first, and Ctrl-C was then ignored while a slow file was read.
#[test]
fn a_password_is_asked_for_after_everything_else_is_read() {
    for options in [["--cacert", "/nowhere"], ["--cert", "/nowhere"]] {
        let stderr = without_a_terminal(&options);
        assert!(stderr.contains("/nowhere can't be read"), "{stderr}");
    }
}

#[test]
fn a_missing_password_without_a_terminal_is_an_error() {
    let stderr = without_a_terminal(&[]);
    assert!(
        stderr.contains("can't ask for the password of -u"),
        "{stderr}"
    );
    assert!(stderr.contains("export EVERSTREAM_PASSWORD"), "{stderr}");
}

/// The status line would overwrite text without a newline, and messages would continue it.
#[test]
fn joined_text_has_no_status_line_and_ends_with_a_newline() {
    let server = Server::start();
    let pause = Duration::from_millis(600);
    server.enqueue(
        Reply::stream()
            .retry(100)
            .event("The sky")
            .pause(pause)
            .event(" is")
            .drop_connection(),
    );
    server.otherwise(Reply::stream().event(" blue.").event("[DONE]").stall());
    let (shown, code) = on_a_terminal(&server, "--join --until '[DONE]'", &[("NO_COLOR", "1")]);
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(
        shown.contains("\nThe sky is\neverstream: the server closed the connection mid-response; "),
        "{shown:?}"
    );
    assert!(
        shown.contains("\n blue.\neverstream: stopped by --until"),
        "{shown:?}"
    );
    assert!(!shown.contains(ERASE), "{shown:?}");
    // Neither does the shell prompt.
    let server = serve(Reply::stream().event("a").event("b"));
    let (shown, _) = on_a_terminal(&server, "--join --quiet; echo prompt", &[]);
    assert_eq!(shown, "ab\nprompt\n");
}

#[test]
fn a_report_has_colors_on_a_terminal_except_with_no_color() {
    let server = Server::start();
    server.otherwise(Reply::status(404));
    let command = env!("CARGO_BIN_EXE_everstream");
    let line = format!("'{command}' check '{}'", server.url("/"));
    for (environment, shown) in [
        (&[][..], "\x1b[1;31mFAIL\x1b[0m  status "),
        (&[("NO_COLOR", "1")], "\nFAIL  status "),
        (&[("TERM", "dumb")], "\nFAIL  status "),
    ] {
        let output = script(&line, environment).output().unwrap();
        assert_eq!(output.status.code(), Some(10));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(shown), "{text:?}");
    }
}

#[test]
fn check_shows_its_progress_and_erases_it() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .send("retry: 100\nid: 1\ndata: x\n\n")
            .stall(),
    );
    let command = env!("CARGO_BIN_EXE_everstream");
    let url = server.url("/");
    let line = format!("stty rows 24 cols 80; '{command}' check --duration 3s '{url}'");
    let output = start(&mut script(&line, &[("NO_COLOR", "1")]))
        .wait_with_output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let drawn: Vec<&str> = shown.split(ERASE).collect();
    let report = drawn.last().unwrap();
    assert!(report.starts_with("no problems"), "{shown}");
    for text in [
        "connecting",
        "reconnecting with gzip",
        "reconnecting after an event",
        "reconnecting after an unknown event",
    ] {
        assert!(drawn.contains(&text), "{text}: {shown:?}");
    }
    let watching = (0..3).any(|seconds| {
        let text = format!("watching for {seconds} of 3 s: 1 event, 0 comments (Ctrl-C ends it)");
        drawn.contains(&&*text)
    });
    assert!(watching, "{shown:?}");
    assert!(!shown.contains("everstream: "), "{shown}");
}

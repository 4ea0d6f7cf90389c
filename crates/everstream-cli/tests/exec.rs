//! A command for each event.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use everstream_testing::{Feed, Reply, Server};

use crate::common::{self, Folder, Running, in_time};

/// The events 1 to `count`, then nothing.
fn feed(count: usize) -> Server {
    let (server, feed) = (Server::start(), Feed::new());
    (1..=count).for_each(|n| _ = feed.push_event("job", format!("data {n}")));
    server.otherwise(Reply::stream().resume(&feed));
    server
}

fn run(server: &Server, options: &[&str]) -> (i32, Vec<String>, String) {
    let url = server.url("/");
    let mut follower = Running::follow([&*url].into_iter().chain(options.iter().copied()));
    let code = follower.wait().code().unwrap();
    (code, follower.out.all(), follower.err.all().join("\n"))
}

#[test]
fn a_command_gets_the_data_and_the_environment_and_no_shell() {
    let server = Server::start();
    let attack = "$(touch /tmp/owned); `id`";
    server.otherwise(
        Reply::stream()
            .send(format!("event: {attack}\nid: {attack}\ndata: {attack}\n\n"))
            .event("next")
            .stall(),
    );
    let script = r#"cat; echo "|$EVERSTREAM_EVENT|$EVERSTREAM_ID|$EVERSTREAM_LAST_EVENT_ID|$*""#;
    let options = [
        "--count", "2", "--exec", "sh", "-c", script, "sh", "--count", "-x",
    ];
    let (code, lines, stderr) = run(&server, &options);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        lines,
        [
            format!("{attack}|{attack}|{attack}|{attack}|--count -x"),
            format!("next|message||{attack}|--count -x"),
        ]
    );
}

#[test]
fn a_command_does_not_get_the_password() {
    let server = feed(1);
    let url = server.url("/");
    let args = [&*url, "-u", "me", "--count", "1", "--exec", "env"];
    let mut command = common::everstream(args);
    command.env("EVERSTREAM_PASSWORD", "secret");
    let mut follower = Running::start(command);
    assert_eq!(follower.wait().code(), Some(0));
    let environment = follower.out.all();
    assert!(environment.contains(&"EVERSTREAM_ID=1".to_owned()));
    assert!(!environment.iter().any(|line| line.contains("secret")));
}

#[test]
fn commands_run_in_order_one_at_a_time() {
    let server = feed(5);
    // The earlier a command starts, the longer it takes.
    let script = "sleep 0.$((6 - EVERSTREAM_ID)); cat; echo";
    let options = ["--count", "5", "--exec", "sh", "-c", script];
    let (code, lines, stderr) = run(&server, &options);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        lines,
        (1..=5).map(|n| format!("data {n}")).collect::<Vec<_>>()
    );
}

#[test]
fn exec_jobs_limits_concurrent_commands() {
    let (server, folder) = (feed(6), Folder::new("jobs"));
    // Each of three commands waits until all three are running; a fourth never runs with them.
    let script = format!(
        "cd '{}'; touch r$EVERSTREAM_ID; n=0; \
         until [ $(ls r* | wc -l) -ge 3 ] || [ -e seen ]; do sleep 0.01; n=$((n+1)); [ $n -lt 3000 ] || exit 7; done; \
         touch seen; ls r* | wc -l; sleep 0.05; rm r$EVERSTREAM_ID",
        folder.path("").display()
    );
    let options = [
        "--count",
        "6",
        "--exec-jobs",
        "3",
        "--exec",
        "sh",
        "-c",
        &script,
        ";",
    ];
    let (code, lines, stderr) = run(&server, &options);
    assert_eq!(code, 0, "{stderr}");
    let most = lines
        .iter()
        .filter_map(|line| line.trim().parse::<u32>().ok())
        .max();
    assert_eq!(most, Some(3), "{lines:?}");
    assert_eq!(lines.len(), 6);
}

#[test]
fn a_failed_command_is_reported_and_exits_with_9() {
    let script = "[ $EVERSTREAM_ID != 2 ]";
    let options = ["--count", "3", "--exec", "sh", "-c", script];
    let (code, _, stderr) = run(&feed(3), &options);
    assert_eq!(code, 9);
    assert!(
        stderr.contains("sh failed for the event with id 2: exit status: 1"),
        "{stderr}"
    );
    assert!(stderr.contains("1 of 3 events failed"), "{stderr}");
    // A program that can't be started, which only the system can tell.
    let folder = Folder::new("exec-start");
    let script = folder.file("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    let (code, _, stderr) = run(&feed(1), &["--count", "1", "--exec", script]);
    assert_eq!(code, 9);
    let expected = format!("{script} failed for the event with id 1: No such");
    assert!(stderr.contains(&expected), "{stderr}");
}

/// Each event failed, and was taken from the server.
#[test]
fn a_missing_program_is_an_error_before_the_first_request() {
    let server = feed(1);
    for (program, hint) in [
        ("/no/such/program", "check its path"),
        (
            "no-such-program",
            "install it, or give its path, such as ./handle",
        ),
        ("echo \"$X\"; cat", "there is no shell: --exec sh -c '...'"),
        ("./handle --fast", "there is no shell: --exec sh -c '...'"),
    ] {
        let (code, _, stderr) = run(&server, &["--count", "1", "--exec", program]);
        let expected = format!(
            "everstream: error: the program of --exec doesn't exist: {program}\n\
             everstream: hint: {hint}"
        );
        assert_eq!((code, stderr), (2, expected));
    }
    assert_eq!(server.request_count(), 0);
    // Follows the hint about the shell.
    let options = ["--count", "1", "--exec", "sh", "-c", "echo \"$X\"; cat"];
    let (code, lines, stderr) = run(&server, &options);
    assert_eq!((code, &*lines[1]), (0, "data 1"), "{stderr}");
}

#[test]
fn a_command_may_ignore_its_input() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x".repeat(1 << 20)).stall());
    let (code, _, stderr) = run(&server, &["--count", "1", "--exec", "true"]);
    assert_eq!(code, 0, "{stderr}");
}

#[cfg(feature = "jq")]
#[test]
fn the_results_of_jq_are_the_input() {
    let options = ["--count", "1", "--jq", "$id, .", "--exec", "cat"];
    let (_, lines, stderr) = run(&feed(1), &options);
    assert_eq!(lines, ["\"1\"", "\"data 1\""], "{stderr}");
}

#[test]
fn the_cursor_stays_before_an_event_whose_command_failed() {
    let (server, folder) = (feed(5), Folder::new("exec-cursor"));
    let cursor = folder.path("cursor");
    let options = [
        "--cursor",
        cursor.to_str().unwrap(),
        "--count",
        "5",
        "--exec-jobs",
        "4",
    ];
    let with = |rest: &[&'static str]| {
        let options: Vec<&str> = options
            .iter()
            .copied()
            .chain(rest.iter().copied())
            .collect();
        run(&server, &options)
    };
    // The third one fails last, after later ones have succeeded.
    let script = "if [ $EVERSTREAM_ID = 3 ]; then sleep 0.3; exit 1; fi";
    let (code, _, stderr) = with(&["--exec", "sh", "-c", script]);
    assert_eq!(code, 9);
    assert!(stderr.contains("the next run starts with it"), "{stderr}");
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "2\n");

    let rest = [
        "--exec-keep-going",
        "--count",
        "3",
        "--exec",
        "sh",
        "-c",
        script,
    ];
    let url = server.url("/");
    let args = [&*url, "--cursor", cursor.to_str().unwrap()];
    let (code, stderr) = Running::follow(args.into_iter().chain(rest)).end();
    assert_eq!(code, 9, "{stderr}");
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "5\n");
    assert_eq!(server.requests()[1].header("last-event-id"), Some("2"));
}

#[test]
fn a_signal_waits_for_the_running_command() {
    let (server, folder) = (feed(1), Folder::new("exec-signal"));
    let (cursor, go) = (folder.path("cursor"), folder.path("go"));
    let script = format!(
        "echo begun; until [ -e '{}' ]; do sleep 0.01; done; echo done",
        go.display()
    );
    let url = server.url("/");
    let args = [&*url, "--cursor", cursor.to_str().unwrap()];
    let mut follower = Running::follow(args.into_iter().chain(["--exec", "sh", "-c", &script]));
    follower.out.wait_for_text("begun");
    follower.signal("TERM");
    fs::write(go, "").unwrap();
    assert_eq!(follower.wait().code(), Some(0));
    assert_eq!(follower.out.all(), ["begun", "done"]);
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "1\n");
}

/// The same event failed on each start, so that the cursor never passed it.
#[test]
fn values_that_can_not_be_in_the_environment_are_skipped_and_the_cursor_moves() {
    let (server, folder) = (Server::start(), Folder::new("exec-environment"));
    let cursor = folder.path("cursor");
    let long = "x".repeat(200_000);
    let just = "y".repeat(32_000);
    server.otherwise(
        Reply::stream()
            .send("event: a\0b\nid: 1\ndata: nul\n\n")
            .send(format!("event: {long}\nid: 2\ndata: type\n\n"))
            .send(format!("id: {long}\ndata: id\n\n"))
            .send(format!("event: {just}\nid: 4\ndata: just\n\n"))
            .stall(),
    );
    // Nor a value set by an outer everstream.
    let script = r#"echo "$(cat) ${EVERSTREAM_EVENT+set} ${EVERSTREAM_ID+set} ${EVERSTREAM_LAST_EVENT_ID+set}""#;
    let url = server.url("/");
    let options = [
        "--cursor",
        cursor.to_str().unwrap(),
        "--count",
        "4",
        "--exec",
        "sh",
        "-c",
        script,
    ];
    let mut command = common::everstream([&*url].into_iter().chain(options));
    command
        .env("EVERSTREAM_EVENT", "outer")
        .env("EVERSTREAM_ID", "outer");
    let mut follower = Running::start(command);
    let code = follower.wait().code();
    let stderr = follower.err.all().join("\n");
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        follower.out.all(),
        [
            "nul  set set",
            "type  set set",
            "id set  ",
            "just set set set"
        ]
    );
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "4\n");
    for part in [
        "EVERSTREAM_EVENT isn't set for the event with id 1: it contains a NUL",
        "EVERSTREAM_EVENT isn't set for the event with id 2: it is longer than 32000 bytes",
        "... (200000 bytes): it is longer than 32000 bytes",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(stderr.len() < 3000, "{}", stderr.len());
}

#[test]
fn a_command_does_not_get_the_token() {
    let server = feed(1);
    let url = server.url("/");
    let args = [
        &*url,
        "--bearer-env",
        "TOKEN",
        "--count",
        "1",
        "--exec",
        "env",
    ];
    let mut command = common::everstream(args);
    command.env("TOKEN", "secret");
    let mut follower = Running::start(command);
    assert_eq!(follower.wait().code(), Some(0));
    let authorization = server.requests()[0]
        .header("authorization")
        .map(str::to_owned);
    assert_eq!(authorization.as_deref(), Some("Bearer secret"));
    let environment = follower.out.all();
    assert!(environment.contains(&"EVERSTREAM_ID=1".to_owned()));
    assert!(!environment.iter().any(|line| line.contains("secret")));
}

/// A child of the command held the pipe, and everstream waited for it to read.
#[test]
fn input_that_a_finished_command_did_not_read_does_not_block() {
    let (server, folder) = (Server::start(), Folder::new("exec-pipe"));
    server.otherwise(Reply::stream().event("x".repeat(1 << 20)).stall());
    // A shell redirects the input of background commands, unless it is given explicitly.
    let script = format!(
        "exec 3<&0; (while [ -d '{}' ]; do sleep 0.01; done) <&3 >&2 & exit 0",
        folder.path("").display()
    );
    let url = server.url("/");
    let args = [&*url, "--count", "1", "--exec", "sh", "-c", &script];
    let mut follower = Running::follow(args);
    assert_eq!(follower.wait().code(), Some(0));
}

const WAITS: &str = "waiting for running commands";

/// The time was checked only after the command had ended.
#[test]
fn duration_expires_while_a_command_runs() {
    let folder = Folder::new("exec-time");
    let (here, go) = (folder.path(""), folder.path("go"));
    let script = format!(
        "cd '{}'; until [ -e go ]; do sleep 0.01; [ -d \"$PWD\" ] || exit; done; echo done",
        here.display()
    );
    let server = feed(3);
    let url = server.url("/");
    let mut follower = in_time(
        |limit| {
            let args = [&*url, "--duration", limit, "--exec", "sh", "-c", &script];
            let follower = Running::follow(args);
            // Either it waits, or it was too slow to start a command.
            follower.err.wait_for_one_of(&[WAITS, "stopped by"]);
            follower
        },
        |follower| follower.err.has(WAITS),
    );
    follower.err.wait_for_text(WAITS);
    fs::write(go, "").unwrap();
    assert_eq!(follower.wait().code(), Some(0));
    assert_eq!(follower.out.all(), ["done"], "the others aren't begun");
    follower
        .err
        .wait_for_text("stopped by --duration after 1 event");
}

#[test]
fn a_stuck_command_is_killed_and_its_event_is_repeated() {
    let (server, folder) = (feed(2), Folder::new("exec-stuck"));
    let cursor = folder.path("cursor");
    let script = "echo $EVERSTREAM_ID; [ $EVERSTREAM_ID = 1 ] || exec sleep 100";
    let url = server.url("/");
    // Killed by a second signal, and by the time limit after the first.
    for impatient in [true, false] {
        _ = fs::remove_file(&cursor);
        let args = [
            &*url,
            "--cursor",
            cursor.to_str().unwrap(),
            "--exec",
            "sh",
            "-c",
            script,
        ];
        let mut follower = Running::follow(args);
        follower.out.wait_for(2);
        follower.signal("INT");
        follower.err.wait_for_text("waiting for running commands");
        if impatient {
            follower.signal("INT");
        }
        assert_eq!(follower.wait().code(), Some(9));
        // The pipe of the killed command is closed: it is gone.
        assert_eq!(follower.out.all(), ["1", "2"]);
        follower.err.wait_for_text("killed 1 running command");
        assert_eq!(fs::read_to_string(&cursor).unwrap(), "1\n");
    }
}

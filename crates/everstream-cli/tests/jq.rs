//! Hostile data can only affect a `--jq` program for its event.

use everstream_testing::{Reply, Server};

use crate::common::{self, Running};

/// Three events, the second of them with this data.
fn between(data: &str) -> Server {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event_with_id("1", "1")
            .event_with_id("2", data)
            .event_with_id("3", "3")
            .stall(),
    );
    server
}

/// The exit code, standard output and standard error.
fn run(server: &Server, options: &[&str]) -> (i32, Vec<String>, String) {
    let url = server.url("/");
    let mut follower = Running::follow([&*url].into_iter().chain(options.iter().copied()));
    let code = follower.wait().code().expect("ended by a signal");
    (code, follower.out.all(), follower.err.all().join("\n"))
}

/// A stack overflow, too little memory or a panic in jaq killed the command.
#[test]
fn a_jq_program_that_crashes_fails_for_that_event_only() {
    let deep = "[".repeat(100_000);
    let mut cases = vec![
        ("if type == \"string\" then fromjson else . end", &*deep),
        (
            "if . > 9 then \"x\" * . | length else . end",
            "900000000000000",
        ),
        (
            "reduce range(.) as $i (null; [.]) | tojson | length",
            "3000000",
        ),
        (
            "def down: if . > 0 then 1 + (. - 1 | down) else 0 end; down",
            "1000000000",
        ),
    ];
    if cfg!(debug_assertions) {
        // Its arithmetic overflows, which is checked only at run time.
        cases.push(("gmtime | length", "9223372036854775807"));
    }
    for (program, data) in cases {
        let server = between(data);
        let (code, lines, stderr) = run(&server, &["--count", "3", "--jq", program]);
        assert_eq!(code, 9, "{program}: {stderr}");
        assert_eq!(lines.len(), 2, "{program}: {lines:?}: {stderr}");
        let expected = "--jq failed for the event with id 2: its process crashed";
        assert!(stderr.contains(expected), "{program}: {stderr}");
        assert!(
            stderr.contains("1 of 3 events failed"),
            "{program}: {stderr}"
        );
    }
}

/// A crash would have another message.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_jq_process_is_reported_as_killed() {
    let server = between("2");
    let args = [
        "--count",
        "3",
        "--jq",
        "if . == 2 then ., last(repeat(1)) else . end",
    ];
    let url = server.url("/");
    let mut running = Running::follow([&*url].into_iter().chain(args));
    // The second event's first result: the process is about to look for the next one.
    running.out.wait_for(2);
    let children = format!("/proc/{0}/task/{0}/children", running.id());
    let child = std::fs::read_to_string(children).unwrap();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-9", child.trim()]).status().unwrap().success());
    assert_eq!(running.wait().code(), Some(9));
    let stderr = running.err.all().join("\n");
    assert!(
        stderr.contains("its process was killed (signal: 9"),
        "{stderr}"
    );
    assert!(!stderr.contains("recursed"), "{stderr}");
}

#[test]
fn a_huge_jq_result_fails_for_that_event_only() {
    let server = between("200000000");
    let (code, lines, stderr) = run(&server, &["--count", "3", "--jq", "\"x\" * ."]);
    assert_eq!(
        (code, lines),
        (9, vec!["\"x\"".into(), "\"xxx\"".into()]),
        "{stderr}"
    );
    assert!(stderr.contains("longer than 128 MiB"), "{stderr}");
    // An error shows the value.
    let server = between(&format!("\"{}\"", "y".repeat(100_000)));
    let (code, lines, stderr) = run(&server, &["--count", "3", "--jq", ". + 1"]);
    assert_eq!((code, lines), (9, vec!["2".into(), "4".into()]));
    assert!(
        stderr.len() < 2000 && stderr.contains("bytes)"),
        "{}",
        stderr.len()
    );
}

#[test]
fn the_cursor_passes_an_event_whose_jq_program_failed() {
    let folder = common::Folder::new("jq-cursor");
    let cursor = folder.path("cursor");
    let server = between("\"no number\"");
    let options = [
        "--count",
        "3",
        "--jq",
        ". + 1",
        "--cursor",
        cursor.to_str().unwrap(),
    ];
    let (code, _, stderr) = run(&server, &options);
    assert_eq!(code, 9, "{stderr}");
    assert_eq!(std::fs::read_to_string(&cursor).unwrap(), "3\n");
}

#[test]
fn no_command_runs_for_an_event_whose_jq_program_failed() {
    let server = between("\"no number\"");
    let options = ["--count", "3", "--jq", "., . + 1", "--exec", "cat"];
    let (code, lines, stderr) = run(&server, &options);
    assert_eq!(
        (code, lines),
        (9, ["1", "2", "3", "4"].map(String::from).to_vec()),
        "{stderr}"
    );
}

#[test]
fn halt_ends_the_program_for_its_event_and_not_the_command() {
    let server = between("\"stop\"");
    let program = "if . == \"stop\" then ., halt else . end, \"end\"";
    let (code, lines, stderr) = run(
        &server,
        &["--count", "3", "--jq", program, "--format", "data"],
    );
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(lines, ["1", "end", "stop", "3", "end"]);
    let program = "if . == \"stop\" then halt_error else . end";
    let (code, lines, stderr) = run(&server, &["--count", "3", "--jq", program]);
    assert_eq!((code, lines.len()), (9, 2), "{stderr}");
    assert!(stderr.contains("id 2: stop"), "{stderr}");
}

/// The time was checked only between events.
#[test]
fn duration_ends_an_endless_jq_program() {
    let server = between("2");
    for program in ["def f: f; f", "repeat(.) | select(. > 9)"] {
        let (code, lines, stderr) = run(&server, &["--duration", "300ms", "--jq", program]);
        assert_eq!((code, lines.len()), (0, 0), "{stderr}");
        assert!(stderr.contains("stopped by --duration"), "{stderr}");
    }
}

/// Bug: the last message suggested to resume after the event whose program was interrupted.
#[test]
fn an_interrupted_jq_program_leaves_no_id_to_resume_after() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("7", "2").stall());
    let args = ["--duration", "300ms", "--jq", "def f: f; f"];
    let (code, _, stderr) = run(&server, &args);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.ends_with("stopped by --duration after 0 events\n")
            || stderr.ends_with("stopped by --duration after 0 events"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_jq_process_always_ends_with_the_command() {
    let server = between("2");
    let url = server.url("/");
    for signal in ["KILL", "INT"] {
        let mut follower = Running::follow([&*url, "--jq", "., (def f: f; f)"]);
        follower.out.wait_for(1);
        let children = format!("/proc/{0}/task/{0}/children", follower.id());
        let worker = std::fs::read_to_string(children).unwrap();
        let worker = format!("/proc/{}/stat", worker.trim());
        assert!(std::path::Path::new(&worker).exists(), "{worker}");
        follower.signal(signal);
        follower.wait();
        let begin = std::time::Instant::now();
        // A zombie has ended; its new parent may be slow to collect it.
        while std::fs::read_to_string(&worker).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(
                begin.elapsed() < common::PATIENCE,
                "{signal}: it still runs"
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

#[test]
fn join_writes_jq_results_as_text() {
    let server = Server::start();
    let stream = Reply::stream()
        .event(r#"{"text": "The sky"}"#)
        .event(r#"{"text": " is\nblue."}"#)
        .event(r#"{"n": 1}"#)
        .event("[DONE]");
    server.otherwise(stream.stall());
    for options in [&["-j"][..], &["--join-output"], &["--join"]] {
        let rest = ["--until", "[DONE]", "--jq", ".text // .n", "--quiet"];
        let output = common::everstream(
            [&*server.url("/")]
                .into_iter()
                .chain(rest)
                .chain(options.iter().copied()),
        )
        .output()
        .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "The sky is\nblue.1"
        );
        assert!(output.stderr.is_empty());
    }
    let stream = Reply::stream().event("a").event("b").event("[DONE]");
    server.otherwise(stream.stall());
    let output = common::everstream([&*server.url("/"), "--until", "[DONE]", "--join"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"ab", "without a program too");
}

#[test]
fn a_program_that_fails_for_done_has_a_hint_once() {
    let server = Server::start();
    let stream = Reply::stream().event(r#"{"a": 1}"#).event("[DONE]");
    server.otherwise(stream.event("[DONE]").event("x").stall());
    let (code, lines, stderr) = run(&server, &["--jq", ".a", "--count", "4"]);
    assert_eq!((code, lines), (9, vec!["1".to_owned()]), "{stderr}");
    let hint = "everstream: hint: this API ends with [DONE]: add --until '[DONE]'";
    assert_eq!(stderr.matches(hint).count(), 1, "{stderr}");
    // Follows the hint.
    let (code, lines, stderr) = run(&server, &["--jq", ".a", "--until", "[DONE]"]);
    assert_eq!((code, lines), (0, vec!["1".to_owned()]), "{stderr}");
    assert!(!stderr.contains("hint"), "{stderr}");
    // Other data isn't the end of an API, and another end may be expected.
    let server = between("x");
    let (_, _, stderr) = run(&server, &["--jq", ".a", "--count", "3"]);
    assert!(!stderr.contains("[DONE]"), "{stderr}");
}

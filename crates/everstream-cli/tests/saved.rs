//! Saved bodies: `everstream -`, `everstream FILE`.

use std::io::Write;
use std::process::Stdio;

use everstream_testing::{Reply, Server};

use crate::common::{Folder, Running, everstream};

const BODY: &str =
    ": hi\n:)\nevent: price\nid: 1\ndata: {\"n\": 1}\n\ndata:\n\nid: 2\ndata: {\"n\": 2}\n\n";

/// Exit code, standard output and standard error of a command with this on standard input.
fn piped(body: &str, options: &[&str]) -> (i32, String, String) {
    let mut child = everstream(["-"].into_iter().chain(options.iter().copied()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    _ = child.stdin.take().unwrap().write_all(body.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn read(file: &str, options: &[&str]) -> (i32, String, String) {
    let output = everstream([file].into_iter().chain(options.iter().copied()))
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Selection and output don't depend on a server.
#[test]
fn a_saved_body_is_read_like_a_stream() {
    let folder = Folder::new("saved");
    let file = folder.file("body", BODY);
    let file = file.to_str().unwrap();
    let server = Server::start();
    server.otherwise(Reply::stream().send(BODY).end());
    for options in [
        &["--format", "data"][..],
        &["--format", "raw"],
        &["--format", "raw", "--comments"],
        &["--join-output"],
        &["--event", "price", "--format", "data"],
        &["--grep", "2", "--format", "data"],
        &["--jq", ".n"],
        &["--jq", "{n, $id}"],
        &["--count", "1", "--format", "data"],
        &["--until", r#"{"n": 2}"#, "--format", "data"],
        &["--until-type", "price", "--format", "data"],
        &[
            "--until-type",
            "price",
            "--until-exclusive",
            "--format",
            "data",
        ],
        &["--exec", "cat"],
    ] {
        if options[0] == "--jq" && cfg!(not(feature = "jq")) {
            continue;
        }
        let url = server.url("/");
        let args = [&["--no-reconnect"], options].concat();
        let (code, expected, stderr) = read(&url, &args);
        assert_eq!(code, 0, "{options:?}: {stderr}");
        assert_eq!(piped(BODY, options).1, expected, "{options:?}");
        let url = format!("file://{file}");
        for name in [file, &url] {
            let (code, written, stderr) = read(name, options);
            assert_eq!((code, &*written), (0, &*expected), "{options:?}: {stderr}");
            assert!(stderr.contains(&format!("reading {name}\n")), "{stderr}");
            assert!(!stderr.contains("--last-event-id"), "{stderr}");
        }
    }
    assert_eq!(piped(BODY, &[]).0, 0);
    assert_eq!(
        read(file, &["--format", "raw", "--comments"]).1.as_bytes()[..8],
        *b": hi\n:)\n"
    );
}

#[test]
fn reading_and_output_options_apply_to_a_saved_body() {
    let folder = Folder::new("saved_options");
    let file = folder.file("body", "data: abcdefgh\n\n");
    let file = file.to_str().unwrap();
    let (code, _, stderr) = read(file, &["--max-event-size", "5"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("to accept larger events, raise --max-event-size"),
        "{stderr}"
    );
    // Nothing proves that the body is complete.
    let unfinished = piped("data: a\n", &["--dispatch-unfinished"]);
    assert_eq!((unfinished.0, &*unfinished.1), (0, ""));
    // There are no headers to include.
    let data = ["-i", "--format", "data"];
    let options = [&data[..], &["--max-event-size", "1k"]].concat();
    assert_eq!(read(file, &options).1, "abcdefgh\n");
    assert_eq!(
        read("--url", &[&[file], &data[..]].concat()).1,
        "abcdefgh\n"
    );
    let out = folder.path("out");
    let (code, written, stderr) = read(file, &["-o", out.to_str().unwrap(), "--format", "data"]);
    assert_eq!((code, &*written), (0, ""), "{stderr}");
    assert_eq!(std::fs::read_to_string(out).unwrap(), "abcdefgh\n");
}

#[test]
fn a_saved_body_that_ends_early_exits_with_8() {
    let (code, written, stderr) = piped(
        "data: a\n\ndata: b\n",
        &["--until", "b", "--format", "data"],
    );
    assert_eq!((code, &*written), (8, "a\n"), "{stderr}");
    assert!(
        stderr.contains("discarded an unfinished event of 8 bytes"),
        "{stderr}"
    );
    let error = "error: standard input ended before --until 'b' matched\n";
    assert!(stderr.contains(error), "{stderr}");
    // There is no server, and nothing reconnects.
    assert!(!stderr.contains("hint"), "{stderr}");
    let (code, _, stderr) = piped("data: a\n\n", &["--count", "2"]);
    assert_eq!(code, 8, "{stderr}");
    assert!(
        stderr.contains("standard input ended after 1 of 2 events\n"),
        "{stderr}"
    );
    assert!(!stderr.contains("hint"), "{stderr}");
}

#[test]
fn an_unreadable_file_is_named_in_the_error() {
    let folder = Folder::new("saved-not");
    let missing = format!("file://{}", folder.path("a").display());
    let (code, _, stderr) = read(&missing, &[]);
    assert_eq!(code, 2);
    let error = format!("error: {missing} can't be read: No such file");
    assert!(
        missing.starts_with("file:///") && stderr.contains(&error),
        "{stderr}"
    );
    let directory = folder.path("");
    let (code, _, stderr) = read(directory.to_str().unwrap(), &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("is a directory\n"), "{stderr}");
    let (code, _, stderr) = read("file://example.com/a", &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("isn't a file on this machine"), "{stderr}");
    // Subcommands that follow a server say so.
    let (code, stderr) = Running::follow(["record", "file:///tmp/a", "-"]).end();
    assert_eq!(code, 2);
    assert!(stderr.contains("\"file:///tmp/a\""), "{stderr}");
    let cursor = folder.path("cursor");
    let cursor = cursor.to_str().unwrap();
    let (code, _, stderr) = piped(BODY, &["--cursor", cursor]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--cursor needs a URL"), "{stderr}");
}

/// A silent terminal or pipe doesn't delay the exit.
#[cfg(unix)]
#[test]
fn a_silent_input_can_be_interrupted() {
    let mut command = everstream(["-", "--format", "data"]);
    command.stdin(Stdio::piped());
    let mut reader = Running::start(command);
    let mut input = reader.stdin();
    input.write_all(b"data: a\n\n").unwrap();
    assert_eq!(reader.out.wait_for(1), ["a"], "written at once");
    reader.signal("INT");
    assert_eq!(reader.wait().code(), Some(0));
    // Not killed after the grace period, which leaves no message.
    assert!(reader.err.all().join("\n").contains("stopped by Ctrl-C"));
    drop(input);
}

/// An existing file with the name of a host is read; a URL is never a file.
#[cfg(unix)]
#[test]
fn an_existing_file_without_a_scheme_is_read() {
    let folder = Folder::new("saved-names");
    let port_file = "localhost:1";
    folder.file(port_file, "data: from the file\n\n");
    let mut command = everstream([port_file, "--format", "data"]);
    let output = command.current_dir(folder.path("")).output().unwrap();
    assert_eq!(output.stdout, b"from the file\n");
    std::fs::create_dir_all(folder.path("http:")).unwrap();
    std::fs::write(folder.path("http:/a.invalid"), "data: x\n\n").unwrap();
    let mut command = everstream(["http://a.invalid", "-x", "", "--max-attempts", "1"]);
    let output = command.current_dir(folder.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let help = everstream(["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        help.contains("Or a saved response body: - for standard input, file://..., or the name of an existing file"),
        "{help}"
    );
}

#[test]
fn a_recording_as_input_has_a_hint() {
    let folder = Folder::new("saved-recording");
    let file = folder.path("a.rec");
    let file = file.to_str().unwrap();
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "x").stall());
    let url = server.url("/");
    assert_eq!(
        Running::follow(["record", &url, file, "--count", "1"])
            .end()
            .0,
        0
    );
    let (_, _, stderr) = read(file, &[]);
    let hint =
        format!("hint: this is a recording: everstream replay {file} serves it as a stream\n");
    assert!(stderr.contains(&hint), "{stderr}");
    let replay = Running::follow(["replay", file]);
    let url = replay.out.wait_for(1).remove(0);
    let (code, written, stderr) = read(&url, &["--count", "1", "--format", "data"]);
    assert_eq!((code, &*written), (0, "x\n"), "{stderr}");
}

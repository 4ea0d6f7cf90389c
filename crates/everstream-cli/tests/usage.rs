//! The first screen, the help and its examples, and usage errors.

use std::os::unix::fs::PermissionsExt;

use everstream_testing::{Reply, Server};

use crate::common::{Folder, Running, clean, everstream};

fn help() -> String {
    let output = everstream(["--help"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A line that ends with a backslash continues on the next.
fn examples() -> Vec<String> {
    let help = help();
    let lines = help
        .strip_prefix("Examples:\n")
        .expect("it begins with them");
    let (lines, _) = lines.split_once("\n\n").unwrap();
    let lines = lines.replace("\\\n", " ");
    lines.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn help_starts_with_four_examples_that_work() {
    let server = Server::start();
    server.otherwise_with(|request| match request.path() {
        "/feed" => Reply::stream()
            .send("event: price\nid: 1\ndata: {\"price\": 7.50}\n\nid: 2\ndata: x\n\n")
            .stall(),
        "/v1/chat" if request.body == br#"{"stream": true}"# => Reply::stream()
            .event(r#"{"choices": [{"delta": {"role": "assistant", "content": null}}]}"#)
            .event(r#"{"choices": [{"delta": {"content": "Hello"}}]}"#)
            .event("[DONE]")
            .end(),
        _ => Reply::status(404),
    });
    let folder = Folder::new("examples");
    folder.file("prompt.json", r#"{"stream": true}"#);
    folder.file("saved", "data: no price\n\nevent: price\ndata: saved\n\n");
    let handle = folder.file("handle", "#!/bin/sh\ncat >> handled\necho >> handled\n");
    std::fs::set_permissions(handle, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_everstream"));
    let path = path.parent().unwrap().display();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let run = |line: &str| {
        let line = line.replace("https://example.com/", &server.url("/"));
        let mut shell = std::process::Command::new("sh");
        clean(&mut shell);
        shell
            .args(["-c", &line])
            .env("PATH", &path)
            .current_dir(folder.path(""));
        let output = shell.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let examples = examples();
    assert_eq!(examples.len(), 4, "{examples:#?}");
    // Examples that follow a feed don't end by themselves.
    if cfg!(feature = "jq") {
        assert_eq!(run(&format!("{} --count 1", examples[0])), "7.50\n");
        assert_eq!(run(&examples[2]), "Hello");
    }
    assert!(examples[1].ends_with("--exec ./handle"));
    let counted = examples[1].replace("--exec", "--count 2 --exec");
    run(&counted);
    let handled = std::fs::read_to_string(folder.path("handled")).unwrap();
    assert_eq!(handled, "{\"price\": 7.50}\nx\n");
    assert_eq!(
        std::fs::read_to_string(folder.path("feed.cursor")).unwrap(),
        "2\n"
    );
    // Only the saved output of curl is needed here.
    let (_, reader) = examples[3].split_once("; ").unwrap();
    let written = run(reader);
    assert!(written.contains(r#""data":"saved""#), "{written}");
    assert_eq!(written.lines().count(), 1, "{written}");
}

#[test]
fn without_arguments_it_prints_one_screen() {
    let output = everstream([]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let screen = String::from_utf8(output.stderr).unwrap();
    assert!(screen.lines().count() <= 24, "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    for text in [
        "Usage: everstream",
        "Examples:",
        "check URL",
        "help exit-codes",
        "--help",
    ] {
        assert!(screen.contains(text), "{text}: {screen}");
    }
}

#[test]
fn help_exit_codes_lists_the_exit_codes() {
    let output = everstream(["help", "exit-codes"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let page = String::from_utf8(output.stdout).unwrap();
    for code in 0..=11 {
        assert!(page.contains(&format!("\n {code:>2}  ")), "{code}: {page}");
    }
    let help = help();
    assert!(!help.contains("\n  9  "), "{help}");
    assert!(help.contains("everstream help exit-codes"), "{help}");
    // Other topics are left to clap.
    let output = everstream(["help", "check"]).output().unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("Usage: everstream check")
    );
}

/// The error and the hint of an invalid command line.
fn refused(args: &[&str]) -> String {
    let (code, stderr) = Running::follow(args.iter().copied()).end();
    assert_eq!(code, 2, "{stderr}");
    stderr
}

#[test]
fn the_help_of_a_subcommand_begins_with_its_own_options() {
    for (subcommand, headings) in [
        ("check", &["Examining:", "Output:"][..]),
        ("record", &["Recording:"]),
        ("relay", &["Relay:"]),
    ] {
        let output = everstream([subcommand, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let all: Vec<&str> = help.lines().filter(|line| line.ends_with(':')).collect();
        let all: Vec<&str> = all.into_iter().filter(|it| !it.starts_with(' ')).collect();
        let expected = ["Arguments:", "Options:"].iter().chain(headings);
        let expected: Vec<&str> = expected.copied().collect();
        assert_eq!(all[..expected.len()], expected, "{subcommand}: {all:?}");
        assert_eq!(all[expected.len()], "Request (options as in curl):");
    }
}

#[test]
fn the_help_of_relay_lists_the_engines_of_this_build_and_how_to_get_the_others() {
    let output = everstream(["relay", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    // Lines are wrapped.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, engines) = help.split_once("Engines of this build: ").unwrap();
    let (engines, _) = engines.split_once("Usage:").unwrap();
    let (built, missing) = engines.split_once('.').unwrap();
    for (name, feature, is_built) in [
        (
            "PostgreSQL",
            "relay-postgres",
            cfg!(feature = "relay-postgres"),
        ),
        ("Redis", "relay-redis", cfg!(feature = "relay-redis")),
        ("NATS", "relay-nats", cfg!(feature = "relay-nats")),
    ] {
        assert_eq!(built.contains(name), is_built, "{engines}");
        assert_eq!(missing.contains(name), !is_built, "{engines}");
        assert_eq!(missing.contains(feature), !is_built, "{engines}");
    }
}

/// Whether clap found it or the command itself.
#[test]
fn every_usage_error_is_one_line_with_one_hint() {
    let a = "http://localhost:1/";
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &[a, "--cuont", "1"],
            "unexpected argument '--cuont' found",
            "did you mean --count?",
        ),
        (
            &[a, "--nosuch"],
            "unexpected argument '--nosuch' found",
            "everstream --help lists its arguments and options",
        ),
        (
            &["record", a, "f", "--nosuch"],
            "unexpected argument '--nosuch' found",
            "everstream record --help lists its arguments and options",
        ),
        (
            &["serve", "--lisen", "1"],
            "unexpected argument '--lisen' found",
            "did you mean --listen?",
        ),
        (
            &[a, "--aws-sigv4", "x"],
            "curl's option --aws-sigv4 isn't supported",
            "sign the request with another tool; use -H @FILE",
        ),
        (
            &[a, "--count", "0"],
            "invalid value '0' for '--count <N>': 0 is less than 1",
            "everstream --help lists",
        ),
        (
            &[a, "--count", "x"],
            "invalid value 'x' for '--count <N>': it isn't a whole number",
            "everstream --help lists",
        ),
        (
            &[a, "--max-attempts", "0"],
            "invalid value '0' for '--max-attempts <N>': 0 is less than 1",
            "everstream --help lists",
        ),
        (
            &[a, "-m", "1x"],
            "invalid value '1x' for '--max-time <TIME>': \"x\" isn't one of the units ms, s, m, h, d",
            "everstream --help lists",
        ),
        (
            &[a, "--format", "jsn"],
            "invalid value 'jsn' for '--format <FORM>'",
            "the values are pretty, json, data, raw; did you mean json?",
        ),
        (
            &[a, "--proto-default", "gopher"],
            "invalid value 'gopher' for '--proto-default <SCHEME>'",
            "the values are http, https",
        ),
        (
            &[a, "--count"],
            "a value is required for '--count <N>' but none was supplied",
            "everstream --help lists",
        ),
        (
            &[a, "-u", "a:b", "--bearer-env", "X"],
            "the argument '--user <USER:PASSWORD>' cannot be used with '--bearer-env <VARIABLE>'",
            "everstream --help lists",
        ),
        (
            &["record"],
            "missing arguments: URL, FILE",
            "everstream record --help lists",
        ),
        (
            &["check"],
            "missing argument: URL",
            "everstream check --help lists",
        ),
        (
            &["demo", "--events", "0"],
            "invalid value '0' for '--events <N>': 0 is not in 1..=1000000",
            "everstream demo --help lists",
        ),
        (
            &["help", "chek"],
            "unknown command chek",
            "did you mean check?",
        ),
        (
            &["help", "nosuch"],
            "unknown command nosuch",
            "everstream --help lists the commands",
        ),
        (&["chek"], "unknown command chek", "did you mean check?"),
        (
            &["ftp://a/"],
            "invalid URL \"ftp://a/\": the scheme ftp isn't http or https",
            "a URL begins with http:// or https://",
        ),
        (
            &[a, "--", "-x"],
            "an argument too many (not shown: it may be a part of a header)",
            "write headers in quotes: -H 'NAME: VALUE'",
        ),
        (
            &[a, "stray"],
            "an argument too many (not shown: it may be a part of a header)",
            "write headers in quotes: -H 'NAME: VALUE'",
        ),
    ];
    for (args, error, hint) in cases {
        let output = everstream(args.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        let [first, second] = lines[..] else {
            panic!("{args:?}: {told}");
        };
        assert_eq!(first, format!("everstream: error: {error}"), "{args:?}");
        let expected = format!("everstream: hint: {hint}");
        assert!(second.starts_with(&expected), "{args:?}: {told}");
    }
}

/// An argument with control characters doesn't reach the terminal.
#[test]
fn a_usage_error_is_safe_to_print() {
    let stderr = refused(&["http://localhost:1/", "--\x1b[31m\n\nx"]);
    assert!(!stderr.contains('\x1b'), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 2, "{stderr:?}");
}

#[test]
fn a_misspelled_command_has_a_suggestion() {
    for (word, command) in [
        ("chek", "check"),
        ("chekc", "check"),
        ("recrod", "record"),
        ("servre", "serve"),
        ("tpo", "top"),
        ("folow", "follow"),
    ] {
        for args in [
            &[word][..],
            &[word, "http://localhost/"],
            &[word, "--quiet"],
        ] {
            let stderr = refused(args);
            let expected = format!(
                "everstream: error: unknown command {word}\neverstream: hint: did you mean {command}?"
            );
            assert_eq!(stderr, expected);
        }
        // Follows the hint.
        let output = everstream([command, "--help"]).output().unwrap();
        assert!(output.status.success());
    }
}

#[test]
fn an_unknown_word_is_not_called_a_bad_url() {
    let stderr = refused(&["nosuchcommand"]);
    assert!(
        stderr.contains("error: nosuchcommand isn't a command, a file or a URL\n"),
        "{stderr}"
    );
    assert!(!stderr.contains("did you mean"), "{stderr}");
    assert!(stderr.contains("such as http://nosuchcommand/"), "{stderr}");
    assert!(!stderr.contains("jq-worker"), "{stderr}");
}

#[test]
fn two_urls_are_refused_with_a_hint() {
    let (a, b) = ("http://localhost:1/a", "http://localhost:1/b?token=secret");
    for args in [
        &[a, b][..],
        &[a, a],
        &["-s", a, b],
        &["follow", a, b],
        &[a, "--count", "1", b],
    ] {
        let stderr = refused(args);
        assert!(
            stderr.contains("error: more than one URL: everstream follows one"),
            "{args:?}: {stderr}"
        );
        assert!(
            stderr.contains("hint: to watch several streams: everstream top URL1 URL2"),
            "{args:?}: {stderr}"
        );
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    // The value of an unquoted header isn't called a URL, nor shown.
    let stderr = refused(&[a, "-H", "Origin:", "http://secret"]);
    assert!(
        !stderr.contains("more than one URL") && !stderr.contains("secret"),
        "{stderr}"
    );
}

/// `--exec` took the URL as an argument of its command.
#[test]
fn a_url_after_exec_has_a_hint() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let url = server.url("/");
    let expected = "everstream: error: the URL is missing\neverstream: hint: --exec takes \
                    everything up to ';': write the URL before --exec, or end the command with ';'";
    for args in [
        &["--exec", "cat", &url][..],
        &["follow", "--count", "1", "--exec", "cat", &url],
    ] {
        assert_eq!(refused(args), expected, "{args:?}");
    }
    // Follows the hint, in both ways.
    for args in [
        ["--count", "1", &url, "--exec", "cat"],
        ["--count=1", "--exec", "cat", ";", &url],
    ] {
        let output = everstream(args).output().unwrap();
        assert_eq!(output.stdout, b"x", "{args:?}: {output:?}");
    }
    // The URL isn't what is missing, or --exec didn't take it.
    for args in [
        &["--exec", "cat", ";"][..],
        &["--exec=cat"],
        &["--exec-jobs", "2", &url],
        &["--quiet"],
    ] {
        let stderr = refused(args);
        assert!(!stderr.contains("takes everything"), "{args:?}: {stderr}");
    }
}

#[cfg(feature = "jq")]
#[test]
fn raw_output_of_jq_has_a_hint() {
    let server = Server::start();
    server.otherwise(Reply::stream().event(r#"{"a": "x"}"#).stall());
    let url = server.url("/");
    for option in ["-r", "--raw-output", "-sr"] {
        let stderr = refused(&[&url, "--jq", ".a", option]);
        assert!(
            stderr.ends_with("hint: jq's -r is --format data"),
            "{option}: {stderr}"
        );
    }
    let args = [&url, "--jq", ".a", "--count", "1", "--format", "data"];
    assert_eq!(everstream(args).output().unwrap().stdout, b"x\n");
    // Otherwise it is curl's.
    let stderr = refused(&[&url, "-r", "0-1"]);
    assert!(stderr.contains("use --last-event-id ID"), "{stderr}");
}

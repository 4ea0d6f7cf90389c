//! What each attempt reads again: tokens, header files, the id in the query.

use std::process::Command;

use everstream_testing::{Reply, Server};

use crate::common::{Folder, Running, everstream};
use crate::request::refused;

/// A program that prints "token-1", "token-2" and so on, and the folder with its counter.
fn tokens(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    let count = folder.file("count", "");
    let count = count.display();
    let script = format!("printf x >> '{count}'; echo token-$(wc -c < '{count}' | tr -d ' ')");
    (folder, script)
}

fn authorizations(server: &Server) -> Vec<String> {
    let value = |request: &everstream_testing::Request| {
        request.header("authorization").unwrap_or("-").to_owned()
    };
    server.requests().iter().map(value).collect()
}

fn breaks() -> Reply {
    Reply::stream().retry(1).event("x").drop_connection()
}

#[test]
fn bearer_command_runs_for_every_attempt() {
    let server = Server::start();
    server.enqueue(breaks()).enqueue(breaks());
    server.otherwise(Reply::status(204));
    let (_folder, script) = tokens("token-attempt");
    let url = server.url("/");
    let args = ["--bearer-command", "sh", "-c", &script, ";", &*url];
    assert_eq!(Running::follow(args).end().0, 4);
    let expected = ["Bearer token-1", "Bearer token-2", "Bearer token-3"];
    assert_eq!(authorizations(&server), expected);
}

#[test]
fn a_rejected_token_is_refreshed_once() {
    for method in ["GET", "POST"] {
        let server = Server::start();
        server
            .enqueue(Reply::status(401))
            .enqueue(Reply::status(204));
        server.otherwise(Reply::status(401));
        let (_folder, script) = tokens("token-refused");
        let url = server.url("/");
        let args = [&*url, "-X", method, "--bearer-command", "sh", "-c", &script];
        assert_eq!(Running::follow(args).end().0, 4, "{method}");
        assert_eq!(
            authorizations(&server),
            ["Bearer token-1", "Bearer token-2"]
        );
        // The second token is rejected too.
        let (code, stderr) = Running::follow(args).end();
        assert_eq!(code, 6, "{method}: {stderr}");
        assert_eq!(server.request_count(), 4, "{method}");
    }
    // After a connection it is allowed again.
    let server = Server::start();
    for reply in [
        Reply::status(401),
        breaks(),
        Reply::status(401),
        Reply::status(204),
    ] {
        server.enqueue(reply);
    }
    let (_folder, script) = tokens("token-later");
    let url = server.url("/");
    let args = [&*url, "--bearer-command", "sh", "-c", &script];
    assert_eq!(Running::follow(args).end().0, 4);
    assert_eq!(server.request_count(), 4);
}

#[test]
fn record_refreshes_a_rejected_token() {
    let server = Server::start();
    server
        .enqueue(Reply::status(401))
        .enqueue(Reply::status(204));
    let (folder, script) = tokens("token-record");
    let (url, file) = (server.url("/"), folder.path("a.rec"));
    let token = ["--bearer-command", "sh", "-c", &script];
    let args = ["record", &*url, file.to_str().unwrap()];
    assert_eq!(Running::follow(args.into_iter().chain(token)).end().0, 4);
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_failing_bearer_command_is_fatal_at_first_and_retried_later() {
    for (command, expected) in [
        (&["/no/such/program"][..], "can't be run"),
        (
            &["sh", "-c", "echo no login >&2; exit 3"],
            "exit status: 3: no login",
        ),
        (&["true"], "wrote no token"),
        (&["printf", "secret\nsecret"], "wrote more than one line"),
    ] {
        let args = ["http://localhost:1/", "--bearer-command"];
        let (code, stderr) = Running::follow(args.into_iter().chain(command.iter().copied())).end();
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("--bearer-command failed: "), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    let server = Server::start();
    server.enqueue(breaks());
    server.otherwise(Reply::status(204));
    let folder = Folder::new("token-fails");
    let count = folder.file("count", "");
    // The second run fails.
    let script = format!(
        "printf x >> '{0}'; [ $(wc -c < '{0}') != 2 ] && echo t",
        count.display()
    );
    let url = server.url("/");
    let args = [
        &*url,
        "--retry-delay",
        "10ms",
        "--bearer-command",
        "sh",
        "-c",
        &script,
    ];
    let (code, stderr) = Running::follow(args).end();
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("--bearer-command failed"), "{stderr}");
    assert_eq!(server.request_count(), 2);
}

#[test]
fn header_files_are_read_again_for_each_attempt() {
    let folder = Folder::new("headers-again");
    let file = folder.file("headers", "X-Key: 1\nAuthorization: Bearer one\n");
    let server = Server::start();
    let changed = file.clone();
    server.otherwise_with(move |request| match request.header("x-key") {
        Some("1") => {
            std::fs::write(&changed, "X-Key: 2\n").unwrap();
            breaks()
        }
        Some("2") => {
            std::fs::remove_file(&changed).unwrap();
            breaks()
        }
        _ => Reply::status(204),
    });
    let url = server.url("/");
    let option = format!("@{}", file.display());
    let mut args = vec![
        &*url,
        "-H",
        &option,
        "-H",
        "X-Own: 1",
        "--retry-delay",
        "10ms",
    ];
    args.extend(["--max-attempts", "2"]);
    let (code, stderr) = Running::follow(args).end();
    // The file is missing: that is retried too.
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("can't be read"), "{stderr}");
    let requests = server.requests();
    let keys: Vec<_> = requests.iter().map(|it| it.header("x-key")).collect();
    assert_eq!(keys, [Some("1"), Some("2")]);
    assert_eq!(authorizations(&server), ["Bearer one", "-"]);
    assert!(requests.iter().all(|it| it.header("x-own") == Some("1")));
}

#[test]
fn headers_from_a_file_are_not_sent_to_another_origin() {
    let (other, server) = (Server::start(), Server::start());
    other.otherwise(Reply::status(204));
    server.otherwise(Reply::redirect(307, other.url("/")));
    let folder = Folder::new("headers-origin");
    let file = folder.file("headers", "X-Key: secret\n");
    let args = [&*server.url("/"), "-H", &format!("@{}", file.display())];
    assert_eq!(Running::follow(args).end().0, 4);
    assert_eq!(server.requests()[0].header("x-key"), Some("secret"));
    assert_eq!(other.requests()[0].header("x-key"), None);
}

#[test]
fn only_one_source_of_a_token_is_accepted() {
    let pairs = [
        ["--oauth2-bearer", "t", "--bearer-env", "PATH"],
        ["-u", "a:b", "--bearer-command", "x"],
        ["--oauth2-bearer", "t", "--bearer-command", "x"],
    ];
    for options in pairs {
        assert!(refused(&options).contains("cannot be used with"));
    }
}

#[test]
fn resume_param_sends_the_last_id_in_the_query() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .retry(1)
            .event_with_id("a b/ü", "x")
            .drop_connection(),
    );
    server.otherwise(Reply::status(204));
    let url = server.url("/hub?topic=%2a");
    let args = [&*url, "--resume-param", "lastEventID"];
    assert_eq!(Running::follow(args).end().0, 4);
    let targets = || -> Vec<String> {
        server
            .requests()
            .iter()
            .map(|it| it.target.clone())
            .collect()
    };
    let resumed = "/hub?topic=%2a&lastEventID=a+b%2F%C3%BC";
    assert_eq!(targets(), ["/hub?topic=%2a", resumed]);
    // An existing parameter is replaced.
    let url = server.url("/hub?since=0");
    let args = [&*url, "--resume-param", "since", "--last-event-id", "7"];
    assert_eq!(Running::follow(args).end().0, 4);
    assert_eq!(targets()[2], "/hub?since=7");
    assert_eq!(server.requests()[2].header("last-event-id"), Some("7"));
}

#[test]
fn bearer_command_gets_no_input() {
    // Standard input isn't for the token command.
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let url = server.url("/");
    let args = [&*url, "--bearer-command", "sh", "-c", "cat; echo t"];
    let mut command: Command = everstream(args);
    command.stdin(std::process::Stdio::piped());
    let mut running = Running::start(command);
    let open = running.stdin();
    assert_eq!(running.wait().code(), Some(4));
    drop(open);
    assert_eq!(authorizations(&server), ["Bearer t"]);
}

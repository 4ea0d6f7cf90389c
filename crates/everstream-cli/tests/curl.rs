//! Every option of curl has the same effect, or none, or is refused with a hint.
//!
//! `data/curl-help-all.txt` is what `curl --help all` of 7.88.1 writes, and `data/curl-options.txt` has the
//! options in the manual of 8.23.0, with `<v>` for a value. `docs/curl.md` is generated from the
//! table: `UPDATE_DOCS=1 cargo test -p everstream-cli --test all -- curl::` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use everstream_testing::{Reply, Request, Server};

use crate::common::{Folder, Running, everstream, in_time};
use crate::request::{asked, refused};
use table::{CurlOption, OPTIONS, Use};

#[path = "../src/curl/table.rs"]
mod table;

const NEW: &str = include_str!("data/curl-options.txt");

const HELP: &str = include_str!("data/curl-help-all.txt");

fn with(meaning: Use) -> impl Iterator<Item = &'static CurlOption> {
    OPTIONS
        .iter()
        .filter(move |option| option.meaning == meaning)
}

#[test]
fn every_option_of_curl_is_in_the_table() {
    let lines: BTreeSet<&str> = OPTIONS.iter().map(|option| option.line).collect();
    assert_eq!(lines.len(), OPTIONS.len(), "an option is listed twice");
    for line in HELP.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (names, rest) = match words[0].strip_suffix(',') {
            Some(short) => (format!("{short}, {}", words[1]), words[2]),
            None => (words[0].to_owned(), words[1]),
        };
        // Such as `<file>` and `[protocol://]host`. The category of --help is usually omitted.
        let value = rest.starts_with(['<', '[']) && names != "-h, --help";
        let expected = format!("{names}{}", if value { " <v>" } else { "" });
        assert!(lines.contains(&*expected), "{expected}");
    }
    for line in NEW.lines() {
        // Since 8.10 this is the name of --include.
        let line = line.strip_prefix("-i, ").unwrap_or(line);
        assert!(lines.contains(line), "{line}");
    }
}

/// All headers except Host, whose port differs.
fn headers(request: &Request) -> Vec<(String, Vec<u8>)> {
    let headers = request.headers.iter();
    headers.filter(|it| it.0 != "host").cloned().collect()
}

#[test]
fn redundant_options_are_accepted_without_effect() {
    let plain = asked(&[]);
    for option in with(Use::Ignored) {
        for name in option.names() {
            let options = match option.takes_value() {
                true => vec![name, "value"],
                false => vec![name],
            };
            let request = asked(&options);
            assert_eq!(headers(&request), headers(&plain), "{name}");
            assert_eq!(request.target, plain.target, "{name}");
        }
        assert!(!option.note.is_empty(), "{}", option.line);
    }
    // As people combine them.
    let usual = asked(&["-sSfNLg", "--compressed"]);
    assert_eq!(headers(&usual), headers(&plain));
}

#[test]
fn q_as_the_first_option_is_accepted() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    assert_eq!(Running::follow(["-q", &server.url("/")]).end().0, 4);
    assert_eq!(server.request_count(), 1);
}

#[test]
fn refused_options_have_a_hint() {
    for option in with(Use::Refused) {
        for name in option.names().filter(|name| *name != "-j") {
            let stderr = refused(&[name]);
            let expected = format!("curl's option {name} isn't supported");
            assert!(stderr.contains(&expected), "{stderr}");
            let expected = format!("hint: {}", option.note);
            assert!(stderr.contains(&expected), "{name}: {stderr}");
        }
    }
    // In a group of short options, and with a value.
    let hint = "hint: use -i (standard output) or -v";
    assert!(refused(&["-sD", "x"]).contains(hint));
    assert!(refused(&["--dump-header=x"]).contains(hint));
    // The option of jq, not curl's.
    assert!(refused(&["-j"]).contains("hint: to join without --jq, use --join-output"));
}

/// Options that other tests cover: TLS, proxies, output, time.
const ELSEWHERE: [(&str, &str); 21] = [
    ("--cacert", "tls"),
    ("--cert", "tls"),
    ("--key", "tls"),
    ("--insecure", "tls"),
    ("--connect-timeout", "request"),
    ("--http2-prior-knowledge", "request"),
    ("--max-redirs", "request"),
    ("--resolve", "request"),
    ("--unix-socket", "request"),
    ("--proxy", "request"),
    ("--noproxy", "request"),
    ("--proxy-user", "request"),
    ("--socks4", "request"),
    ("--socks4a", "request"),
    ("--socks5", "request"),
    ("--socks5-hostname", "request"),
    ("--ipv6", "request"),
    ("--retry-all-errors", "reconnect"),
    ("--retry-delay", "reconnect"),
    ("--retry-max-time", "reconnect"),
    ("--no-progress-meter", "terminal"),
];

/// The part of a request that an option changes.
type Look = fn(&Request) -> String;

#[test]
fn options_with_the_same_effect_change_the_request_as_in_curl() {
    let body: Look = |request| String::from_utf8(request.body.clone()).unwrap();
    let target: Look = |request| request.target.clone();
    let method: Look = |request| request.method.clone();
    let version: Look = |request| request.version.clone();
    let cookie: Look = |request| request.header("cookie").unwrap_or("-").to_owned();
    let authorization: Look = |request| request.header("authorization").unwrap().to_owned();
    let agent: Look = |request| request.header("user-agent").unwrap_or("-").to_owned();
    let referer: Look = |request| request.header("referer").unwrap().to_owned();
    let accept: Look = |request| request.header("accept").unwrap_or("-").to_owned();
    let x: Look = |request| request.header("x").unwrap_or("-").to_owned();
    let cases: &[(&[&str], Look, &str)] = &[
        (
            &["-b", "a=1; b=2", "--cookie", "c=3"],
            cookie,
            "a=1; b=2; c=3",
        ),
        (&["-b", "a=1", "-H", "Cookie: x=1"], cookie, "x=1"),
        (&["-d", "a=@b", "--data", "c"], body, "a=@b&c"),
        (&["--data-ascii", "a", "--data-binary", "b"], body, "a&b"),
        (&["--data-raw", "@a", "-d", "b"], body, "@a&b"),
        (&["--data-raw", "--x"], body, "--x"),
        (&["--data-urlencode", "n=a b/ü~"], body, "n=a+b%2F%C3%BC~"),
        (&["--data-urlencode", "=a=b"], body, "a%3Db"),
        (&["--data-urlencode", "a&b"], body, "a%26b"),
        (&["--json", "[1", "--json", ",2]"], body, "[1,2]"),
        (&["-G", "-d", "a=1", "-d", "b"], target, "/feed?a=1&b"),
        (&["--get", "-d", "a"], method, "GET"),
        (
            &["--url-query", "a=b c", "--url-query", "+d=%20"],
            target,
            "/feed?a=b+c&d=%20",
        ),
        (&["-H", "X: 1"], x, "1"),
        (&["--header", "X;"], x, ""),
        (&["-H", "Accept:"], accept, "-"),
        (&["-0"], version, "HTTP/1.1"),
        (&["--http1.0"], version, "HTTP/1.1"),
        (&["--http1.1"], version, "HTTP/1.1"),
        (&["--http2"], version, "HTTP/1.1"),
        (&["--http3"], version, "HTTP/1.1"),
        (&["-4"], method, "GET"),
        (&["--ipv4"], method, "GET"),
        (&["--oauth2-bearer", "t"], authorization, "Bearer t"),
        (&["-u", "me:pw"], authorization, "Basic bWU6cHc="),
        (
            &["--user", "me:pw", "-H", "Authorization: own"],
            authorization,
            "own",
        ),
        (&["-X", "PATCH"], method, "PATCH"),
        (&["--request", "PUT", "-d", "x"], method, "PUT"),
        (&["-A", "me/1"], agent, "me/1"),
        (&["--user-agent", ""], agent, "-"),
        (&["-A", "me/1", "-H", "User-Agent: you/2"], agent, "you/2"),
        (&["-e", "http://a/"], referer, "http://a/"),
        (&["--referer", "http://a/"], referer, "http://a/"),
        (&["-s"], method, "GET"),
        (&["--silent"], method, "GET"),
        (&["-v"], method, "GET"),
        (&["--verbose"], method, "GET"),
        (&["-m", "0"], method, "GET"),
        (&["--retry", "3"], method, "GET"),
        (&["--proto-default", "http"], method, "GET"),
    ];
    for (options, look, expected) in cases {
        assert_eq!(look(&asked(options)), *expected, "{options:?}");
    }
    let mut proven: BTreeSet<&str> = cases.iter().flat_map(|case| case.0).copied().collect();
    proven.extend(ELSEWHERE.map(|(name, _)| name));
    proven.extend([
        "--help",
        "--version",
        "--include",
        "--show-headers",
        "--max-time",
        "--output",
        "--url",
    ]);
    for option in with(Use::Same) {
        let is_proven = option.names().any(|name| proven.contains(name));
        assert!(is_proven, "{}", option.line);
    }
}

#[test]
fn cookies_from_a_file_are_sent_and_the_servers_are_kept() {
    let server = Server::start();
    server.enqueue(
        Reply::stream()
            .header("Set-Cookie", "node=7")
            .retry(1)
            .end(),
    );
    server.otherwise(Reply::status(204));
    let folder = Folder::new("cookies");
    let file = folder.file(
        "jar",
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1\nother.test\tFALSE\t/\tFALSE\t0\tb\t2\n",
    );
    let args = [&*server.url("/"), "-b", file.to_str().unwrap()];
    assert_eq!(Running::follow(args).end().0, 4);
    let sent = |at: usize| server.requests()[at].header("cookie").map(str::to_owned);
    assert_eq!(sent(0).unwrap(), "a=1");
    assert_eq!(sent(1).unwrap(), "a=1; node=7");
    server.enqueue(
        Reply::stream()
            .header("Set-Cookie", "node=8")
            .retry(1)
            .end(),
    );
    assert_eq!(Running::follow([&*server.url("/"), "--cookies"]).end().0, 4);
    assert_eq!((sent(2), sent(3)), (None, Some("node=8".to_owned())));
    server.enqueue(
        Reply::stream()
            .header("Set-Cookie", "node=9")
            .retry(1)
            .end(),
    );
    assert_eq!(Running::follow([&*server.url("/"), "-b", "a=1"]).end().0, 4);
    assert_eq!(sent(5).unwrap(), "a=1", "cookies are only kept with a file");
    let stderr = refused(&["-b", "/no/such/file"]);
    assert!(stderr.contains("/no/such/file can't be read"), "{stderr}");
}

#[test]
fn the_first_event_overwrites_the_output_file() {
    let server = Server::start();
    let folder = Folder::new("output");
    let file = folder.file("events", "before, and long enough to leave a remainder\n");
    let path = file.to_str().unwrap();
    let content = || std::fs::read_to_string(&file).unwrap();
    server.enqueue(Reply::status(204));
    let url = server.url("/");
    assert_eq!(Running::follow([&*url, "-o", path]).end().0, 4);
    assert!(content().starts_with("before"), "no event arrived");
    server.enqueue(Reply::stream().event("a").event("b").stall());
    let args = [&*url, "--output", path, "--format", "data", "--count", "2"];
    let output = everstream(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert_eq!(content(), "a\nb\n");
    server.enqueue(Reply::stream().event("c").stall());
    let args = [&*url, "-o", "-", "--format", "data", "--count", "1"];
    assert_eq!(everstream(args).output().unwrap().stdout, b"c\n");
    let stderr = refused(&["-o", "/no/such/file"]);
    assert!(
        stderr.contains("/no/such/file can't be written"),
        "{stderr}"
    );
    // The same for the report of check.
    server.otherwise(Reply::status(404));
    let args = ["check", &*url, "-o", path, "--format", "json"];
    assert_eq!(Running::follow(args).end().0, 10);
    assert!(content().starts_with("{\n  \"url\":"), "{}", content());
}

#[test]
fn include_writes_the_status_and_headers() {
    let server = Server::start();
    server.otherwise(Reply::stream().header("X-One", "1").event("a").stall());
    let url = server.url("/");
    let written = |form: &str| {
        let args = [&*url, "-i", "--format", form, "--count", "1"];
        String::from_utf8(everstream(args).output().unwrap().stdout).unwrap()
    };
    let raw = written("raw");
    assert!(raw.starts_with("HTTP 200\n"), "{raw}");
    assert!(
        raw.contains("x-one: 1\n") && raw.ends_with("\n\ndata: a\n\n"),
        "{raw}"
    );
    let args = [&*url, "--show-headers", "--format", "raw", "--count", "1"];
    assert_eq!(everstream(args).output().unwrap().stdout, raw.as_bytes());
    let json = written("json");
    let first = json.lines().next().unwrap();
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["status"], 200);
    let headers = first["headers"].as_array().unwrap();
    assert!(
        headers.contains(&serde_json::json!(["x-one", "1"])),
        "{json}"
    );
}

#[test]
fn max_time_limits_the_whole_run() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("a").stall());
    let folder = Folder::new("max-time");
    let url = server.url("/");
    let runs = |args: &[&str]| {
        let (code, stderr) = in_time(
            |limit| {
                let limited = args.iter().map(|it| it.replace("LIMIT", limit));
                let limited: Vec<_> = limited.collect();
                Running::follow(limited.iter().map(String::as_str)).end()
            },
            |(_, stderr)| !stderr.contains("after 0 events"),
        );
        assert_eq!(code, 7, "{args:?}: {stderr}");
        assert!(
            stderr.contains("--max-time expired after 1 event"),
            "{stderr}"
        );
    };
    runs(&[&*url, "-m", "LIMIT"]);
    let long = [
        &*url,
        "--max-time",
        "LIMITs",
        "--duration",
        "1h",
        "--count",
        "2",
    ];
    runs(&long);
    let file = folder.path("a.rec");
    let record = [
        "record",
        &*url,
        file.to_str().unwrap(),
        "--force",
        "-m",
        "LIMIT",
    ];
    runs(&record);
    // Also while it waits to retry. The earlier limit applies.
    server.stop();
    let (code, stderr) = Running::follow([&*url, "-m", "0.3"]).end();
    assert_eq!(code, 7, "{stderr}");
    assert!(
        stderr.contains("--max-time expired after 0 events"),
        "{stderr}"
    );
    let (code, _) = Running::follow([&*url, "-m", "1h", "--duration", "0.3"]).end();
    assert_eq!(code, 0);
}

/// Unknown options.
#[test]
fn only_a_close_option_is_suggested() {
    for (unknown, meant) in [
        ("--cuont", Some("--count")),
        ("--formt", Some("--format")),
        ("--max-tme", Some("--max-time")),
        ("--retry-max-tim", Some("--retry-max-time")),
        ("--bearer", None),
        ("--retries", None),
        ("--timeout", None),
        ("--id", None),
        ("--filter", None),
        ("--json-lines", None),
    ] {
        let stderr = refused(&[unknown]);
        assert!(
            stderr.contains(&format!("unexpected argument '{unknown}'")),
            "{stderr}"
        );
        match meant {
            Some(meant) => assert!(stderr.contains(&format!("mean {meant}?")), "{stderr}"),
            None => assert!(!stderr.contains("did you mean"), "{stderr}"),
        }
    }
}

#[test]
fn the_page_is_generated_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/curl.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let shown = std::fs::read_to_string(path).unwrap();
    assert!(
        shown == page,
        "docs/curl.md isn't the table; UPDATE_DOCS=1 writes it"
    );
}

/// Notes of options that the page doesn't list.
const UNLISTED: [&str; 2] = [
    "only http and https are supported",
    "there is no equivalent",
];

fn page() -> String {
    let mut page = String::from(
        "# curl's options\n\n\
         Every option of curl 8.23 works the same here, has no effect, or is refused. `--word-*` means all options that begin with\n\
         `--word-` and aren't listed by name.\n\n\
         ## The same effect\n\n",
    );
    let (same, different): (Vec<_>, Vec<_>) =
        with(Use::Same).partition(|option| option.note.is_empty());
    let same: Vec<String> = same.into_iter().map(name).collect();
    _ = writeln!(
        page,
        "{}\n\nThe same, with a difference:\n",
        same.join(", ")
    );
    page += &list(different, name);
    page += "\n## Accepted without effect\n\n";
    page += &list(with(Use::Ignored), name);
    page += "\n## Refused\n\nThe command prints the hint and ends with exit code 2. Options of curl that aren't on this page are refused too:\n\
             they aren't for http and https, or have no equivalent.\n\n";
    for note in UNLISTED {
        assert!(
            with(Use::Refused).any(|option| option.note == note),
            "{note}"
        );
    }
    let refused = with(Use::Refused).filter(|option| !UNLISTED.contains(&option.note));
    page += &list(refused, family);
    page += "\nTested by: `crates/everstream-cli/tests/curl.rs`\n";
    page
}

/// `-x/--long`.
fn name(option: &CurlOption) -> String {
    let names: Vec<&str> = option.names().collect();
    format!("`{}`", names.join("/"))
}

/// `--word-*` instead of `--word-more` if the table says the same about all options that begin like that,
/// or about most and at least three. Options with a short name are always named.
fn family(option: &CurlOption) -> String {
    let long = option.names().last().unwrap_or_default();
    let Some((at, _)) = long.match_indices('-').nth(2) else {
        return name(option);
    };
    let prefix = &long[..=at];
    let is_short = |it: &CurlOption| it.names().count() > 1;
    let is_like = |it: &CurlOption| (it.meaning, it.note) == (option.meaning, option.note);
    let all = OPTIONS
        .iter()
        .filter(|it| it.names().any(|name| name.starts_with(prefix)));
    let (alike, others): (Vec<_>, Vec<_>) = all.partition(|it| is_like(it));
    let named = alike.iter().filter(|it| !is_short(it)).count();
    let is_family = match others.len() {
        0 => named > 1,
        others => named > 2 && named > others,
    };
    match is_family && !is_short(option) {
        true => format!("`{prefix}*`"),
        false => name(option),
    }
}

/// A list with one item per note.
fn list(
    options: impl IntoIterator<Item = &'static CurlOption>,
    name: fn(&CurlOption) -> String,
) -> String {
    let mut items: Vec<(&str, Vec<String>)> = Vec::new();
    for option in options {
        let name = name(option);
        match items.iter_mut().find(|(note, _)| *note == option.note) {
            Some((_, item)) if item.contains(&name) => {}
            Some((_, item)) => item.push(name),
            None => items.push((option.note, vec![name])),
        }
    }
    let mut list = String::new();
    for (note, item) in items {
        _ = writeln!(list, "- {}: {note}", item.join(", "));
    }
    list
}

//! Tests of the `everstream` command. Each one runs the built command as a child process, most of
//! them against a test server on loopback.
//!
//! What each module tests:
//!
//! - `browsers`: "Copy as cURL" of Chromium and Firefox
//! - `check`: the findings of `everstream check`, and its report
//! - `curl`: every option of curl
//! - `cursor`: `--cursor`, which resumes in the next run: kills, signals, unusable files
//! - `demo`: `everstream demo` and its summary
//! - `docs`: the output shown in `docs/cli.md` and in the guide from curl
//! - `ending`: exit codes and the last message
//! - `exec`: `--exec`, a command per event
//! - `follow`: the events it prints and the requests it sends
//! - `hints`: each hint, followed
//! - `jq`: hostile data in a `--jq` program
//! - `llm`: the commands of the page for the answers of LLMs
//! - `output`: output formats
//! - `pictures`: the terminal pictures in `docs/pictures`
//! - `reconnect`: when it retries and when it gives up
//! - `record`: `everstream record`
//! - `relay`: `everstream relay`
//! - `relay_faults`: `everstream relay` with the engines themselves, and every fault
//! - `replay`: `everstream replay`
//! - `credentials`: tokens and headers that each attempt asks for again
//! - `request`: request options: headers, body, credentials, proxies, Unix sockets
//! - `saved`: bodies that were saved: `everstream -`, `everstream FILE`
//! - `select`: options that select events: type, regular expression, jq, count
//! - `serve`: `everstream serve`
//! - `shell`: shell completions and manual pages
//! - `terminal`: colors, the status line and escaping on a terminal
//! - `tls`: trusted authorities and client certificates
//! - `top`: `everstream top` on a terminal
//! - `usage`: the first screen, the examples of `--help`, mistakes in the command line
//! - `without`: a command that was built without `jq` or `top`
//!
//! They share `common` (the child process; a pseudo-terminal, recordings and pictures in its
//! submodules) and, from the library's tests, `certs` and `tls_server`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::time::Duration;

#[path = "../../everstream/tests/transport/certs.rs"]
#[allow(dead_code, reason = "the library's tests use the rest")]
mod certs;
mod common;
#[cfg(unix)]
mod credentials;
#[path = "../../everstream/tests/transport/tls_server.rs"]
#[allow(dead_code, reason = "the library's tests use the rest")]
mod tls_server;

#[cfg(unix)]
mod browsers;
mod check;
mod curl;
#[cfg(unix)]
mod cursor;
mod demo;
// The pages have `--jq`.
#[cfg(all(unix, feature = "jq", feature = "top"))]
mod docs;
mod ending;
#[cfg(unix)]
mod exec;
mod follow;
mod hints;
#[cfg(feature = "jq")]
mod jq;
#[cfg(all(unix, feature = "jq"))]
mod llm;
mod output;
// One of them is `top`, and one has `--jq`.
#[cfg(all(target_os = "linux", feature = "jq", feature = "top"))]
mod pictures;
mod reconnect;
#[cfg(unix)]
mod record;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(all(
    target_os = "linux",
    feature = "relay-postgres",
    feature = "relay-redis",
    feature = "relay-nats"
))]
mod relay_faults;
mod replay;
mod request;
mod saved;
mod select;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod shell;
#[cfg(target_os = "linux")]
mod terminal;
mod tls;
#[cfg(all(target_os = "linux", feature = "top"))]
mod top;
#[cfg(unix)]
mod usage;
#[cfg(all(target_os = "linux", feature = "top"))]
mod waiting;
#[cfg(not(all(feature = "jq", feature = "top")))]
mod without;

/// How long `tls_server` and the tests of `check` wait before they fail.
const LIMIT: Duration = Duration::from_secs(60);

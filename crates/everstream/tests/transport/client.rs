//! Both clients behind one type, so that each test is written once.

use std::error::Error as _;
use std::process::Command;

use everstream::{Action, Builder, Error, Event, Fault, SseClient, Start, blocking};
use everstream_http::Failure;
use tokio::runtime::Runtime;

use super::LIMIT;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Async,
    Blocking,
}

pub(crate) enum Client {
    Async(Box<SseClient>, Runtime),
    Blocking(Box<blocking::SseClient>),
}

/// Runs a test with each client. The output shows which one failed.
pub(crate) fn both(test: impl Fn(Kind)) {
    for kind in [Kind::Async, Kind::Blocking] {
        println!("{kind:?}");
        test(kind);
    }
}

impl Kind {
    pub(crate) fn try_build(self, builder: Builder) -> Result<Client, Error> {
        Ok(match self {
            Kind::Async => {
                // The worker thread keeps running while the test does something else.
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .unwrap();
                Client::Async(Box::new(builder.build()?), runtime)
            }
            Kind::Blocking => Client::Blocking(Box::new(
                Builder::<blocking::SseClient>::from(builder).build()?,
            )),
        })
    }

    pub(crate) fn build(self, builder: Builder) -> Client {
        self.try_build(builder).unwrap()
    }
}

impl Client {
    pub(crate) fn next(&mut self) -> Option<Result<Action, Error>> {
        match self {
            Client::Async(client, runtime) => runtime
                .block_on(async { tokio::time::timeout(LIMIT, client.next_action()).await })
                .expect("an action in time"),
            Client::Blocking(client) => match client.next_action_timeout(LIMIT) {
                Ok(blocking::Next::Item(action)) => Some(Ok(action)),
                Ok(blocking::Next::TimedOut) => panic!("an action in time"),
                Ok(blocking::Next::Ended) => None,
                Err(error) => Some(Err(error)),
            },
        }
    }

    /// Expects a start as the next action.
    pub(crate) fn started(&mut self) -> Start {
        match self.next() {
            Some(Ok(Action::Start(start))) => *start,
            other => panic!("not a start: {other:?}"),
        }
    }

    /// Expects an event, possibly after a start.
    pub(crate) fn event(&mut self) -> Event {
        loop {
            match self.next() {
                Some(Ok(Action::Event(event))) => return event,
                Some(Ok(Action::Start(_))) => {}
                other => panic!("not an event: {other:?}"),
            }
        }
    }

    /// Expects a fault or an end (`None`) as the next action, after which the client continues.
    pub(crate) fn fault(&mut self) -> Option<Fault> {
        match self.next() {
            Some(Ok(Action::Fault(fault))) => Some(fault),
            Some(Ok(Action::End(_))) => None,
            other => panic!("not a fault: {other:?}"),
        }
    }

    /// Expects a fault, whether or not the client continues after it.
    pub(crate) fn any_fault(&mut self) -> Fault {
        match self.next() {
            Some(
                Ok(Action::Fault(fault)) | Err(Error::Fault(fault) | Error::NotRepeated(fault)),
            ) => fault,
            other => panic!("not a fault: {other:?}"),
        }
    }
}

/// Formats an error with its causes, as a program would print it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Returns the failure in the connection or in HTTP. It must have no cause, so that messages have one
/// layer.
pub(crate) fn failure(fault: &Fault) -> &Failure {
    assert!(fault.source().is_none());
    let failure = fault.failure();
    failure.unwrap_or_else(|| panic!("no failure in {fault:?}"))
}

/// Runs one otherwise ignored test in a child process (this test program) with these variables and
/// without proxy variables. Returns its output.
///
/// `test` is its path from the module above this one, such as `tls::child_has_no_certificates`.
pub(crate) fn in_child(test: &str, variables: &[(&str, &str)]) -> String {
    // The harness names tests by their path without the crate.
    let (_, this_module) = module_path!().split_once("::").unwrap();
    let test = match this_module.rsplit_once("::") {
        Some((above, _)) => format!("{above}::{test}"),
        None => test.into(),
    };
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&*test, "--exact", "--include-ignored", "--nocapture"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    // With this variable, proxies from the environment would be ignored, as in CGI programs.
    child.env_remove("REQUEST_METHOD");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

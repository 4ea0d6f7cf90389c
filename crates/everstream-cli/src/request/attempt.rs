//! What each attempt reads again: files of `-H`, the token, the id in the query.

use std::env::VarError;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use everstream::{Attempt, Fault, Http};
use tokio::process::Command;

use super::headers::{Header, from_file};
use crate::report::Problem;

/// The time limit of `--bearer-command`.
const LIMIT: Duration = Duration::from_secs(60);

/// How many characters of a command's errors are shown.
const SHOWN: usize = 200;

/// The source of a token.
#[derive(Clone, Debug)]
pub(super) enum Token {
    /// The environment variable with this name.
    Variable(String),
    /// The line that this command prints.
    Command(Vec<String>),
}

/// The work before each attempt.
pub(super) struct BeforeAttempt {
    pub(super) files: Vec<String>,
    pub(super) token: Option<Token>,
    pub(super) resume_param: Option<String>,
}

impl BeforeAttempt {
    pub(super) fn apply(self, http: Http) -> Http {
        if self.files.is_empty() && self.token.is_none() && self.resume_param.is_none() {
            return http;
        }
        let (this, has_worked) = (Arc::new(self), Arc::new(AtomicBool::new(false)));
        http.before_attempt(move |attempt| {
            let (this, has_worked) = (this.clone(), has_worked.clone());
            async move {
                match this.prepare(attempt).await {
                    Ok(attempt) => {
                        has_worked.store(true, Ordering::Relaxed);
                        Ok(attempt)
                    }
                    // The failure may be temporary: the file is being written, or the network is
                    // down.
                    Err(problem) if has_worked.load(Ordering::Relaxed) => {
                        Err(Fault::Connect(problem.what().into()))
                    }
                    Err(problem) => Err(Fault::Setup(problem.what().into())),
                }
            }
        })
    }

    async fn prepare(&self, mut attempt: Attempt) -> Result<Attempt, Problem> {
        for file in &self.files {
            for header in from_file(file)? {
                if let Header::Set(name, value) = header {
                    attempt = attempt.header(name, value);
                }
            }
        }
        if let Some(token) = &self.token {
            let token = match token {
                Token::Variable(name) => variable(name)?,
                Token::Command(command) => ask(command).await?,
            };
            attempt = attempt.bearer_token(token);
        }
        let id = attempt.last_event_id().map(str::to_owned);
        Ok(match (&self.resume_param, id) {
            (Some(name), Some(id)) => with_id(attempt, name, &id),
            _ => attempt,
        })
    }
}

/// Other parameters stay unchanged, unless this one is among them.
fn with_id(attempt: Attempt, name: &str, id: &str) -> Attempt {
    let query = attempt.url().split_once('?').map_or("", |(_, query)| query);
    let is_there = url::form_urlencoded::parse(query.as_bytes()).any(|(own, _)| own == name);
    match is_there {
        true => attempt.set_query(name, id),
        false => attempt.query(name, id),
    }
}

/// Reads the variable of --bearer-env. Its name isn't shown, because it may be the token itself,
/// given by mistake.
pub(super) fn variable(name: &str) -> Result<String, Problem> {
    match std::env::var(name) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(VarError::NotPresent) => {
            let what = "the environment variable that --bearer-env names isn't set";
            Err(Problem::new(what).hint(
                "it takes the name of a variable, not the token: \
                 read -rs TOKEN && export TOKEN, then --bearer-env TOKEN",
            ))
        }
        Err(VarError::NotUnicode(_)) => {
            let what = "the environment variable that --bearer-env names isn't UTF-8";
            Err(Problem::new(what))
        }
    }
}

/// Runs the command of --bearer-command, and returns the token.
async fn ask(command: &[String]) -> Result<String, Problem> {
    let failed = |what: &str| Err(Problem::new(format!("--bearer-command failed: {what}")));
    let [program, args @ ..] = command else {
        return failed("it is empty");
    };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return failed(&format!("{program:?} can't be run: {error}")),
        Err(_) => return failed(&format!("it took longer than {} s", LIMIT.as_secs())),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last: String = last.unwrap_or_default().chars().take(SHOWN).collect();
        let separator = if last.is_empty() { "" } else { ": " };
        return failed(&format!("{}{separator}{last}", output.status));
    }
    // The output isn't shown: it is a secret, or part of one.
    match String::from_utf8(output.stdout) {
        Ok(text) if text.trim().is_empty() => failed("it wrote no token"),
        Ok(text) if text.trim().lines().nth(1).is_some() => failed("it wrote more than one line"),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => failed("what it wrote isn't UTF-8"),
    }
}

//! A connection, what runs it, and what its errors mean.

use std::error::Error as _;
use std::fmt;
use std::io;

use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::WrongType;
use tokio_postgres::{Client, Config, Error, Socket, Statement};

use crate::{AppendError, SinkError};

/// A connection with its task. The task ends when this is dropped, also if the server doesn't answer.
pub(super) struct Session {
    client: Client,
    task: JoinHandle<()>,
    append: Option<Statement>,
}

impl Session {
    pub(super) async fn start<T>(config: &Config, tls: T) -> Result<Session, Problem>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, connection) = config.connect(tls).await.map_err(Problem::Postgres)?;
        let task = tokio::spawn(async move {
            // The client gets its errors.
            let _ = connection.await;
        });
        Ok(Session {
            client,
            task,
            append: None,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The statement that appends, prepared once per connection.
    pub(super) async fn append(&mut self, sql: &str) -> Result<Statement, Problem> {
        if let Some(statement) = &self.append {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        Ok(self.append.insert(statement).clone())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why something that only reads, or that wasn't sent, failed.
pub(super) enum Problem {
    Postgres(Error),
    /// It can't work before somebody changes something.
    Setup(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Postgres(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Postgres(error) => f.write_str(&explain(error)),
            Problem::Setup(why) => f.write_str(why),
        }
    }
}

impl Problem {
    /// Whether waiting may help.
    fn is_passing(&self) -> bool {
        matches!(self, Problem::Postgres(error) if is_passing(error))
    }
}

impl From<Problem> for SinkError {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string().into();
        match problem.is_passing() {
            true => SinkError::Unavailable(text),
            false => SinkError::Unusable(text),
        }
    }
}

/// Nothing was sent, or the server refused it.
impl From<Problem> for AppendError {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string().into();
        match problem.is_passing() {
            true => AppendError::Unavailable(text),
            false => AppendError::Unusable(text),
        }
    }
}

/// Whether waiting may help. Of the errors of the server, those are the exception.
fn is_passing(error: &Error) -> bool {
    let Some(code) = error.code() else {
        // No answer from the server: the connection, unless the client refuses.
        return !is_about_setup(error);
    };
    let passing = [
        // Connections, prepared statements (which a pooler may lose), rollbacks, resources, operators, the
        // system, and what the server calls internal.
        "08", "26", "40", "53", "57", "58", "XX",
    ];
    passing.iter().any(|class| code.code().starts_with(class))
        || [
            &SqlState::READ_ONLY_SQL_TRANSACTION,
            &SqlState::LOCK_NOT_AVAILABLE,
            &SqlState::DUPLICATE_PSTATEMENT,
        ]
        .contains(&code)
}

/// Whether the client refuses: a missing password, authentication or TLS that the two ends don't agree
/// on, a column of another type.
fn is_about_setup(error: &Error) -> bool {
    // Its kind shows only in its text.
    let text = error.to_string();
    let is_kind = |kind: &str| text.starts_with(kind);
    let source = error.source();
    source.is_some_and(|it| it.is::<WrongType>())
        || is_kind("invalid configuration")
        || is_kind("authentication error")
        || is_kind("error performing TLS handshake") && !source.is_some_and(is_broken_connection)
}

/// An I/O error, other than those of rustls about what the server sent.
fn is_broken_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|it| !crate::tls::is_refusal(it))
}

/// Another writer was faster, in a database whose default isolation reports that as an error.
pub(super) fn is_conflict(error: &Error) -> bool {
    error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
}

/// Whether the server says that the statement failed. Without an answer, it may have been executed; so it
/// may if the server ends the session.
pub(super) fn is_refusal(error: &Error) -> bool {
    let ends_session = ["08", "57P"];
    error.code().is_some_and(|code| {
        code != &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
            && !ends_session
                .iter()
                .any(|class| code.code().starts_with(class))
    })
}

/// One sentence: what the server said, or what broke.
pub(super) fn explain(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return match error.detail() {
            Some(detail) => format!("{}: {detail}", error.message()),
            None => error.message().to_owned(),
        };
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

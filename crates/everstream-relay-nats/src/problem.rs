//! What errors mean: whether something was stored, and whether waiting may help.

use std::error::Error as _;
use std::fmt;
use std::io;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectError, ConnectErrorKind};
use everstream_relay::{AppendError, SinkError};

/// What the server said that makes it certain that a message wasn't stored.
pub(crate) enum Refusal {
    Compared,
    Other,
}

/// `None` if the message may have been stored.
pub(crate) fn refusal(error: &PublishError) -> Option<Refusal> {
    match error.kind() {
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::WrongLastSequence => {
            Some(Refusal::Compared)
        }
        // Nobody listens on the subject.
        PublishErrorKind::StreamNotFound => Some(Refusal::Other),
        PublishErrorKind::Other => {
            let error = error.source()?.downcast_ref::<jetstream::Error>()?;
            let compared = [
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
                ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT,
            ];
            Some(match compared.contains(&error.error_code()) {
                true => Refusal::Compared,
                false => Refusal::Other,
            })
        }
        _ => None,
    }
}

/// Why something that only reads, or that wasn't sent, failed.
pub(crate) enum Problem {
    /// Waiting may help.
    Passing(String),
    /// It can't work before somebody changes something.
    Setup(String),
}

impl Problem {
    /// Of a connection that wasn't made: credentials and TLS stay wrong, the network doesn't.
    pub(crate) fn of_connecting(error: &ConnectError) -> Problem {
        let text = explain(error);
        // A certificate that isn't trusted, or a server without TLS.
        let is_tls = error
            .source()
            .and_then(|it| it.downcast_ref::<io::Error>()?.get_ref())
            .is_some_and(|it| it.is::<rustls::Error>());
        match error.kind() {
            ConnectErrorKind::ServerParse
            | ConnectErrorKind::Authentication
            | ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Tls => Problem::Setup(text),
            _ if is_tls => Problem::Setup(text),
            _ => Problem::Passing(text),
        }
    }

    /// Of what the server refused: a missing leader or resources come and go, a configuration doesn't.
    pub(crate) fn of(error: &jetstream::Error) -> Problem {
        let text = error.to_string();
        let by_setup = [
            ErrorCode::JETSTREAM_NOT_ENABLED,
            ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
            ErrorCode::STREAM_SUBJECT_OVERLAP,
            ErrorCode::STREAM_NAME_EXIST,
            ErrorCode::STREAM_INVALID_CONFIG,
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED,
        ];
        match by_setup.contains(&error.error_code()) {
            true => Problem::Setup(text),
            false => Problem::Passing(text),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Passing(why) | Problem::Setup(why) => f.write_str(why),
        }
    }
}

impl From<Problem> for SinkError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Passing(why) => SinkError::Unavailable(why.into()),
            Problem::Setup(why) => SinkError::Unusable(why.into()),
        }
    }
}

/// Nothing was sent.
impl From<Problem> for AppendError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Passing(why) => AppendError::Unavailable(why.into()),
            Problem::Setup(why) => AppendError::Unusable(why.into()),
        }
    }
}

/// One sentence, from an error and its causes.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
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

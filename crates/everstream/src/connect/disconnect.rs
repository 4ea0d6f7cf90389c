//! Errors of the HTTP library that mean that the server ended the connection, in words for people.

use std::error::Error;
use std::io::{self, ErrorKind};

use everstream_core::{BoxError, Disconnect};

/// What was under way when the connection ended.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Request,
    Response,
}

/// The cause of a fault: how the server ended the connection, if it did, and else the error as it is.
pub(super) fn cause(error: reqwest::Error, phase: Phase) -> BoxError {
    let mut level: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(this) = level {
        if let Some(end) = end(this) {
            return end.into_cause(phase);
        }
        level = match this.downcast_ref::<io::Error>() {
            // Its source is that of the error inside.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => this.source(),
        };
    }
    // URLs hold secrets; faults are logged.
    error.without_url().into()
}

struct End {
    how: How,
    /// Why, by HTTP/2.
    code: Option<String>,
    source: io::Error,
}

enum How {
    Closed,
    Reset,
    /// The connection may have other streams, which continue.
    StreamReset,
}

impl End {
    fn into_cause(self, phase: Phase) -> BoxError {
        let what = match (self.how, phase) {
            (How::Reset, _) => "the server reset the connection",
            (How::StreamReset, _) => "the server reset the stream",
            (How::Closed, Phase::Request) => "the server closed the connection before responding",
            (How::Closed, Phase::Response) => "the server closed the connection mid-response",
        };
        let cause = match self.code {
            Some(code) => Disconnect::new(format!("{what} ({code})"), self.source),
            None => Disconnect::new(what, self.source),
        };
        cause.into()
    }
}

/// What this level of an error says about the end of the connection.
fn end(error: &(dyn Error + 'static)) -> Option<End> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return end_by_io(error);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message().then(|| End {
            how: How::Closed,
            code: None,
            source: ErrorKind::UnexpectedEof.into(),
        });
    }
    #[cfg(feature = "http2")]
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return end_by_http2(error);
    }
    None
}

fn end_by_io(error: &io::Error) -> Option<End> {
    let (how, kind) = match error.kind() {
        ErrorKind::ConnectionReset => (How::Reset, ErrorKind::ConnectionReset),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            (How::Closed, ErrorKind::UnexpectedEof)
        }
        _ => return None,
    };
    // The system's error as it is; a library's without its words.
    let source = match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => kind.into(),
    };
    Some(End {
        how,
        code: None,
        source,
    })
}

#[cfg(feature = "http2")]
fn end_by_http2(error: &h2::Error) -> Option<End> {
    if let Some(error) = error.get_io() {
        return end_by_io(error);
    }
    let (how, kind) = match (error.is_remote(), error.is_reset(), error.is_go_away()) {
        (true, true, _) => (How::StreamReset, ErrorKind::ConnectionReset),
        (true, _, true) => (How::Closed, ErrorKind::UnexpectedEof),
        _ => return None,
    };
    let code = error.reason().filter(|code| *code != h2::Reason::NO_ERROR);
    Some(End {
        how,
        code: code.map(|code| format!("{code:?}")),
        source: kind.into(),
    })
}

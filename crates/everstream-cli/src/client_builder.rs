//! Builds the client of a subcommand from its options: the same for `follow`, `record` and `top`.

use everstream::{Builder, ConnectStrategy, SseClient};

use crate::reconnect::ReconnectArgs;
use crate::report::Problem;
use crate::request::RequestArgs;
use crate::request::refresh::Refreshing;

/// A client that reads from `connect`, with all options for the request and for reconnecting that
/// `connect` doesn't handle.
pub(crate) fn client_builder(
    connect: impl ConnectStrategy,
    request: &RequestArgs,
    reconnect: &ReconnectArgs,
) -> Result<Builder, Problem> {
    let builder = match request.refreshes() {
        true => SseClient::builder(Refreshing(connect)),
        false => SseClient::builder(connect),
    };
    let builder = builder.read_timeout(request.read_timeout);
    let builder = reconnect.apply(builder);
    match &reconnect.last_event_id {
        None => Ok(builder),
        Some(id) if can_be_sent(id) => Ok(builder.last_event_id(id)),
        Some(_) => {
            let what = "the last event id contains a control character, which can't be sent";
            Err(Problem::new(what))
        }
    }
}

/// Whether an event id is a valid header value (RFC 9110, section 5.5). The client sends no others.
pub(crate) fn can_be_sent(id: &str) -> bool {
    id.bytes()
        .all(|byte| !byte.is_ascii_control() || byte == b'\t')
}

//! What the caller of an exchange does next.

use everstream_core::{Fault, Timestamp};

use crate::policy::ContentCoding;

/// What the caller does next.
///
/// ```
/// use everstream_http::exchange::Output;
///
/// assert!(matches!(Output::Stream(None), Output::Stream(_)));
/// ```
#[derive(Debug)]
pub enum Output {
    /// Drop the connection, if any, and open one for [`Exchange::request`](super::Exchange::request); then call
    /// [`handle_connected`](super::Exchange::handle_connected) or
    /// [`handle_connect_failure`](super::Exchange::handle_connect_failure), or
    /// [`handle_timeout`](super::Exchange::handle_timeout) at the deadline.
    Connect {
        /// When to give up.
        deadline: Option<Timestamp>,
    },
    /// Send the request, and at the same time receive until the head of a response is complete; then call
    /// [`handle_head`](super::Exchange::handle_head) or [`handle_failure`](super::Exchange::handle_failure), or
    /// [`handle_timeout`](super::Exchange::handle_timeout) at the deadline.
    Receive {
        /// When to give up.
        deadline: Option<Timestamp>,
    },
    /// Read the body, decoded if possible, and pass it to [`handle_body`](super::Exchange::handle_body) until
    /// this output changes; or call [`handle_body_end`](super::Exchange::handle_body_end) at its end or when
    /// it breaks, or [`handle_timeout`](super::Exchange::handle_timeout) at the deadline.
    ReadError {
        /// The coding of the body, if it can be decoded.
        coding: Option<ContentCoding>,
        /// When to give up.
        deadline: Timestamp,
    },
    /// The body is an event stream in this coding. [`Exchange::start`](super::Exchange::start) describes the response.
    Stream(Option<ContentCoding>),
    /// The attempt has failed. The fault is returned once.
    Failed(Fault),
}

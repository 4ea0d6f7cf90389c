//! The settings of an attempt.

use std::time::Duration;

use crate::policy::{self, ContentCoding, HeaderScope};

/// The settings of an attempt.
///
/// ```
/// use everstream_http::exchange::Config;
///
/// assert_eq!(Config::default().redirect_limit, 10);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How many redirects are followed. Default: 10.
    pub redirect_limit: usize,
    /// Which headers stay with their origin. Default: sensitive ones.
    pub header_scope: HeaderScope,
    /// Whether to accept any content type, or none. Default: no.
    pub any_content_type: bool,
    /// The content codings that the caller decodes. Default: none.
    pub codings: &'static [ContentCoding],
    /// The time to establish a connection. Default: no limit.
    pub connect_timeout: Option<Duration>,
    /// The time from the connection to the head of the response. Default: no limit.
    pub read_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            redirect_limit: policy::MAX_REDIRECTS,
            header_scope: HeaderScope::default(),
            any_content_type: false,
            codings: &[],
            connect_timeout: None,
            read_timeout: None,
        }
    }
}

//! The rules of HTTP for event streams, as pure functions.
//!
//! Every transport calls them, so redirects, credentials and content types are handled the same over the
//! built-in HTTP/1.1 and HTTP/2 and over other HTTP libraries.

mod browser;
mod content_coding;
#[cfg(feature = "cookies")]
mod cookies;
mod credentials;
mod framing;
mod last_event_id;
mod media_type;
mod no_proxy;
mod redirect;
mod resume;
mod retry_after;
mod verdict;

pub use browser::{
    is_header_name, is_refused_by_browser, is_set_by_browser, method_sent_by_browser,
    needs_preflight,
};
pub use content_coding::{ContentCoding, UnsupportedCoding, accept_encoding, content_coding};
#[cfg(feature = "cookies")]
pub use cookies::CookieJar;
pub use credentials::{
    HeaderScope, is_credential, user_info_to_authorization, withheld_message, withhold,
};
pub use framing::{is_framed, is_framed_by};
pub use last_event_id::last_event_id_header;
pub use media_type::{is_event_stream, is_event_stream_type};
pub use no_proxy::NoProxy;
pub use redirect::{MAX_REDIRECTS, is_redirect, redirect_target, rewrite};
pub use resume::{is_body_header, remove_body_headers, rewrite_to_resume};
pub use retry_after::{parse_delay_seconds, parse_retry_after, retry_after};
pub use verdict::{Verdict, judge, judge_decoded};

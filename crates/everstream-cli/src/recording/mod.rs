//! A recorded stream as a file: JSON, an object per line.
//!
//! | line | meaning |
//! |---|---|
//! | `{"format":"everstream-recording","version":1,"started":"2026-01-31T12:00:00.000Z"}` | begins a recording |
//! | `{"time":0.01,"connected":{"url":…,"status":200,"headers":[[name,value],…],"last_event_id":null}}` | a response arrived |
//! | `{"time":0.02,"text":"data: x\n\n"}` | bytes of the body in UTF-8 |
//! | `{"time":0.03,"base64":"…"}` | other bytes |
//! | `{"time":0.04,"ended":"server"}` | the connection's end: `server`, `client` or `fault`, then with `error` |
//! | `{"time":0.05,"failed":"…"}` | an attempt without a connection |
//!
//! `time` is in seconds since the first line of the recording. The bytes are those of the body
//! without its content coding. A file may contain several recordings, one after the other.
//!
//! | file | subject |
//! |---|---|
//! | `writer.rs` | writes the lines |
//! | `reader.rs` | reads them |

mod reader;
mod writer;

pub(crate) use reader::{Entry, Reader};
pub(crate) use writer::Writer;

/// The format named in the first line.
pub(crate) const FORMAT: &str = "everstream-recording";

/// Increased when readers of the old version would misunderstand the new one.
const VERSION: u64 = 1;

//! A recorded stream as a file: JSON, an object per line.
//!
//! | line | what it says |
//! |---|---|
//! | `{"format":"everstream-recording","version":1,"started":"2026-01-31T12:00:00.000Z"}` | begins a recording |
//! | `{"time":0.01,"connected":{"url":…,"status":200,"headers":[[name,value],…],"last_event_id":null}}` | a response came |
//! | `{"time":0.02,"text":"data: x\n\n"}` | bytes of the body that are UTF-8 |
//! | `{"time":0.03,"base64":"…"}` | bytes that aren't |
//! | `{"time":0.04,"ended":"server"}` | the connection's end: `server`, `client` or `fault`, then with `error` |
//! | `{"time":0.05,"failed":"…"}` | an attempt without a connection |
//!
//! `time` is in seconds since the line that begins the recording. Bytes are those of the body
//! without its content coding. A file may hold several recordings, one after the other.
//!
//! | file | subject |
//! |---|---|
//! | `writer.rs` | the lines as they are written |
//! | `reader.rs` | and read |

mod reader;
mod writer;

pub(crate) use reader::{Entry, Reader};
pub(crate) use writer::Writer;

/// What the first line says.
pub(crate) const FORMAT: &str = "everstream-recording";

/// Raised when readers of the old one would misunderstand the new one.
const VERSION: u64 = 1;

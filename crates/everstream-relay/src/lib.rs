//! From a Server-Sent Events feed into a log: each event once, in order, with a standby.
//!
//! Every append states where its writer believes that the log ends. The [`Sink`] compares, and stores the
//! records and the new end in one step. Of two writers, one loses the comparison and becomes the standby:
//! no lease and no clock decides.

mod machine;
mod memory;
mod record;
mod relay;
mod sink;

pub use machine::{
    Command, Config, DEAD_LETTER, End, Failure, Machine, Notice, Output, Role, Snapshot,
};
pub use memory::MemorySink;
pub use record::{Record, Tail};
pub use relay::{Error, Monitor, Relay, Stopper};
pub use sink::{AppendError, Held, Sink, SinkError};

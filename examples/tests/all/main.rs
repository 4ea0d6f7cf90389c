//! Tests each program against servers on real sockets, in a module for each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod change_feed;
mod fan_out;
mod feature_flags;
mod llm_chat;
mod mcp_client;
mod program;
mod std_sockets;
mod token_refresh;

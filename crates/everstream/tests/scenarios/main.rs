//! What a client does, told once and tried with both clients over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/reqwest_client.rs"]
mod reqwest_client;

mod cuts;
mod delivery;
mod kept_connections;
mod one_shot;
mod post_safety;
mod reconnecting;
mod redirects;
mod requests;
mod responses;
mod resuming;
mod retry_delays;
mod secrets;
mod starting;
mod strategies;
mod timeouts;
#[cfg(feature = "rustls")]
mod tls;

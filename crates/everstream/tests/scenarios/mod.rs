//! What a client does over HTTP: each scenario runs with both clients, over real sockets.

mod connections;
#[cfg(feature = "cookies")]
mod cookies;
mod cuts;
mod delivery;
mod one_shot;
mod post_safety;
mod reconnecting;
mod redirects;
mod requests;
mod responses;
mod resuming;
mod resuming_by_get;
mod retry_delays;
mod secrets;
mod starting;
mod strategies;
mod timeouts;
#[cfg(feature = "rustls")]
mod tls;
mod unfinished;

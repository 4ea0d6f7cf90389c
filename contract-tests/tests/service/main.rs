//! The service as an outside harness sees it: a process, driven over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod harness;

mod commands;
mod requests;
mod seen;
mod wanted;
